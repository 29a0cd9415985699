"""An image in a network's input without distorting it: scaled to fit, the rest black."""

from __future__ import annotations

import cv2
import numpy as np

from edge_agent.types import Image


class Letterbox:
    """Scales images so that their longer side becomes `side` pixels, and pads both sides to multiples of
    `multiple`.

    The canvas is kept between calls: a camera's frames are all of one size.
    """

    def __init__(self, side: int, *, multiple: int = 32, square: bool = False) -> None:
        self._side = side
        self._multiple = multiple
        self._square = square
        self._shape = (0, 0)
        self._scale = 1.0
        self._canvas: Image = np.zeros((0, 0, 3), np.uint8)
        self._filled = self._canvas
        """The part of it that the image covers."""
        self._filter = cv2.INTER_LINEAR

    def fit(self, image: Image) -> tuple[Image, float]:
        """The padded image, with the image in its upper left corner, and the scale it has there.

        The array is overwritten by the next call.

        Raises:
            ValueError: the image is not [H, W, 3] uint8 with at least one pixel.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ValueError(f"expected an image [H, W, 3] of uint8, found {image.dtype} {list(image.shape)}")
        if image.shape[:2] != self._shape:
            self._lay_out(image.shape[0], image.shape[1])
        cv2.resize(image, self._filled.shape[1::-1], dst=self._filled, interpolation=self._filter)
        return self._canvas, self._scale

    def _lay_out(self, height: int, width: int) -> None:
        """A canvas for images of this size."""
        scale = self._side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        rows, columns = (self._side, self._side) if self._square else (self._up(size[1]), self._up(size[0]))
        self._canvas = np.zeros((rows, columns, 3), np.uint8)
        self._filled = self._canvas[: size[1], : size[0]]
        # Averaging when it shrinks much: a linear filter skips pixels, and small faces with them.
        self._filter = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
        self._shape, self._scale = (height, width), scale

    def _up(self, pixels: int) -> int:
        return -(-pixels // self._multiple) * self._multiple
