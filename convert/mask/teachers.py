"""Trained networks that teach another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.images import scaled
from convert.mask import net

_BATCH = 128


class Teachers:
    """Several networks asked as one: the mean of their logits.

    Networks of different trainings make different mistakes: together they are right more often than each alone
    (Lakshminarayanan et al., NeurIPS 2017), which is worth learning from. One that looks at larger crops sees more.

    Args:
        paths: checkpoints of ``train``, and files that ship.

    Raises:
        ConvertError: a file is missing or holds another network.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._models = [net.load(path) for path in paths]
        self.size = max((net.size(model) for model in self._models), default=0)
        """Side of the crops that the largest of them takes; 0 if there is none."""

    def __bool__(self) -> bool:
        return bool(self._models)

    def tell(self, crops_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities ``(n, 3)`` of crops ``(n, side, side, 3)`` uint8 RGB of any side."""
        parts = [crops_rgb[begin : begin + _BATCH] for begin in range(0, len(crops_rgb), _BATCH)]
        return np.concatenate([self._tell(part) for part in parts])

    def _tell(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = [model.predict_on_batch(net.as_input(scaled(crops, net.size(model)))) for model in self._models]
        return np.asarray(tf.nn.softmax(np.mean(logits, axis=0)), np.float32)
