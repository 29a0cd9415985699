"""A PyTorch module as a Caffe graph: traced with torch.fx, batch norm folded into the convolutions before it.

What it takes: Conv2d, ConvTranspose2d, BatchNorm2d (after a Conv2d), ReLU, ReLU6, LeakyReLU, Sigmoid, Softmax,
MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), Linear, Flatten, Dropout, Identity, nearest ×2 Upsample (as a grouped
deconvolution of ones); in `forward`: `+`, torch.cat, torch.relu, torch.sigmoid, torch.flatten, `.flatten(n)`.
Anything else raises ConvertError with the operation's name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse

from convert.caffe.graph import Array, Graph, Pair
from convert.errors import ConvertError


def _array(tensor: torch.Tensor | None) -> Array | None:
    return None if tensor is None else tensor.detach().cpu().numpy().astype(np.float32)


def _pair(value: Any) -> Pair:
    return (int(value[0]), int(value[1])) if isinstance(value, tuple) else (int(value), int(value))


def _upsample(graph: Graph, name: str, bottom: str, channels: int) -> str:
    ones = np.ones((channels, 1, 2, 2), np.float32)
    return graph.convolution(name, bottom, ones, stride=(2, 2), groups=channels, transposed=True)


class _Translator:
    """Adds one fx node after the other to the graph."""

    def __init__(self, traced: fx.GraphModule, graph: Graph, shapes: Mapping[str, torch.Size]) -> None:
        self._modules = dict(traced.named_modules())
        self._graph = graph
        self._shapes = shapes

    def node(self, node: fx.Node, name: str, bottoms: list[str]) -> str:
        """The name of the layer's output."""
        if node.op == "call_module":
            return self._module(self._modules[str(node.target)], name, bottoms[0], node)
        return self._function(node, name, bottoms)

    def _module(self, module: nn.Module, name: str, bottom: str, node: fx.Node) -> str:
        graph = self._graph
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            return self._convolution(module, name, bottom)
        if isinstance(module, nn.Linear):
            weight = _array(module.weight)
            assert weight is not None  # Linear always has one
            return graph.inner_product(name, bottom, weight, _array(module.bias))
        if isinstance(module, nn.ReLU6):
            return graph.simple("ReLU6", name, bottom)
        if isinstance(module, nn.ReLU):
            return graph.relu(name, bottom)
        if isinstance(module, nn.LeakyReLU):
            return graph.relu(name, bottom, negative_slope=module.negative_slope)
        if isinstance(module, nn.Sigmoid):
            return graph.simple("Sigmoid", name, bottom)
        if isinstance(module, nn.Softmax):
            return graph.softmax(name, bottom, int(module.dim if module.dim is not None else 1))
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            return self._pooling(module, name, bottom)
        if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
            return graph.pooling(name, bottom, "AVE", kernel=None)
        if isinstance(module, nn.Flatten):
            return graph.flatten(name, bottom, module.start_dim)
        if isinstance(module, nn.Upsample) and module.mode == "nearest" and module.scale_factor in (2, 2.0, (2, 2)):
            return _upsample(graph, name, bottom, self._shapes[node.name][1])
        if isinstance(module, nn.Dropout | nn.Identity):
            return bottom
        raise ConvertError(f"{name}: {module} has no counterpart in OpenCV's Caffe importer")

    def _convolution(self, module: nn.Conv2d | nn.ConvTranspose2d, name: str, bottom: str) -> str:
        if isinstance(module.padding, str) or module.padding_mode != "zeros":
            raise ConvertError(f"{name}: give the padding in pixels and with zeros")
        weight = _array(module.weight)
        assert weight is not None  # a convolution always has one
        return self._graph.convolution(
            name, bottom, weight, _array(module.bias), stride=_pair(module.stride), pad=_pair(module.padding),
            groups=module.groups, dilation=_pair(module.dilation), transposed=isinstance(module,
            nn.ConvTranspose2d),
        )  # fmt: skip

    def _pooling(self, module: nn.MaxPool2d | nn.AvgPool2d, name: str, bottom: str) -> str:
        if isinstance(module, nn.AvgPool2d) and _pair(module.padding) != (0, 0):
            raise ConvertError(
                f"{name}: frameworks disagree on padded average pooling; pad by a convolution instead"
            )
        stride = module.stride if module.stride is not None else module.kernel_size
        return self._graph.pooling(
            name, bottom, "MAX" if isinstance(module, nn.MaxPool2d) else "AVE", kernel=_pair(module.kernel_size),
            stride=_pair(stride), pad=_pair(module.padding), ceil_mode=bool(module.ceil_mode),
        )  # fmt: skip

    def _function(self, node: fx.Node, name: str, bottoms: list[str]) -> str:
        graph, target = self._graph, node.target
        if target in (operator.add, operator.iadd, torch.add) and len(bottoms) == 2:
            return graph.eltwise(name, bottoms, "SUM")
        if target in (operator.mul, torch.mul) and len(bottoms) == 2:
            return graph.eltwise(name, bottoms, "PROD")
        if target is torch.cat:
            axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
            return graph.concat(name, bottoms, int(axis))
        if target in (torch.relu, nn.functional.relu, "relu"):
            return graph.relu(name, bottoms[0])
        if target in (torch.sigmoid, "sigmoid"):
            return graph.simple("Sigmoid", name, bottoms[0])
        if target in (torch.flatten, "flatten"):
            axis = node.kwargs.get("start_dim", node.args[1] if len(node.args) > 1 else 0)
            end = node.kwargs.get("end_dim", node.args[2] if len(node.args) > 2 else -1)
            if end != -1:
                raise ConvertError(f"{name}: OpenCV flattens to the last dimension, not to {end}")
            return graph.flatten(name, bottoms[0], int(axis))
        raise ConvertError(f"{name}: '{target}' has no counterpart in OpenCV's Caffe importer")


def _bottoms(node: fx.Node, names: Mapping[fx.Node, str]) -> list[str]:
    found: list[str] = []
    fx.node.map_arg((node.args, node.kwargs), lambda arg: found.append(names[arg]))
    return found


def _output_nodes(traced: fx.GraphModule) -> list[fx.Node]:
    (end,) = (node for node in traced.graph.nodes if node.op == "output")
    found: list[fx.Node] = []
    fx.node.map_arg(end.args, found.append)
    return found


def _trace(module: nn.Module, inputs: Mapping[str, Sequence[int]]) -> tuple[fx.GraphModule, dict[str, torch.Size]]:
    module = module.eval()
    try:
        traced: fx.GraphModule = fuse(fx.symbolic_trace(module))
    except (fx.proxy.TraceError, RuntimeError) as error:
        raise ConvertError(f"the module's forward depends on its data and cannot be traced: {error}") from error
    shapes: dict[str, torch.Size] = {}

    class Recorder(fx.Interpreter):  # type: ignore[misc]  # torch is not followed by mypy
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if isinstance(result, torch.Tensor):
                shapes[n.name] = result.shape
            return result

    with torch.no_grad():
        Recorder(traced).run(*(torch.zeros(*shape) for shape in inputs.values()))
    return traced, shapes


def from_torch(
    module: nn.Module,
    inputs: Mapping[str, Sequence[int]],
    *,
    name: str,
    outputs: Sequence[str],
    rename: Callable[[str], str] = lambda layer: layer,
) -> Graph:
    """Translate a module.

    Args:
        module: the network, float32; it is put in evaluation mode and copied, not changed otherwise.
        inputs: name and shape (N, C, H, W) of each argument of `forward`, in order.
        name: the network's name.
        outputs: names for what `forward` returns (a tensor or a tuple), in order.
        rename: the Caffe name for a layer's traced name.

    Raises:
        ConvertError: an operation has no counterpart, or the numbers of inputs or outputs do not match.
    """
    traced, shapes = _trace(module, inputs)
    ends = _output_nodes(traced)
    if len(ends) != len(outputs):
        raise ConvertError(f"forward returns {len(ends)} tensors, but {len(outputs)} output names were given")
    called = dict(zip(ends, outputs, strict=True))
    graph = Graph(name, inputs)
    translator = _Translator(traced, graph, shapes)
    names: dict[fx.Node, str] = {}
    free_inputs = iter(inputs)
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            names[node] = next(free_inputs)
        elif node.op in ("call_module", "call_function", "call_method"):
            names[node] = translator.node(node, called.get(node) or rename(node.name), _bottoms(node, names))
        elif node.op != "output":
            raise ConvertError(f"{node.name}: a bare tensor in forward; use a layer instead")
    return graph
