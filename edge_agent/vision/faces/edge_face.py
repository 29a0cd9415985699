"""Our own face net: models/face_detector.prototxt and .caffemodel, trained by `convert train-faces`."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ModelError
from edge_agent.types import Face, Image
from edge_agent.vision.blob import Blob
from edge_agent.vision.dnn import Backend, load_caffe
from edge_agent.vision.faces.detector import tidy
from edge_agent.vision.faces.letterbox import Letterbox

OUTPUT = "faces"
STRIDES = (8, 16, 32)
PRIORS = (20.0, 56.0, 140.0)
"""Side in pixels that each level's boxes are relative to (see convert/faces/network.py)."""
SAME_FACE = 0.45
"""Two boxes with this IoU are one face."""
_LARGEST_LOG = np.float32(4.0)
_HALF = np.float32(0.5)


class EdgeFace:
    """The net takes BGR bytes as they are, at any size that is a multiple of 32.

    Args:
        prototxt, caffemodel: its files.
        side: the image's longer side becomes this many pixels, a multiple of 32.
        threshold: score from which a face counts.
        backend: where it is computed.

    Raises:
        ModelError: the files are not this network.
    """

    def __init__(
        self,
        prototxt: Path,
        caffemodel: Path,
        *,
        side: int = 512,
        threshold: float = 0.5,
        backend: Backend = "auto",
    ) -> None:
        self._net = load_caffe(prototxt, caffemodel, backend=backend)
        if OUTPUT not in self._net.getLayerNames():
            raise ModelError(
                f"{prototxt}: has no layer '{OUTPUT}', it is of an earlier version or another network; take this "
                "version's face_detector.prototxt and its lines in manifest.yaml, or write both anew with "
                "python -m convert to-caffe"
            )
        self._letterbox = Letterbox(side)
        self._logit = _logit(threshold)
        self._blob = Blob()
        self.net_ms = 0.0

    def detect(self, image: Image) -> list[Face]:
        """See `FaceDetector.detect`."""
        canvas, scale = self._letterbox.fit(image)
        self._blob.feed(self._net, canvas)
        begin = time.perf_counter()
        answer = self._net.forward(OUTPUT)
        self.net_ms = (time.perf_counter() - begin) * 1e3
        rectangles, scores = decode(answer[0], canvas.shape[0], canvas.shape[1], self._logit)
        kept = suppress(rectangles, scores)
        # What is left are faces and no longer cells: few, and plain numbers are quicker for few.
        boxes = []
        for x, y, width, height in (rectangles[index] for index in kept):
            boxes.append((x / scale, y / scale, (x + width) / scale, (y + height) / scale))
        return tidy(boxes, [scores[index] for index in kept], image.shape[1], image.shape[0])


def _logit(probability: float) -> float:
    """Where the sigmoid gives this; everything lies above that of 0, nothing above that of 1."""
    if 0.0 < probability < 1.0:
        return math.log(probability / (1.0 - probability))
    return -math.inf if probability <= 0.0 else math.inf


def decode(
    cells: NDArray[np.float32], height: int, width: int, least_logit: float
) -> tuple[list[list[float]], list[float]]:
    """Rectangles, x, y, width and height in pixels of the net's input, and scores, 0 to 1, of the cells whose logit
    is above `least_logit`.

    `cells` are [5, P]: logit, centre's offset in strides (x, y), logarithm of the size over the prior; level after
    level, row by row, of an input of that height and width.
    """
    (hits,) = (cells[0] > least_logit).nonzero()
    if not hits.size:
        return [], []
    # take() and methods: the same as indexing and np.flatnonzero at half the price, for so few numbers.
    found = cells.take(hits, axis=1)
    cell = _grid(height, width).take(hits, axis=1)
    sides = np.exp(np.minimum(found[3:], _LARGEST_LOG)) * cell[3]
    corners = cell[:2] + found[1:3] * cell[2] - sides * _HALF
    scores = np.tanh(found[0] * _HALF) * _HALF + _HALF  # the sigmoid: unlike exp, tanh never overflows
    return np.concatenate((corners, sides)).T.tolist(), scores.tolist()


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> NDArray[np.float32]:
    """Of every cell of an input of this size: centre x and y, stride, prior, [4, P]."""
    levels = []
    for stride, prior in zip(STRIDES, PRIORS, strict=True):
        y, x = np.mgrid[: height // stride, : width // stride].reshape(2, -1)
        same = np.ones(x.size)
        levels.append(np.stack(((x + 0.5) * stride, (y + 0.5) * stride, same * stride, same * prior)))
    return np.asarray(np.concatenate(levels, axis=1), np.float32)


def suppress(
    rectangles: Sequence[Sequence[float]], scores: Sequence[float], same: float = SAME_FACE
) -> Sequence[int]:
    """Which of overlapping rectangles, x, y, width and height, to keep; the best first."""
    if len(rectangles) < 2:
        return range(len(rectangles))
    kept: list[int] = np.asarray(cv2.dnn.NMSBoxes(rectangles, scores, 0.0, same), int).tolist()
    return kept
