"""Our own face net: models/face_detector.prototxt and .caffemodel, trained by `convert train-faces`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ModelError
from edge_agent.types import Image
from edge_agent.vision.blob import Blob
from edge_agent.vision.dnn import Backend, load_caffe
from edge_agent.vision.faces.detector import Boxes, Scores, tidy
from edge_agent.vision.faces.letterbox import Letterbox

OUTPUTS = ("face8", "face16", "face32")
STRIDES = (8, 16, 32)
PRIORS = (20.0, 56.0, 140.0)
"""Side in pixels that each level's boxes are relative to (see convert/faces/network.py)."""
SAME_FACE = 0.45
"""Two boxes with this IoU are one face."""
_LARGEST_LOG = 4.0
_NO_BOXES: Boxes = np.empty((0, 4), np.float32)
_NO_SCORES: Scores = np.empty(0, np.float32)


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
        missing = set(OUTPUTS) - set(self._net.getLayerNames())
        if missing:
            raise ModelError(f"{prototxt}: has no layers {', '.join(sorted(missing))}; install edge-agent again")
        self._letterbox = Letterbox(side)
        self._threshold = threshold
        self._blob = Blob()
        self.net_ms = 0.0
        self._logit = float(np.log(threshold / (1.0 - threshold))) if 0.0 < threshold < 1.0 else -np.inf

    def detect(self, image: Image) -> tuple[Boxes, Scores]:
        """See `FaceDetector.detect`."""
        canvas, scale = self._letterbox.fit(image)
        self._net.setInput(self._blob(canvas))
        begin = time.perf_counter()
        outputs = self._net.forward(list(OUTPUTS))
        self.net_ms = (time.perf_counter() - begin) * 1e3
        maps = [np.asarray(level, np.float32) for level in outputs]
        boxes, scores = decode(maps, self._logit)
        boxes, scores = suppress(boxes, scores, self._threshold)
        return tidy(boxes / scale, scores, image.shape[1], image.shape[0])


def decode(maps: Sequence[NDArray[np.float32]], least_logit: float) -> tuple[Boxes, Scores]:
    """Boxes [N, 4] in pixels of the net's input and scores [N] of the outputs whose logit is above `least_logit`.

    `maps` are [1, 5, H/stride, W/stride]: logit, centre's offset in strides (x, y), logarithm of the size
    over the prior.
    """
    cells = np.concatenate([level.reshape(5, -1) for level in maps], axis=1)
    (hits,) = (cells[0] > least_logit).nonzero()
    if not hits.size:
        return _NO_BOXES, _NO_SCORES
    # take() and methods: the same as indexing and np.flatnonzero at half the price, for so few numbers.
    found = cells.take(hits, axis=1)
    cell = _grid(tuple(level.shape[2:] for level in maps)).take(hits, axis=1)
    centre = cell[:2] + found[1:3] * cell[2]
    half = cell[3] * np.exp(np.minimum(found[3:5], _LARGEST_LOG))
    boxes = np.concatenate((centre - half, centre + half)).T
    return boxes, 1.0 / (1.0 + np.exp(-found[0]))


@lru_cache(maxsize=4)
def _grid(shapes: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """Of every cell of levels of these heights and widths: centre x and y, stride, half the prior, [4, cells]."""
    levels = []
    for (height, width), stride, prior in zip(shapes, STRIDES, PRIORS, strict=True):
        y, x = np.mgrid[:height, :width].reshape(2, -1)
        same = np.ones(height * width)
        levels.append(np.stack(((x + 0.5) * stride, (y + 0.5) * stride, same * stride, same * prior / 2)))
    return np.asarray(np.concatenate(levels, axis=1), np.float32)


def suppress(boxes: Boxes, scores: Scores, threshold: float, same: float = SAME_FACE) -> tuple[Boxes, Scores]:
    """Keep the best of overlapping boxes."""
    if len(boxes) < 2:
        return boxes, scores
    sides = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
    kept = np.asarray(cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), threshold, same), int).reshape(-1)
    return boxes[kept], scores[kept]
