"""How the camera hangs on the wall: rotation, mirroring, and the area worth watching."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from edge_agent.camera.sources.base import as_image
from edge_agent.config import CameraSettings
from edge_agent.types import Box, Image

_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_FLIPS = {"horizontal": 1, "vertical": 0, "both": -1}  # cv2's flip codes


class Transform:
    """Turns and mirrors pictures as the settings say: first the rotation, then the flip."""

    def __init__(self, settings: CameraSettings) -> None:
        self._rotation = _ROTATIONS.get(settings.rotate)
        self._flip = _FLIPS.get(settings.flip)

    def __call__(self, image: Image) -> Image:
        """Return the H×W×3 uint8 BGR picture upright; the very same array if there is nothing to do."""
        if self._rotation is not None:
            image = as_image(cv2.rotate(image, self._rotation))
        if self._flip is not None:
            image = as_image(cv2.flip(image, self._flip))
        return image


class Region:
    """The polygon to watch, in fractions of the picture as it is after rotation and flip."""

    def __init__(self, corners: Sequence[tuple[float, float]]) -> None:
        self._corners = np.array(corners, np.float32) if corners else None

    def contains(self, x: float, y: float) -> bool:
        """Whether a point, in fractions of the frame, lies inside or on the edge; without corners, always."""
        return self._corners is None or cv2.pointPolygonTest(self._corners, (x, y), measureDist=False) >= 0

    def contains_box(self, box: Box, width: int, height: int) -> bool:
        """Whether the middle of a box in pixels of a width×height frame lies inside."""
        return self.contains((box.x1 + box.x2) / 2 / width, (box.y1 + box.y2) / 2 / height)


def watched(settings: CameraSettings) -> Callable[[Box, int, int], bool] | None:
    """Says which boxes lie in the area of `camera.roi` (`Region.contains_box`); None: all do."""
    return Region(settings.roi).contains_box if settings.roi else None
