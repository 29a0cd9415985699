"""The network of Levi and Hassner with weights at random: as fast as theirs, which are for research only."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.caffe.graph import Graph, export
from edge_agent.vision.dnn import load_caffe
from edge_agent.vision.store import bundled_directory

SIZE = 227
#: Output channels, input channels and kernel of the layers of the prototxt that have weights.
_CONVOLUTIONS = {"conv1": (96, 3, 7), "conv2": (256, 96, 5), "conv3": (384, 256, 3)}
_FULL = {"fc6": (512, 384 * 7 * 7), "fc7": (512, 512), "fc8": (2, 512)}


def structure() -> Path:
    """Their prototxt, written by us from the paper."""
    return bundled_directory() / "levi_hassner.prototxt"


def write_weights(caffemodel: Path, seed: int = 0) -> None:
    """Write a weights file that fits :func:`structure` (45 MB)."""
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.01, shape).astype(np.float32)

    # The importer takes weights by layer name and structure from the prototxt: how these are joined is no matter.
    graph = Graph("random", {"data": (1, 3, SIZE, SIZE)})
    bottom = "data"
    for name, (outputs, inputs, kernel) in _CONVOLUTIONS.items():
        bottom = graph.convolution(name, bottom, drawn(outputs, inputs, kernel, kernel), drawn(outputs))
    for name, (outputs, inputs) in _FULL.items():
        bottom = graph.inner_product(name, bottom, drawn(outputs, inputs), drawn(outputs))
    export(graph, caffemodel.with_suffix(".unused"), caffemodel)


def network() -> cv2.dnn.Net:
    """The network, on the processor."""
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / "random.caffemodel"
        write_weights(weights)
        return load_caffe(structure(), weights, backend="cpu")
