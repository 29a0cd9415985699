"""The blur of what moves while the shutter is open."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def motion_kernel(length: int, angle: float) -> NDArray[np.float32]:
    """What :func:`cv2.filter2D` makes a motion of: a line of weights ``(length, length)`` whose sum is 1.

    Args:
        length: of the motion, pixels, at least 1.
        angle: of the motion, radians from the x axis towards y.
    """
    kernel: NDArray[np.float32] = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    x, y = middle * np.cos(angle), middle * np.sin(angle)
    start, end = ((round(float(middle + sign * x)), round(float(middle + sign * y))) for sign in (-1, 1))
    cv2.line(kernel, start, end, (1.0,))
    return np.asarray(kernel / kernel.sum(), np.float32)
