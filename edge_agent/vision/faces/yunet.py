"""YuNet through OpenCV's FaceDetectorYN; the file is fetched on request."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import cv2
import numpy as np

from edge_agent.errors import ModelError
from edge_agent.types import Face, Image
from edge_agent.vision.dnn import Backend
from edge_agent.vision.faces.detector import tidy
from edge_agent.vision.faces.letterbox import Letterbox

_log = logging.getLogger(__name__)

SAME_FACE = 0.3
TOP_K = 5000
"""Both as in OpenCV Zoo's demo: https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet."""


class YuNet:
    """OpenCV decodes its outputs itself.

    Args:
        onnx: its file.
        side: the image's longer side becomes this many pixels.
        threshold: score from which a face counts.
        backend: where it is computed; only the processor is supported here, another wish is a warning.

    Raises:
        ModelError: the file is not YuNet.
    """

    def __init__(self, onnx: Path, *, side: int = 416, threshold: float = 0.6, backend: Backend = "auto") -> None:
        if backend not in ("auto", "cpu"):
            _log.warning("vision.dnn_backend is %s, but yunet runs on the processor only", backend)
        try:
            self._net = cv2.FaceDetectorYN.create(str(onnx), "", (side, side), threshold, SAME_FACE, TOP_K)
        except cv2.error as error:
            raise ModelError(f"{onnx}: OpenCV can't read it; run: edge-agent models fetch yunet") from error
        self._letterbox = Letterbox(side)
        self.net_ms = 0.0

    def detect(self, image: Image) -> list[Face]:
        """See `FaceDetector.detect`."""
        canvas, scale = self._letterbox.fit(image)
        self._net.setInputSize((canvas.shape[1], canvas.shape[0]))
        begin = time.perf_counter()
        _, found = self._net.detect(canvas)  # OpenCV's decoding included: it can't be told apart
        self.net_ms = (time.perf_counter() - begin) * 1e3
        rows = np.zeros((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
        boxes = np.concatenate((rows[:, :2], rows[:, :2] + rows[:, 2:4]), 1)  # it says x, y, width, height
        return tidy((boxes / scale).tolist(), rows[:, 14].tolist(), image.shape[1], image.shape[0])
