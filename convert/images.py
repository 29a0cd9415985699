"""Photos from disk, the size of crops, and what JPEG leaves of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.errors import ConvertError
from edge_agent import photos
from edge_agent.errors import InputError


def read(path: Path) -> NDArray[np.uint8]:
    """Decode a photo, ``(height, width, 3)`` uint8 BGR, turned as its EXIF data says.

    Raises:
        ConvertError: the file cannot be read, or is no image.
    """
    try:
        return photos.read(path)
    except InputError as error:
        raise ConvertError(str(error)) from None


def scaled(crops: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Crops ``(n, side, side, 3)`` as ``(n, size, size, 3)``; the same array if they are of that size."""
    if crops.shape[1] == size:
        return crops
    how = cv2.INTER_AREA if crops.shape[1] > size else cv2.INTER_LINEAR
    return np.stack([np.asarray(cv2.resize(crop, (size, size), interpolation=how), np.uint8) for crop in crops])


def compressed(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The image ``(height, width, 3)`` uint8 as JPEG of a ``quality`` from 0 to 100 gives it back.

    The colours are BGR; of RGB much the same is lost.
    """
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
