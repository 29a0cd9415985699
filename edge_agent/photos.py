"""Photos from files, whatever their names: OpenCV's own reader crashes the process at one that is not UTF-8
(seen with 4.11)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_agent.errors import InputError
from edge_agent.types import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""Of what `read` is asked to read among a folder's files; it goes by what is in them."""


def read(path: Path) -> Image:
    """Decode a photo to BGR, whatever its depth, colours or alpha, turned as its EXIF data says.

    Raises:
        InputError: the file can't be read, or is no image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None
    if data.size == 0:
        raise InputError(f"{path}: the file is empty")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:  # larger than OpenCV takes
        raise InputError(f"{path}: can't be decoded: {error.err}") from None
    if image is None:
        raise InputError(f"{path}: not an image, or a damaged one")
    return np.asarray(image, np.uint8)
