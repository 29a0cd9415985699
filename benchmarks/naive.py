"""The ancestor's pipeline: every network on every face of every frame.

A 300×300 res10 face net (its real weights: with random ones there would be no faces), MobileNetV2 at 224×224 in
float32 and Levi–Hassner's gender net, both with random weights of the real architecture, whose speed is the same.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.ancestor import mobilenet
from edge_agent.types import Image
from edge_agent.vision.store import ModelStore, bundled_directory

Backend = Literal["keras", "tflite"]

_CONFIDENCE = 0.5
_FACE_MEAN = (104.0, 177.0, 123.0)
_GENDER_MEAN = (78.4263377603, 87.7689143744, 114.895847746)


class MaskNet(Protocol):
    def __call__(self, faces: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities ``(N, 2)`` of ``(N, 224, 224, 3)`` float32 RGB faces from -1 to 1."""


class NaivePipeline:
    """Faces, then mask and gender of each, for every frame.

    Args:
        backend: ``keras`` calls a Keras model's ``predict`` as the ancestor does, ``tflite`` the same network
            in the TFLite runtime.
        res10: prototxt and weights of the face net.
        scratch: a folder for the networks with random weights; those that are there already are taken.
    """

    def __init__(self, backend: Backend, res10: tuple[Path, Path], scratch: Path) -> None:
        self.backend = backend
        self._faces = cv2.dnn.readNetFromCaffe(*map(str, res10))
        weights = scratch / "gender.caffemodel"
        if not weights.exists():
            from convert.gender import levi_hassner  # only then: it is no part of the ancestor's start

            levi_hassner.write_weights(weights)
        structure = bundled_directory() / "levi_hassner.prototxt"
        self._gender = cv2.dnn.readNetFromCaffe(str(structure), str(weights))
        self._mask = mask_net(backend, scratch)

    def process(self, frame: Image) -> int:
        """Take one BGR frame through all networks; returns how many faces there were."""
        height, width = frame.shape[:2]
        self._faces.setInput(cv2.dnn.blobFromImage(frame, 1.0, (300, 300), _FACE_MEAN))
        detections = self._faces.forward()[0, 0]
        crops = []
        for detection in detections:
            if detection[2] < _CONFIDENCE:
                continue
            x1, y1, x2, y2 = (detection[3:7] * (width, height, width, height)).astype(int)
            crop = frame[max(y1, 0) : min(y2, height), max(x1, 0) : min(x2, width)]
            if crop.size:
                crops.append(crop)
        if not crops:
            return 0
        faces = [cv2.resize(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB), (mobilenet.SIZE,) * 2) for crop in crops]
        self._mask(np.asarray(faces, np.float32) / 127.5 - 1)
        for crop in crops:
            self._gender.setInput(cv2.dnn.blobFromImage(crop, 1.0, (227, 227), _GENDER_MEAN))
            self._gender.forward()
        return len(crops)


def res10_files() -> tuple[Path, Path]:
    """Structure and weights of the face net; ours corrects a padding, which costs nothing.

    Raises:
        ModelError: the weights are not there; the message has the command that fetches them.
    """
    structure, weights = ModelStore().paths("res10", ".prototxt", ".caffemodel")
    return structure, weights


def mask_net(backend: Backend, scratch: Path) -> MaskNet:
    """The ancestor's mask net alone, for faces ready to be looked at."""
    return _keras_net() if backend == "keras" else _tflite_net(scratch / "mask.tflite")


def backends() -> list[Backend]:
    """The backends that can run here: Keras needs TensorFlow (the `convert` extra)."""
    return ["keras", "tflite"] if find_spec("tensorflow") else ["tflite"]


def _keras_net() -> MaskNet:
    import tensorflow as tf

    # What it computes with is pinned to one core anyway: more threads would only hinder each other.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    layers = tf.keras.layers
    body = tf.keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(mobilenet.SIZE, mobilenet.SIZE, 3)
    )
    top = layers.Flatten()(layers.AveragePooling2D((7, 7))(body.output))
    answer = layers.Dense(mobilenet.CLASSES, activation="softmax")(layers.Dense(128, activation="relu")(top))
    model: Any = tf.keras.Model(body.input, answer)

    def predict(faces: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(model.predict(faces, batch_size=32, verbose=0), np.float32)

    return predict


def _tflite_net(path: Path) -> MaskNet:
    from ai_edge_litert.interpreter import Interpreter

    if not path.exists():
        mobilenet.write_mobilenet(path)
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    answer = interpreter.get_output_details()[0]["index"]

    def invoke(faces: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = []
        for face in faces:
            interpreter.set_tensor(source, face[None])
            interpreter.invoke()
            scores.append(interpreter.get_tensor(answer)[0])
        return np.asarray(scores, np.float32)

    return invoke
