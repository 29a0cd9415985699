"""The mask classifier: how a face is worn, from a quantised TFLite network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_agent.errors import ModelError
from edge_agent.types import LABELS, Image, MaskScores
from edge_agent.vision.crops import CropMargins, face_crop
from edge_agent.vision.manifest import ModelEntry
from edge_agent.vision.tflite import RuntimeName, TFLiteModel


class MaskClassifier:
    """Probabilities of mask, no_mask and incorrect for a face. Used by one thread only.

    Args:
        path: the network; it takes one uint8 RGB square and answers with three numbers.
        entry: what the manifest says of it; `labels` gives the order of its three outputs.

    Raises:
        ModelError: the file is no such network, or the manifest speaks of another.
    """

    def __init__(
        self,
        path: Path,
        entry: ModelEntry,
        *,
        runtime: RuntimeName = "auto",
        threads: int = 1,
        delegate: Path | None = None,
    ) -> None:
        self._model = TFLiteModel(path, runtime=runtime, threads=threads, delegate=delegate)
        shape = self._model.input_shape
        square = len(shape) == 4 and shape[0] == 1 and shape[1] == shape[2] and shape[3] == 3
        if not square or self._model.input_dtype != np.uint8 or self._model.output_shape != (1, len(LABELS)):
            raise ModelError(
                f"{path}: wrong shape: expected uint8 [1, S, S, 3] in and [1, {len(LABELS)}] out, "
                f"found {self._model.input_dtype} {list(shape)} in and {list(self._model.output_shape)} out"
            )
        given = entry.input
        if given is None or (given.width, given.height, given.colour) != (shape[1], shape[1], "RGB"):
            said = f"{given.colour} of {given.width} x {given.height}" if given else "nothing"
            raise ModelError(
                f"{path}: takes RGB of {shape[1]} x {shape[1]}, the manifest's input of {entry.name} says {said}; "
                "correct the manifest"
            )
        if sorted(entry.labels) != sorted(LABELS):
            raise ModelError(
                f"{path}: the manifest gives {entry.name} the labels {', '.join(entry.labels) or 'none'}; "
                f"give {', '.join(LABELS)} in the order of its outputs"
            )
        self._order = [entry.labels.index(label) for label in LABELS]
        self._margins = CropMargins.of(given.crop)
        self._batch = np.zeros(shape, np.uint8)
        self.runtime = self._model.runtime

    @property
    def net_ms(self) -> float:
        """Milliseconds of the latest bare inference."""
        return self._model.net_ms

    def classify(self, image: Image, box: Sequence[float]) -> MaskScores | None:
        """Scores of the face in `box` (pixels of `image`); None if the box holds no pixel of it."""
        try:
            face_crop(image, box, self._batch.shape[1], self._margins, out=self._batch[0])
        except ValueError:
            return None
        scores = self._model.run(self._batch)[0].tolist()
        mask, no_mask, incorrect = self._order
        return MaskScores(scores[mask], scores[no_mask], scores[incorrect])
