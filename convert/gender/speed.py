"""How long a face takes, against the network of Levi and Hassner on the same machine in the same minute."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from convert.gender import levi_hassner
from edge_agent.vision.dnn import load_caffe


def compare(prototxt: Path, caffemodel: Path, side: int, *, rounds: int = 40) -> dict[str, float]:
    """Median milliseconds a face of a network and of Levi and Hassner's, one thread, taken in turns.

    Args:
        prototxt, caffemodel: the network to compare.
        side: of its square input, pixels.
        rounds: forward passes of each.

    Returns:
        ``ms``, ``levi_hassner_ms`` and their ``ratio``.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        nets = (load_caffe(prototxt, caffemodel, backend="cpu"), levi_hassner.network())
        sides = (side, levi_hassner.SIZE)
        taken: tuple[list[float], list[float]] = ([], [])
        for turn in range(rounds + 3):
            for net, pixels, times in zip(nets, sides, taken, strict=True):
                net.setInput(np.zeros((1, 3, pixels, pixels), np.float32))
                begin = time.perf_counter()
                net.forward()
                if turn >= 3:  # the first passes allocate
                    times.append((time.perf_counter() - begin) * 1e3)
    finally:
        cv2.setNumThreads(threads)
    ours, theirs = (float(np.median(times)) for times in taken)
    return {"ms": ours, "levi_hassner_ms": theirs, "ratio": ours / theirs}
