"""One way to ask any trained file: a Keras model, or a TFLite model in either runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from convert.errors import ConvertError
from convert.mask import folds, shapes
from convert.mask.faces import Faces
from edge_agent.errors import ModelError
from edge_agent.types import LABELS
from edge_agent.vision.tflite import RuntimeName, TFLiteModel

Crops = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


class Predictor(Protocol):
    """``size`` is the side of the crops it takes; calling it gives ``(count, 3)`` probabilities."""

    size: int
    name: str

    def __call__(self, crops: Crops) -> Probabilities:
        """Probabilities of ``(count, size, size, 3)`` uint8 RGB crops."""
        ...


class TFLitePredictor:
    """A shipped network, asked as the device asks it: one crop after the other."""

    def __init__(self, path: Path, runtime: RuntimeName = "auto") -> None:
        self._model = TFLiteModel(path, runtime=runtime)
        self.size = self._model.input_shape[1]
        self.name = self._model.runtime
        if self._model.input_dtype != np.uint8 or self._model.output_shape != (1, len(LABELS)):
            raise ConvertError(
                f"{path} is no mask network: it must take uint8 RGB and give {len(LABELS)} probabilities"
            )

    def __call__(self, crops: Crops) -> Probabilities:
        answers = [self._model.run(crop[None])[0] for crop in crops]
        return np.stack(answers) if answers else np.empty((0, len(LABELS)), np.float32)


class KerasPredictor:
    """A training checkpoint; logits are turned into probabilities.

    ``bare_handicap`` is taken off the logit of ``no_mask``: where the network wavers between a bare face and a mask
    worn badly, it says the latter. Both are violations, and bare faces are seldom in doubt.

    Raises (constructor):
        ConvertError: Keras is not installed, or the file is missing, cannot be read or is no mask network.
    """

    def __init__(self, path: Path, bare_handicap: float = 0.0) -> None:
        try:
            import keras

            from convert.mask import net
        except ImportError as error:
            raise ConvertError(f"{path} needs Keras: pip install 'edge-agent[convert]' ({error})") from error
        self._as_input = net.as_input
        self._model = net.load(path)
        self._softmax = keras.ops.softmax
        self.size = shapes.check_model(path, self._model.input_shape, self._model.output_shape)
        self.name = "keras"
        self.offsets = np.array([0.0, -bare_handicap, 0.0], np.float32)

    def logits(self, crops: Crops) -> Probabilities:
        """The network's last layer, ``(count, 3)``, with the handicap."""
        answers = self._model.predict(self._as_input(crops), batch_size=128, verbose=0)
        return np.asarray(answers, dtype=np.float32) + self.offsets

    def __call__(self, crops: Crops) -> Probabilities:
        return np.asarray(self._softmax(self.logits(crops)), dtype=np.float32)


def open_predictor(path: Path, runtime: RuntimeName = "auto") -> Predictor:
    """Open a ``.tflite``, ``.keras`` or ``.h5`` file.

    Raises:
        ConvertError: there is no such file, it is of another kind, or nothing here can run it.
    """
    if not path.is_file():
        raise ConvertError(f"{path} does not exist")
    if path.suffix == ".tflite":
        try:
            return TFLitePredictor(path, runtime)
        except ModelError as error:
            raise ConvertError(str(error)) from error
    if path.suffix in {".keras", ".h5"}:
        return KerasPredictor(path)
    raise ConvertError(f"{path}: only .tflite, .keras and .h5 files can be evaluated")


def by_fold(predictors: Sequence[Predictor], faces: Faces) -> Probabilities:
    """Probabilities ``(count, 3)``, each face's by the network trained without its fold, in the folds' order.

    Raises:
        ConvertError: the networks take crops of different sizes.
    """
    if len({predictor.size for predictor in predictors}) > 1:
        raise ConvertError("the networks of the folds take crops of different sizes; give those of one recipe")
    where = np.array([folds.number(record.group, len(predictors)) for record in faces.records])
    answers = np.zeros((len(faces.records), len(LABELS)), np.float32)
    for number, predictor in enumerate(predictors, start=1):
        if (where == number).any():
            answers[where == number] = predictor(faces.crops[where == number])
    return answers
