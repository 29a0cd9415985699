"""Keras to int8 TFLite: temperature, calibration on real crops, and a look at what came out."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.calibration import temperature
from convert.errors import ConvertError
from convert.mask import graph, net
from convert.mask.predict import KerasPredictor

_log = logging.getLogger(__name__)


def to_tflite(
    checkpoint: Path,
    out: Path,
    calibration: NDArray[np.uint8],
    crops: NDArray[np.uint8],
    labels: NDArray[np.int64],
    bare_handicap: float = 0.0,
) -> float:
    """Write ``checkpoint`` as an int8 network with uint8 RGB in and calibrated uint8 probabilities out.

    Args:
        calibration: some hundred crops ``(count, S, S, 3)`` uint8 RGB of training faces, from which the ranges of
            the activations are taken.
        crops: validation faces of the same form, with their ``labels``, to find the temperature on.
        bare_handicap: as of :class:`convert.mask.predict.KerasPredictor`.

    Returns:
        The temperature folded into the file.

    Raises:
        ConvertError: the graph that came out would not run on every target, or takes other bytes than raw RGB.
    """
    predictor = KerasPredictor(checkpoint, bare_handicap)
    found = temperature(predictor.logits(crops), labels) if len(crops) else 1.0
    model = net.with_probabilities(net.load(checkpoint), found, predictor.offsets.tolist())
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        model.export(
            folder,
            format="tf_saved_model",
            verbose=False,
            input_signature=[tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)],
        )
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _representative(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.uint8
        out.write_bytes(converter.convert())
    graph.check(out)
    _check_input(out)
    return found


def _representative(crops: NDArray[np.uint8]) -> Iterator[list[NDArray[np.float32]]]:
    """The crops one by one; two corner pixels span the whole range, so that the input's scale is exactly ours."""
    for crop in crops:
        marked = crop.copy()
        marked[0, 0], marked[-1, -1] = 0, 255
        yield [net.as_input(marked[None])]


def _check_input(path: Path) -> None:
    interpreter = graph.interpreter_class()(model_path=str(path))
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    if zero_point != net.INPUT_ZERO_POINT or abs(scale - net.INPUT_SCALE) > 1e-6:
        raise ConvertError(f"{path} takes bytes at scale {scale} and zero point {zero_point}, not raw RGB")
