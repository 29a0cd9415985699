"""Pictures as the Caffe networks take them: in planes.

`cv2.dnn.blobFromImage` makes the same of them, but by way of a copy in floats.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edge_agent.types import Image


class Blob:
    """Feeds pictures to a network as (pixel - mean) * scale; keeps its planes between calls."""

    def __init__(
        self, *, mean: Sequence[float] = (0.0, 0.0, 0.0), scale: float = 1.0, reverse: bool = False
    ) -> None:
        """`mean`: of each plane, in the order the network is fed; `reverse`: turn BGR to RGB, or RGB to BGR."""
        self._mean = tuple(float(value) for value in mean)
        self._scale = float(scale)
        self._reverse = reverse
        self._blob = np.empty((1, 3, 0, 0), np.uint8)
        self._planes: list[Image] = []

    def feed(self, net: cv2.dnn.Net, image: Image) -> None:
        """Make an H×W×3 uint8 picture the input [1, 3, H, W] of a network's next run.

        OpenCV takes the bytes: it widens, shifts and scales them in one go on the way into its first layer.
        """
        if self._blob.shape[2:] != image.shape[:2]:
            self._blob = np.empty((1, 3, *image.shape[:2]), np.uint8)
            planes = list(self._blob[0])
            self._planes = planes[::-1] if self._reverse else planes
        cv2.split(image, self._planes)
        net.setInput(self._blob, "", self._scale, self._mean)
