"""How long a face takes, against the network of Levi and Hassner on the same machine in the same minute."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from convert.caffe import Graph, export
from edge_agent.vision.dnn import load_caffe

#: Output channels, input channels and kernel of the layers of ``models/levi_hassner.prototxt`` that have weights.
_CONVOLUTIONS = {"conv1": (96, 3, 7), "conv2": (256, 96, 5), "conv3": (384, 256, 3)}
_FULL = {"fc6": (512, 384 * 7 * 7), "fc7": (512, 512), "fc8": (2, 512)}


def levi_hassner_with_random_weights(prototxt: Path, caffemodel: Path) -> cv2.dnn.Net:
    """Their structure with weights drawn at random, which takes the same time; writes ``caffemodel`` (45 MB)."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.normal(0, 0.01, shape).astype(np.float32)

    # The importer takes weights by layer name and structure from the prototxt: how these are joined is no matter.
    graph = Graph("random", {"data": (1, 3, 227, 227)})
    bottom = "data"
    for name, (outputs, inputs, kernel) in _CONVOLUTIONS.items():
        bottom = graph.convolution(name, bottom, drawn(outputs, inputs, kernel, kernel), drawn(outputs))
    for name, (outputs, inputs) in _FULL.items():
        bottom = graph.inner_product(name, bottom, drawn(outputs, inputs), drawn(outputs))
    export(graph, caffemodel.with_suffix(".unused"), caffemodel)
    return load_caffe(prototxt, caffemodel, backend="cpu")


def compare(prototxt: Path, caffemodel: Path, theirs: Path, *, rounds: int = 40) -> dict[str, float]:
    """Median milliseconds a face of a network and of Levi and Hassner's, one thread, taken in turns.

    Args:
        prototxt, caffemodel: the network to compare.
        theirs: ``levi_hassner.prototxt``.
        rounds: forward passes of each.

    Returns:
        ``ms``, ``levi_hassner_ms`` and their ``ratio``.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            other = levi_hassner_with_random_weights(theirs, Path(scratch) / "random.caffemodel")
        nets = (load_caffe(prototxt, caffemodel, backend="cpu"), other)
        sides = (_side(prototxt), _side(theirs))
        taken: tuple[list[float], list[float]] = ([], [])
        for turn in range(rounds + 3):
            for net, side, times in zip(nets, sides, taken, strict=True):
                net.setInput(np.zeros((1, 3, side, side), np.float32))
                begin = time.perf_counter()
                net.forward()
                if turn >= 3:  # the first passes allocate
                    times.append((time.perf_counter() - begin) * 1e3)
    finally:
        cv2.setNumThreads(threads)
    ours, levi_hassner = (float(np.median(times)) for times in taken)
    return {"ms": ours, "levi_hassner_ms": levi_hassner, "ratio": ours / levi_hassner}


def _side(prototxt: Path) -> int:
    """Width of the input a prototxt declares: the last ``dim`` of its first shape."""
    head = prototxt.read_text(encoding="utf-8").split("shape", 1)[1].split("}", 1)[0]
    return int(head.split("dim:")[-1])
