"""What a TFLite graph may hold if every target is to run it; needs no TensorFlow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.errors import ConvertError

#: A Dense layer quantised per channel crashes tflite-runtime 2.14 on ARM, and the process with it.
REFUSED_OPS = frozenset({"FULLY_CONNECTED"})


def interpreter_class() -> Any:
    """The ``Interpreter`` of whichever TFLite runtime is installed.

    Raises:
        ConvertError: none is.
    """
    for module in (
        "ai_edge_litert.interpreter",
        "tflite_runtime.interpreter",
        "tensorflow.lite.python.interpreter",
    ):
        try:
            return __import__(module, fromlist=["Interpreter"]).Interpreter
        except (ImportError, AttributeError):
            continue
    raise ConvertError("no TFLite runtime is installed: pip install ai-edge-litert")


def _opened(path: Path) -> Any:
    try:
        return interpreter_class()(model_path=str(path))
    except (ValueError, RuntimeError) as error:
        raise ConvertError(f"{path} is no TFLite model: {error}") from error


def operators(path: Path) -> list[str]:
    """Names of the graph's operators in order of execution; a runtime's own delegates are left out.

    Raises:
        ConvertError: the file is no TFLite model.
    """
    interpreter = _opened(path)
    # The runtimes have no public way to list a graph's operators; both of them have had this one since 2.5.
    names = (str(operator["op_name"]) for operator in interpreter._get_ops_details())
    return [name for name in names if name != "DELEGATE"]


def multiply_adds(path: Path) -> int:
    """Multiplications of one inference, from the shapes of its convolutions' kernels and outputs."""
    interpreter = _opened(path)
    shapes = {
        tensor["index"]: [int(side) for side in tensor["shape"]] for tensor in interpreter.get_tensor_details()
    }
    total = 0
    for operator in interpreter._get_ops_details():
        if operator["op_name"] in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            # Kernels are (out, height, width, in); a depthwise one is (1, height, width, channels).
            kernel, output = shapes[operator["inputs"][1]], shapes[operator["outputs"][0]]
            total += math.prod(output[1:3]) * math.prod(kernel)
    return total


def input_size(path: Path) -> int:
    """Side of the square image that the network takes.

    Raises:
        ConvertError: the file is no TFLite model.
    """
    return int(_opened(path).get_input_details()[0]["shape"][1])


def convolutions(path: Path) -> list[tuple[tuple[int, ...], NDArray[np.float32], NDArray[np.float32]]]:
    """Shape, kernel and bias of each convolution in order of execution, as floats and in Keras' axes.

    Raises:
        ConvertError: the file is no TFLite model, or a kernel is not quantised per channel.
    """
    interpreter = _opened(path)
    interpreter.allocate_tensors()
    details = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    found = []
    for operator in interpreter._get_ops_details():
        depthwise = operator["op_name"] == "DEPTHWISE_CONV_2D"
        if not depthwise and operator["op_name"] != "CONV_2D":
            continue
        kernel, bias = (_as_float(interpreter, details[index], path) for index in list(operator["inputs"])[1:3])
        # (out, height, width, in); a depthwise one is (1, height, width, channels)
        kernel = kernel.transpose(1, 2, 3, 0)
        found.append((kernel.shape, kernel, bias))
    return found


def _as_float(interpreter: Any, tensor: dict[str, Any], path: Path) -> NDArray[np.float32]:
    quantised = tensor["quantization_parameters"]
    scales = np.asarray(quantised["scales"], np.float32)
    values = np.asarray(interpreter.get_tensor(tensor["index"]))
    if not len(scales) or np.any(quantised["zero_points"]):
        raise ConvertError(f"{path} holds a convolution that is not quantised per channel")
    sides = [1] * values.ndim
    sides[int(quantised["quantized_dimension"])] = len(scales)
    return np.asarray(values * scales.reshape(sides), np.float32)


def check(path: Path) -> None:
    """Refuse a graph that would crash on a target.

    Raises:
        ConvertError: it holds such an operator, or takes something else than one uint8 image.
    """
    refused = sorted(REFUSED_OPS.intersection(operators(path)))
    if refused:
        raise ConvertError(
            f"{path} holds {', '.join(refused)}, which crashes tflite-runtime on ARM; end with a 1 x 1 convolution"
        )
    interpreter = _opened(path)
    (source,) = interpreter.get_input_details()
    if source["dtype"].__name__ != "uint8" or int(source["shape"][0]) != 1:
        raise ConvertError(
            f"{path} takes {source['dtype'].__name__} {list(source['shape'])}, not uint8 [1, S, S, 3]"
        )
