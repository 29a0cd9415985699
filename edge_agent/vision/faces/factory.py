"""The face detector that the configuration names."""

from __future__ import annotations

from edge_agent.config import FaceSettings
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
    paths = store.paths(settings.detector)
    if settings.detector == "yunet":
        return YuNet(paths[0], side=side, threshold=threshold, backend=backend)
    prototxt, caffemodel = paths
    if settings.detector == "res10":
        return Res10(prototxt, caffemodel, threshold=threshold, backend=backend)
    return EdgeFace(prototxt, caffemodel, side=side, threshold=threshold, backend=backend)
