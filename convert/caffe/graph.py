"""A Caffe network, layer by layer, and the two files it is written to.

Only layer types that OpenCV 4's Caffe importer knows. Every method adds a layer and returns the name of its
output, which is what the next layer takes. Arrays are NCHW, weights [out, in/groups, height, width] (as in Caffe
and PyTorch); a deconvolution's are [in, out/groups, height, width].

    graph = Graph("net", {"data": (1, 3, 224, 224)})
    top = graph.relu(graph.convolution("conv1", "data", weight, bias, stride=(2, 2), pad=(1, 1)))
    export(graph, Path("net.prototxt"), Path("net.caffemodel"), fp16=True)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray

from convert.caffe.schema import FLOAT16, new_net
from convert.errors import ConvertError

Array = NDArray[np.float32]
Pair = tuple[int, int]


class Graph:
    """A network under construction.

    Args:
        name: name of the network, written into the files.
        inputs: input name to its shape (N, C, H, W); the shape is the one the prototxt starts with, a fully
            convolutional net takes others at run time.
    """

    def __init__(self, name: str, inputs: Mapping[str, Sequence[int]]) -> None:
        self._net = new_net(name)
        self._tops: set[str] = set()
        for top, shape in inputs.items():
            layer = self._layer("Input", top, [])
            layer.input_param.shape.add(dim=list(shape))

    @property
    def message(self) -> Any:
        """The protobuf NetParameter with structure and weights (float32)."""
        return self._net

    def _layer(self, kind: str, name: str, bottoms: Sequence[str]) -> Any:
        if name in self._tops:
            raise ConvertError(f"layer '{name}' is in the network twice")
        for bottom in bottoms:
            if bottom not in self._tops:
                raise ConvertError(f"layer '{name}' takes '{bottom}', which no earlier layer gives")
        self._tops.add(name)
        return self._net.layer.add(name=name, type=kind, bottom=list(bottoms), top=[name])

    @staticmethod
    def _blob(layer: Any, array: Array) -> None:
        blob = layer.blobs.add()
        blob.shape.dim.extend(array.shape)
        blob.data.extend(np.ascontiguousarray(array, dtype=np.float32).ravel().tolist())

    def convolution(
        self, name: str, bottom: str, weight: Array, bias: Array | None = None, *, stride: Pair = (1, 1),
        pad: Pair = (0, 0), groups: int = 1, dilation: Pair = (1, 1), transposed: bool = False,
    ) -> str:  # fmt: skip
        """A convolution, or with `transposed` a deconvolution; depthwise when `groups` equals the input
        channels.
        """
        layer = self._layer("Deconvolution" if transposed else "Convolution", name, [bottom])
        param = layer.convolution_param
        param.num_output = weight.shape[1] * groups if transposed else weight.shape[0]
        param.bias_term = bias is not None
        param.kernel_h, param.kernel_w = weight.shape[2:]
        param.stride_h, param.stride_w = stride
        param.pad_h, param.pad_w = pad
        if groups != 1:
            param.group = groups
        if dilation != (1, 1):
            param.dilation.extend(dilation)
        self._blob(layer, weight)
        if bias is not None:
            self._blob(layer, bias)
        return name

    def inner_product(self, name: str, bottom: str, weight: Array, bias: Array | None = None) -> str:
        """A fully connected layer over everything but the batch; weight [out, in]."""
        layer = self._layer("InnerProduct", name, [bottom])
        layer.inner_product_param.num_output = weight.shape[0]
        layer.inner_product_param.bias_term = bias is not None
        self._blob(layer, weight)
        if bias is not None:
            self._blob(layer, bias)
        return name

    def relu(self, name: str, bottom: str, *, negative_slope: float = 0.0) -> str:
        """max(x, 0), or a leaky one."""
        layer = self._layer("ReLU", name, [bottom])
        if negative_slope:
            layer.relu_param.negative_slope = negative_slope
        return name

    def simple(self, kind: str, name: str, bottom: str) -> str:
        """A layer without settings: `ReLU6`, `Sigmoid`, `TanH`, `Dropout`…"""
        self._layer(kind, name, [bottom])
        return name

    def eltwise(self, name: str, bottoms: Sequence[str], operation: str) -> str:
        """Element by element `SUM`, `PROD` or `MAX` of outputs of one shape."""
        layer = self._layer("Eltwise", name, bottoms)
        layer.eltwise_param.operation = ("PROD", "SUM", "MAX").index(operation)
        return name

    def concat(self, name: str, bottoms: Sequence[str], axis: int = 1) -> str:
        """Outputs one after the other along `axis`."""
        self._layer("Concat", name, bottoms).concat_param.axis = axis
        return name

    def pooling(
        self, name: str, bottom: str, method: str, *, kernel: Pair | None, stride: Pair = (1, 1),
        pad: Pair = (0, 0), ceil_mode: bool = False,
    ) -> str:  # fmt: skip
        """`MAX` or `AVE` pooling; `kernel=None` pools the whole map to 1×1."""
        param = self._layer("Pooling", name, [bottom]).pooling_param
        param.pool = ("MAX", "AVE").index(method)
        if kernel is None:
            param.global_pooling = True
            return name
        param.kernel_h, param.kernel_w = kernel
        param.stride_h, param.stride_w = stride
        param.pad_h, param.pad_w = pad
        param.ceil_mode = ceil_mode
        return name

    def flatten(self, name: str, bottom: str, axis: int = 1) -> str:
        """Everything from `axis` on in one dimension."""
        self._layer("Flatten", name, [bottom]).flatten_param.axis = axis
        return name

    def softmax(self, name: str, bottom: str, axis: int = 1) -> str:
        """Probabilities along `axis`."""
        self._layer("Softmax", name, [bottom]).softmax_param.axis = axis
        return name


def _halved(net: Any) -> Any:
    """A copy whose weights are float16, the way OpenCV's importer reads them (a quarter of a per mille of
    error).
    """
    half = type(net)()
    half.CopyFrom(net)
    for layer in half.layer:
        for blob in layer.blobs:
            values = np.asarray(blob.data, dtype=np.float32)
            if values.size and np.abs(values).max() > np.finfo(np.float16).max:
                raise ConvertError(
                    f"layer '{layer.name}' has weights beyond float16; export it with float32 weights"
                )
            blob.raw_data_type = FLOAT16
            blob.raw_data = values.astype("<f2").tobytes()
            del blob.data[:]
    return half


def export(graph: Graph, prototxt: Path, caffemodel: Path, *, fp16: bool = False) -> None:
    """Write the network's structure as text and its weights as a binary file.

    Args:
        graph: the network.
        prototxt: file for the structure.
        caffemodel: file for the weights.
        fp16: store weights as float16: half the bytes; OpenCV widens them to float32 when it loads them.

    Raises:
        ConvertError: a weight does not fit float16.
    """
    structure = type(graph.message)()
    structure.CopyFrom(graph.message)
    for layer in structure.layer:
        del layer.blobs[:]
    weights = _halved(graph.message) if fp16 else graph.message
    prototxt.write_text(text_format.MessageToString(structure), encoding="utf-8")
    caffemodel.write_bytes(weights.SerializeToString(deterministic=True))
