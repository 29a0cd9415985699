"""The res10 SSD of OpenCV's samples, with its prototxt corrected (models/res10.prototxt says how); weights
are fetched.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from edge_agent.types import Face, Image
from edge_agent.vision.blob import Blob
from edge_agent.vision.dnn import Backend, load_caffe
from edge_agent.vision.faces.detector import tidy
from edge_agent.vision.faces.letterbox import Letterbox

SIDE = 300
"""The size it was trained for; its corrected last maps need it square."""
MEAN = (104.0, 177.0, 123.0)
"""Blue, green, red: https://github.com/opencv/opencv/tree/4.x/samples/dnn/face_detector."""


class Res10:
    """Looks at the whole image in a square, its aspect kept.

    Raises:
        ModelError: the files are not a Caffe network.
    """

    def __init__(
        self, prototxt: Path, caffemodel: Path, *, threshold: float = 0.5, backend: Backend = "auto"
    ) -> None:
        self._net = load_caffe(prototxt, caffemodel, backend=backend)
        self._letterbox = Letterbox(SIDE, square=True)
        self._threshold = threshold
        self._blob = Blob(mean=MEAN)
        self.net_ms = 0.0

    def detect(self, image: Image) -> list[Face]:
        """See `FaceDetector.detect`."""
        canvas, scale = self._letterbox.fit(image)
        self._blob.feed(self._net, canvas)
        begin = time.perf_counter()
        found = np.asarray(self._net.forward(), np.float32).reshape(-1, 7)  # image, class, score, box in 0..1
        self.net_ms = (time.perf_counter() - begin) * 1e3
        found = found[found[:, 2] >= self._threshold]
        boxes = found[:, 3:7] * (SIDE / scale)
        return tidy(boxes.tolist(), found[:, 2].tolist(), image.shape[1], image.shape[0])
