"""How a face is cut for the mask network: the same few lines when training and on the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.manifest import CropContract

#: Dark edges would look like a mask's border, so what lies outside the frame repeats its last pixels.
_BORDER = cv2.BORDER_REPLICATE


@dataclass(frozen=True)
class CropMargins:
    """Room left around a face box, in fractions of the box's width (``x``) and height (``top``, ``bottom``).

    With these the shipped network's answers on validation faces were likeliest; with half of them, or half as much
    again, up to half a point fewer were right, and five to eight points fewer of the badly worn masks.
    """

    x: float = 0.15
    top: float = 0.12
    bottom: float = 0.15

    @classmethod
    def of(cls, crop: CropContract) -> CropMargins:
        """Those that the manifest names."""
        return cls(x=crop.margin_x, top=crop.margin_top, bottom=crop.margin_bottom)


def face_crop(
    image_bgr: NDArray[np.uint8],
    box: Sequence[float],
    size: int,
    margins: CropMargins = CropMargins(),
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Cut a face and stretch it to a square.

    Args:
        image_bgr: frame or photo, ``(height, width, 3)`` uint8, BGR. It is read, never copied as a whole.
        box: ``x1, y1, x2, y2`` in pixels of ``image_bgr``; may reach over the edges.
        size: side of the result in pixels.
        margins: room to leave around the box.
        out: array ``(size, size, 3)`` uint8 to write to, for example a row of a batch.

    Returns:
        ``(size, size, 3)`` uint8, RGB; ``out`` if it was given.

    Raises:
        ValueError: the image is empty, the box has no area or lies outside the image.
    """
    height, width = image_bgr.shape[:2]
    x1, y1, x2, y2 = map(float, box)
    box_width, box_height = x2 - x1, y2 - y1
    if not (box_width > 0 and box_height > 0):
        raise ValueError(f"the face box {tuple(box)} has no area")
    left = math.floor(x1 - margins.x * box_width)
    right = math.ceil(x2 + margins.x * box_width)
    top = math.floor(y1 - margins.top * box_height)
    bottom = math.ceil(y2 + margins.bottom * box_height)
    inner = image_bgr[max(top, 0) : max(min(bottom, height), 0), max(left, 0) : max(min(right, width), 0)]
    if inner.size == 0:
        raise ValueError(f"the face box {tuple(box)} lies outside the image of {width} x {height} pixels")
    over = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    if any(over):
        inner = np.asarray(cv2.copyMakeBorder(inner, *over, borderType=_BORDER), dtype=np.uint8)
    if out is None:
        out = np.empty((size, size, 3), dtype=np.uint8)
    cv2.cvtColor(_stretched(inner, size), cv2.COLOR_BGR2RGB, dst=out)
    return out


def _stretched(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The image as a square, without the aliasing of a linear filter that shrinks to less than half.

    Linear to the next power of two times the size, then halved by averaging: three times as fast as one averaging
    by any factor, which OpenCV computes in floats.
    """
    halvings = max((min(image.shape[:2]) // size).bit_length() - 1, 0)
    side = size << halvings
    square = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
    for _ in range(halvings):
        side //= 2
        square = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(square, np.uint8)
