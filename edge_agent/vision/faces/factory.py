"""The face detector that the configuration names."""

from __future__ import annotations

import cv2
import numpy as np

from edge_agent.config import FaceSettings
from edge_agent.errors import ModelError
from edge_agent.vision.dnn import Backend
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.faces.edge_face import EdgeFace
from edge_agent.vision.faces.res10 import Res10
from edge_agent.vision.faces.yunet import YuNet
from edge_agent.vision.manifest import ModelEntry
from edge_agent.vision.store import ModelStore

DEFAULT_THRESHOLD = 0.5


def threshold_for(entry: ModelEntry, side: int) -> float:
    """The score from which a face counts at this input size: the one measured at the nearest size."""
    if entry.thresholds:
        return entry.thresholds[min(entry.thresholds, key=lambda width: abs(width - side))]
    return entry.threshold if entry.threshold is not None else DEFAULT_THRESHOLD


def create(settings: FaceSettings, store: ModelStore, *, backend: Backend = "auto") -> FaceDetector:
    """Load the detector.

    Args:
        settings: which one, its input's width, its threshold (None: the one measured for it).
        store: where its files are.
        backend: where it is computed.

    Raises:
        ModelError: its files are missing or altered, or not its network.
    """
    side = settings.input_width
    threshold = settings.threshold
    if threshold is None:
        threshold = threshold_for(store.entry(settings.detector), side)
    kinds = (".onnx",) if settings.detector == "yunet" else (".prototxt", ".caffemodel")
    paths = store.paths(settings.detector, *kinds)
    detector: FaceDetector
    if settings.detector == "yunet":
        detector = YuNet(paths[0], side=side, threshold=threshold, backend=backend)
    elif settings.detector == "res10":
        detector = Res10(*paths, threshold=threshold, backend=backend)
    else:
        detector = EdgeFace(*paths, side=side, threshold=threshold, backend=backend)
    try:
        # The first run allocates, and fails if it is another network: better now than at the first frame.
        detector.detect(np.zeros((3 * side // 4, side, 3), np.uint8))
    except (cv2.error, ValueError, IndexError) as error:
        raise ModelError(f"{', '.join(map(str, paths))}: not the network {settings.detector}: {error}") from error
    return detector
