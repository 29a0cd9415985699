"""Labels that a sure network disputes, and training without them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convert.mask import net
from convert.mask.patches import PatchSet, central_crops
from convert.mask.records import INCORRECT, NO_MASK
from convert.mask.sampling import Sampler
from convert.mask.teachers import Teachers

_log = logging.getLogger(__name__)


class Cleaning(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Takes doubtful labels out: where the averaged net is sure of another class.

    That is after some epochs, or at once when a trained network is trained on; teachers are asked in its place.

    Only bare and incorrect faces of scenes and incorrect singles are asked; the other labels were checked by eye.
    """

    def __init__(
        self,
        sampler: Sampler,
        patches: PatchSet,
        indices: list[int],
        out: Path,
        teachers: Teachers,
        *,
        size: int,
        trained: bool,
        after: int,
        doubt: float,
    ) -> None:
        """`trained`: the network is one already; else it is asked from the epoch `after` on. `doubt`: the
        probability from which it is sure."""
        super().__init__()
        self._teachers = teachers
        self._sampler = sampler
        self._patches = patches
        self._asked = [
            index
            for index in indices
            if patches[index].label == INCORRECT
            or (patches[index].origin == "scene" and patches[index].label == NO_MASK)
        ]
        self._size = size
        self._at_once = trained or bool(teachers)
        self._after = after
        self._doubt = doubt
        self._out = out / "doubted.json"

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._out.is_file():
            self._sampler.forget(json.loads(self._out.read_text()))
        elif self._at_once:
            self._clean()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Also later: a training that was killed before it had cleaned goes on at the next epoch.
        if epoch + 1 >= self._after and not self._out.is_file():
            self._clean()

    def _clean(self) -> None:
        if not self._asked:
            return
        if self._teachers:
            scores = self._teachers.tell(central_crops(self._patches, self._asked, self._teachers.size))
        else:
            crops = central_crops(self._patches, self._asked, self._size)
            scores = tf.nn.softmax(self.model.predict(net.as_input(crops), batch_size=128, verbose=0)).numpy()
        labels = np.array([self._patches[index].label for index in self._asked])
        scores[np.arange(len(labels)), labels] = 0
        sure = scores.max(axis=1) > self._doubt
        doubted = [index for index, doubt in zip(self._asked, sure, strict=True) if doubt]
        part = self._out.with_suffix(".part")
        part.write_text(json.dumps(doubted))
        part.replace(self._out)  # whole or not there
        self._sampler.forget(doubted)
        _log.info("%d of %d labels are doubted and left out from here on", len(doubted), len(self._asked))
