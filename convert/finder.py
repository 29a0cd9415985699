"""The faces in photos that come without boxes, found with the bundled detector as the device finds them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convert.detections import Box
from convert.faces.records import overlaps
from edge_agent.config import FaceSettings
from edge_agent.types import Face
from edge_agent.vision.faces import create
from edge_agent.vision.store import ModelStore, bundled_directory

#: Two boxes with less overlap (IoU) are of two faces.
SAME_FACE = 0.5


class Finder:
    """The face detector that the program ships, at its usual size and threshold.

    Raises (constructor):
        ModelError: its files are missing or altered.
    """

    def __init__(self) -> None:
        self._detector = create(FaceSettings(), ModelStore(), backend="cpu")

    def boxes(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The boxes ``(n, 4)`` of all faces in ``image`` (``(height, width, 3)`` uint8 BGR), in its pixels."""
        return as_arrays(self._detector.detect(image))[0]

    def largest(self, image: NDArray[np.uint8]) -> Box | None:
        """The box of the largest face in ``image``; None if there is none."""
        boxes = self.boxes(image)
        if not len(boxes):
            return None
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        x1, y1, x2, y2 = (float(value) for value in boxes[int(areas.argmax())])
        return x1, y1, x2, y2


def as_arrays(faces: Sequence[Face]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes ``(n, 4)``, x1, y1, x2, y2, and scores ``(n,)``."""
    boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
    return boxes, np.array([face.score for face in faces], np.float32)


def nearest(boxes: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Of ``boxes`` ``(n, 4)`` the one ``(4,)`` that is of the face at ``box``: that overlaps most, by
    :data:`SAME_FACE` at least; None if there is none."""
    if not len(boxes):
        return None
    shares = overlaps(boxes, box[None])[:, 0]
    best = int(shares.argmax())
    return boxes[best] if shares[best] >= SAME_FACE else None


def fingerprint() -> str:
    """Of the face net's weights: boxes that were kept are good as long as it is the same."""
    return hashlib.sha256((bundled_directory() / "face_detector.caffemodel").read_bytes()).hexdigest()[:16]
