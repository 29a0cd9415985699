"""One training image under construction, and which of its faces count."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.faces.records import Boxes

Image = NDArray[np.uint8]
SMALLEST = 9.0
"""Faces lower than this many pixels are left alone."""


class Canvas:
    """One training image under construction."""

    def __init__(self, height: int, width: int, colour: Sequence[int]) -> None:
        self.image: Image = np.full((height, width, 3), colour, np.uint8)
        self._boxes: list[Boxes] = []
        self._ignore: list[Boxes] = []

    @property
    def boxes(self) -> Boxes:
        """Faces so far, [N, 4]."""
        return np.concatenate([np.zeros((0, 4), np.float32), *self._boxes])

    @property
    def ignore(self) -> Boxes:
        """Areas that are neither face nor background, [K, 4]."""
        return np.concatenate([np.zeros((0, 4), np.float32), *self._ignore])

    def add(self, boxes: Boxes, ignore: Boxes, window: tuple[int, int, int, int]) -> None:
        """Take over boxes, cut at the window (x1, y1, x2, y2): mostly visible ones count, half hidden ones
        are ignored.
        """
        for given, counts in ((boxes, True), (ignore, False)):
            if not len(given):
                continue
            low, high = np.asarray(window[:2] * 2, np.float32), np.asarray(window[2:] * 2, np.float32)
            cut = np.clip(given, low, high)
            area = np.maximum((given[:, 2:] - given[:, :2]).prod(1), 1e-3)
            seen = (cut[:, 2:] - cut[:, :2]).clip(0).prod(1) / area
            tall = cut[:, 3] - cut[:, 1]
            good = (seen >= 0.55) & (tall >= SMALLEST) if counts else np.zeros(len(given), bool)
            self._boxes.append(cut[good])
            self._ignore.append(cut[~good & (seen > 0.15)])


def show(
    target: Image,
    image: Image,
    window: tuple[int, int, int, int],
    offset: tuple[float, float],
    zoom: tuple[float, float],
) -> tuple[int, int, int, int]:
    """Draw `image`, scaled by `zoom` (x, y), in a window of `target`, `offset` from its corner; only the
    visible part is scaled.

    Returns the part of the target that was drawn: x1, y1, x2, y2.
    """
    x1, y1, x2, y2 = window
    height, width = image.shape[:2]
    left, top = (int(max(0.0, -start) / factor) for start, factor in zip(offset, zoom, strict=True))
    right = int(np.ceil(min(width, (x2 - x1 - offset[0]) / zoom[0])))
    bottom = int(np.ceil(min(height, (y2 - y1 - offset[1]) / zoom[1])))
    at_x, at_y = round(left * zoom[0] + offset[0]), round(top * zoom[1] + offset[1])
    size = (max(1, round((right - left) * zoom[0])), max(1, round((bottom - top) * zoom[1])))
    how = cv2.INTER_AREA if min(zoom) < 0.6 else cv2.INTER_LINEAR
    part = cv2.resize(image[top:bottom, left:right], size, interpolation=how)
    part = part[max(0, -at_y) :, max(0, -at_x) :]
    to_x, to_y = x1 + max(at_x, 0), y1 + max(at_y, 0)
    part = part[: y2 - to_y, : x2 - to_x]
    target[to_y : to_y + part.shape[0], to_x : to_x + part.shape[1]] = part
    return (to_x, to_y, to_x + part.shape[1], to_y + part.shape[0])
