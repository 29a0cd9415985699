"""What every face detector answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import attrgetter
from typing import Protocol

from edge_agent.types import Box, Face, Image


class FaceDetector(Protocol):
    """Finds faces. One thread at a time: detectors keep buffers between calls."""

    net_ms: float
    """Milliseconds of the latest bare inference."""

    def detect(self, image: Image) -> list[Face]:
        """Find the faces of one image.

        Args:
            image: pixels [H, W, 3], uint8, BGR, of any size.

        Returns:
            Faces, best first; boxes in pixels of `image`, inside it and never empty, scores 0 to 1.
        """
        ...


def tidy(boxes: Sequence[Sequence[float]], scores: Sequence[float], width: int, height: int) -> list[Face]:
    """Clip boxes (x1, y1, x2, y2) to an image's size, drop those that nothing (or less than a pixel) is left of, or
    that are no numbers, and sort by score. How much was left is told: half a face is worth half a look.
    """
    faces = []
    right_edge, bottom_edge = float(width), float(height)
    for (x1, y1, x2, y2), score in zip(boxes, scores, strict=True):
        # In this order min and max keep what is not a number, and the comparisons refuse it.
        left, top, right, bottom = max(x1, 0.0), max(y1, 0.0), min(x2, right_edge), min(y2, bottom_edge)
        across, down = right - left, bottom - top
        if across >= 1.0 and down >= 1.0 and math.isfinite(score):
            visible = across * down / ((x2 - x1) * (y2 - y1))  # not 0: no box is smaller than what is left of it
            faces.append(Face(Box(left, top, right, bottom), score, visible))
    faces.sort(key=attrgetter("score"), reverse=True)
    return faces
