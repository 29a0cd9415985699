"""The gender classifier: a Caffe network of the contract that Levi and Hassner set in 2015.

A square of a face goes in, two probabilities come out. What exactly goes in (size, colour order, mean, scale, room
around the box) stands in the manifest, so that their network can be configured in place of ours. An answer counts
from the manifest's threshold on; below it a gender is `unknown`. That is decided where the looks at one person are
put together, not here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_agent.errors import ModelError
from edge_agent.types import GenderScores, Image
from edge_agent.vision.blob import Blob
from edge_agent.vision.crops import CropMargins, face_crop
from edge_agent.vision.dnn import Backend, load_caffe
from edge_agent.vision.manifest import ModelEntry
from edge_agent.vision.store import ModelStore

_LABELS = ("male", "female")


class GenderClassifier:
    """Probabilities of male and female for a face. Used by one thread only.

    Args:
        prototxt: structure of a network that ends in a softmax over two classes.
        caffemodel: its weights.
        entry: what the manifest says of it; `labels` gives the order of its two outputs.
        backend: where it is computed.

    Raises:
        ModelError: the files are no such network, or the entry doesn't say what it is fed.
    """

    def __init__(self, prototxt: Path, caffemodel: Path, entry: ModelEntry, *, backend: Backend = "auto") -> None:
        given = entry.input
        if given is None or given.width != given.height or sorted(entry.labels) != sorted(_LABELS):
            raise ModelError(f"{entry.name}: the manifest must give a square input and the labels male and female")
        self._net = load_caffe(prototxt, caffemodel, backend=backend)
        self._size = given.width
        # face_crop delivers RGB.
        self._blob = Blob(mean=given.mean, scale=given.scale, reverse=given.colour == "BGR")
        self._margins = CropMargins.of(given.crop)
        self._male = entry.labels.index("male")
        self.net_ms = 0.0
        """Milliseconds of the latest bare inference."""
        self._crop = np.zeros((self._size, self._size, 3), np.uint8)
        # The first run allocates and would fail late; run here, both happen while the program starts.
        try:
            found = self._run()
        except cv2.error as error:
            raise ModelError(
                f"{prototxt}: can't take {self._size} x {self._size} pixels, as the manifest's input of "
                f"{entry.name} says: {error.err or error}"
            ) from error
        if found.shape != (2,) or not np.isclose(found.sum(), 1.0, atol=1e-3):
            raise ModelError(f"{prototxt}: must answer with two probabilities, found {found.tolist()}")

    @classmethod
    def load(cls, store: ModelStore, name: str, *, backend: Backend = "auto") -> GenderClassifier:
        """The model called `name` from verified files; raises ModelError as `ModelStore.paths` does."""
        prototxt, caffemodel = store.paths(name, ".prototxt", ".caffemodel")
        return cls(prototxt, caffemodel, store.entry(name), backend=backend)

    def classify(self, image: Image, box: Sequence[float], *, mirrored: bool = False) -> GenderScores | None:
        """Probabilities of the face in a box.

        Args:
            image: `(height, width, 3)` uint8, BGR.
            box: x1, y1, x2, y2 in pixels of `image`; may reach over its edges.
            mirrored: whether the network is to see it in a mirror.

        Returns:
            Scores that sum to 1; None if the box holds no pixel of the image.
        """
        try:
            face_crop(image, box, self._size, self._margins, out=self._crop)
        except ValueError:
            return None
        if mirrored:
            self._crop[:] = cv2.flip(self._crop, 1)
        found = self._run()
        male = float(found[self._male])
        return GenderScores(male=male, female=1.0 - male)

    def _run(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """The network's answer to the crop, flattened."""
        self._blob.feed(self._net, self._crop)
        begin = time.perf_counter()
        found = self._net.forward()
        self.net_ms = (time.perf_counter() - begin) * 1e3
        return np.asarray(found, np.float32).ravel()
