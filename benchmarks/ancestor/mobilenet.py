"""MobileNetV2 (alpha 1, 224×224, float) with random weights, as a TFLite file.

Speed does not depend on the weights, so a benchmark needs neither TensorFlow nor a download to get this net.
Architecture: Sandler et al., "MobileNetV2", CVPR 2018, table 2; the head (a dense layer of 128, then two classes)
is the one that the mask detectors built on it share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from numpy.typing import NDArray

SIZE = 224
CLASSES = 2
#: Expansion, output channels, repeats and first stride of each stage.
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
_SCHEMA_VERSION = 3


class _Builder:
    """Collects tensors and operators of one subgraph; a tensor is referred to by its index."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.buffers: list[Any] = [tfl.BufferT()]
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: dict[int, int] = {}
        self.shapes: list[tuple[int, ...]] = []

    def tensor(self, shape: tuple[int, ...], values: NDArray[np.float32] | None = None) -> int:
        tensor = tfl.TensorT()
        tensor.shape = list(shape)
        tensor.type = tfl.TensorType.FLOAT32
        tensor.name = f"t{len(self.tensors)}"
        tensor.buffer = 0
        if values is not None:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        self.shapes.append(shape)
        return len(self.tensors) - 1

    def random(self, shape: tuple[int, ...], fan_in: int) -> int:
        values = self._rng.normal(0, (2 / fan_in) ** 0.5, shape).astype(np.float32)
        return self.tensor(shape, values)

    def operator(self, code: int, inputs: list[int], shape: tuple[int, ...], kind: int, options: Any) -> int:
        operator = tfl.OperatorT()
        operator.opcodeIndex = self.codes.setdefault(code, len(self.codes))
        operator.inputs = inputs
        operator.outputs = [self.tensor(shape)]
        operator.builtinOptionsType = kind
        operator.builtinOptions = options
        self.operators.append(operator)
        return int(operator.outputs[0])

    def convolution(self, source: int, channels: int, kernel: int, stride: int, *, relu6: bool) -> int:
        _, height, width, depth = self.shapes[source]
        options = tfl.Conv2DOptionsT()
        options.padding, options.strideH, options.strideW = tfl.Padding.SAME, stride, stride
        options.fusedActivationFunction = _activation(relu6)
        inputs = [source, self.random((channels, kernel, kernel, depth), depth * kernel**2), self._bias(channels)]
        shape = (1, -(-height // stride), -(-width // stride), channels)
        return self.operator(
            tfl.BuiltinOperator.CONV_2D, inputs, shape, tfl.BuiltinOptions.Conv2DOptions, options
        )

    def depthwise(self, source: int, stride: int) -> int:
        _, height, width, depth = self.shapes[source]
        options = tfl.DepthwiseConv2DOptionsT()
        options.padding, options.strideH, options.strideW = tfl.Padding.SAME, stride, stride
        options.depthMultiplier = 1
        options.fusedActivationFunction = _activation(True)
        inputs = [source, self.random((1, 3, 3, depth), 9), self._bias(depth)]
        shape = (1, -(-height // stride), -(-width // stride), depth)
        code, kind = tfl.BuiltinOperator.DEPTHWISE_CONV_2D, tfl.BuiltinOptions.DepthwiseConv2DOptions
        return self.operator(code, inputs, shape, kind, options)

    def add(self, one: int, two: int) -> int:
        options = tfl.AddOptionsT()
        code, kind = tfl.BuiltinOperator.ADD, tfl.BuiltinOptions.AddOptions
        return self.operator(code, [one, two], self.shapes[one], kind, options)

    def average(self, source: int) -> int:
        _, height, width, depth = self.shapes[source]
        options = tfl.Pool2DOptionsT()
        options.padding, options.strideH, options.strideW = tfl.Padding.VALID, height, width
        options.filterHeight, options.filterWidth = height, width
        code, kind = tfl.BuiltinOperator.AVERAGE_POOL_2D, tfl.BuiltinOptions.Pool2DOptions
        return self.operator(code, [source], (1, 1, 1, depth), kind, options)

    def dense(self, source: int, units: int, *, relu: bool) -> int:
        depth = self.shapes[source][-1]
        options = tfl.FullyConnectedOptionsT()
        activation = tfl.ActivationFunctionType
        options.fusedActivationFunction = activation.RELU if relu else activation.NONE
        inputs = [source, self.random((units, depth), depth), self._bias(units)]
        code, kind = tfl.BuiltinOperator.FULLY_CONNECTED, tfl.BuiltinOptions.FullyConnectedOptions
        return self.operator(code, inputs, (1, units), kind, options)

    def softmax(self, source: int) -> int:
        options = tfl.SoftmaxOptionsT()
        options.beta = 1.0
        code, kind = tfl.BuiltinOperator.SOFTMAX, tfl.BuiltinOptions.SoftmaxOptions
        return self.operator(code, [source], self.shapes[source], kind, options)

    def _bias(self, channels: int) -> int:
        return self.tensor((channels,), np.zeros(channels, np.float32))


def write_mobilenet(path: Path, seed: int = 0) -> None:
    """Write the network: float32 in ``(1, 224, 224, 3)``, float32 out ``(1, 2)``, probabilities."""
    net = _Builder(seed)
    source = net.tensor((1, SIZE, SIZE, 3))
    top = net.convolution(source, 32, 3, 2, relu6=True)
    for expansion, channels, repeats, first_stride in _STAGES:
        for repeat in range(repeats):
            top = _bottleneck(net, top, expansion, channels, first_stride if repeat == 0 else 1)
    top = net.convolution(top, 1280, 1, 1, relu6=True)
    top = net.dense(net.average(top), 128, relu=True)
    answer = net.softmax(net.dense(top, CLASSES, relu=False))
    path.write_bytes(_packed(net, source, answer))


def _bottleneck(net: _Builder, source: int, expansion: int, channels: int, stride: int) -> int:
    depth = net.shapes[source][-1]
    top = source if expansion == 1 else net.convolution(source, depth * expansion, 1, 1, relu6=True)
    top = net.convolution(net.depthwise(top, stride), channels, 1, 1, relu6=False)
    return net.add(source, top) if stride == 1 and depth == channels else top


def _activation(relu6: bool) -> int:
    return int(tfl.ActivationFunctionType.RELU6 if relu6 else tfl.ActivationFunctionType.NONE)


def _packed(net: _Builder, source: int, answer: int) -> bytes:
    graph = tfl.SubGraphT()
    graph.tensors, graph.operators = net.tensors, net.operators
    graph.inputs, graph.outputs = [source], [answer]
    model = tfl.ModelT()
    model.version = _SCHEMA_VERSION
    model.subgraphs, model.buffers = [graph], net.buffers
    model.operatorCodes = []
    for code in net.codes:
        entry = tfl.OperatorCodeT()
        # All of them are older than the second field, and old readers know only the first.
        entry.builtinCode = entry.deprecatedBuiltinCode = code
        entry.version = 1
        model.operatorCodes.append(entry)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
