"""Photos from disk, whatever their names: OpenCV's own reader crashes on one that is not UTF-8. And their size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.errors import ConvertError


def read(path: Path) -> NDArray[np.uint8]:
    """Decode a photo, ``(height, width, 3)`` uint8 BGR, turned as its EXIF data says.

    Raises:
        ConvertError: the file cannot be read, or is no image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ConvertError(f"{path} cannot be read: {error.strerror}") from error
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error as error:  # larger than OpenCV takes
        raise ConvertError(f"{path} cannot be decoded: {error.err}") from error
    if image is None:
        raise ConvertError(f"{path} cannot be decoded: it is no image, or a damaged one")
    return np.asarray(image, np.uint8)


def scaled(crops: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Crops ``(n, side, side, 3)`` as ``(n, size, size, 3)``; the same array if they are of that size."""
    if crops.shape[1] == size:
        return crops
    how = cv2.INTER_AREA if crops.shape[1] > size else cv2.INTER_LINEAR
    return np.stack([np.asarray(cv2.resize(crop, (size, size), interpolation=how), np.uint8) for crop in crops])
