"""Does OpenCV compute what the training framework computes?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn


def largest_difference(
    module: nn.Module,
    prototxt: Path,
    caffemodel: Path,
    shape: Sequence[int],
    *,
    outputs: Sequence[str] | None = None,
    amplitude: float = 1.0,
    seed: int = 0,
) -> float:
    """Run both on the same noise and return the largest difference, relative to the largest output (at least 1).

    Args:
        module: the network that was exported; put in evaluation mode.
        prototxt, caffemodel: what it was exported to.
        shape: of the input, (N, C, H, W); noise is fed.
        outputs: the layers to compare, in the order of what `forward` returns; default: all unconnected ones.
        amplitude: of the noise, both signs: what the network takes, 1 or 255.
        seed: of the noise.
    """
    noise = np.random.default_rng(seed).uniform(-amplitude, amplitude, tuple(shape)).astype(np.float32)
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(noise))
    if isinstance(expected, torch.Tensor):
        expected = (expected,)
    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
    net.setInput(noise)
    found = net.forward(list(outputs if outputs is not None else net.getUnconnectedOutLayersNames()))
    if len(found) != len(expected):
        raise ValueError(f"forward returns {len(expected)} tensors, OpenCV {len(found)}")
    worst = 0.0
    for ours, theirs in zip(expected, found, strict=True):
        reference = ours.numpy()
        scale = max(1.0, float(np.abs(reference).max()))
        worst = max(worst, float(np.abs(reference - theirs.reshape(reference.shape)).max()) / scale)
    return worst
