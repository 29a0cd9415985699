"""What every face detector answers."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_agent.types import Image

Boxes = NDArray[np.float32]
Scores = NDArray[np.float32]


class FaceDetector(Protocol):
    """Finds faces. One thread at a time: detectors keep buffers between calls."""

    net_ms: float
    """Milliseconds of the latest bare inference."""

    def detect(self, image: Image) -> tuple[Boxes, Scores]:
        """Find the faces of one image.

        Args:
            image: pixels [H, W, 3], uint8, BGR, of any size.

        Returns:
            Boxes, float32 [N, 4], x1 y1 x2 y2 in pixels of `image`, inside it and never empty; scores, float32
            [N], 0 to 1, best first.
        """
        ...


def tidy(boxes: Boxes, scores: Scores, width: int, height: int) -> tuple[Boxes, Scores]:
    """Clip boxes [N, 4] to an image's size, drop those that nothing (or less than a pixel) is left of, sort
    by score.
    """
    if not len(boxes):
        return boxes.astype(np.float32), scores.astype(np.float32)
    limits = np.array((width, height, width, height), np.float32)
    boxes = np.minimum(np.maximum(boxes, np.float32(0)), limits, dtype=np.float32)
    good = ((boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= 1.0) & np.isfinite(scores)
    order = (-scores).argsort(kind="stable")
    order = order[good[order]]
    return boxes[order], scores[order].astype(np.float32, copy=False)
