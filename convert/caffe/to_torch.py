"""The way back: a written Caffe file in a PyTorch module, so that a training can go on from what ships."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from google.protobuf.message import DecodeError
from torch import fx, nn

from convert.caffe.graph import Array
from convert.caffe.schema import FLOAT16, new_net
from convert.errors import ConvertError

Norms = list[nn.BatchNorm2d]
_WEIGHTED = {nn.Conv2d: "Convolution", nn.Linear: "InnerProduct"}


def _array(blob: Any) -> Array:
    halves = blob.raw_data_type == FLOAT16
    flat = np.frombuffer(blob.raw_data, np.float16) if halves else np.asarray(blob.data)
    return flat.astype(np.float32).reshape(tuple(blob.shape.dim))


def _layers(caffemodel: Path) -> list[tuple[str, str, list[Array]]]:
    """Type, name and arrays of the layers that were trained."""
    net = new_net("")
    try:
        net.ParseFromString(caffemodel.read_bytes())
    except (OSError, DecodeError) as error:
        raise ConvertError(f"{caffemodel} can't be read as a Caffe file: {error}") from error
    return [
        (layer.type, layer.name, [_array(blob) for blob in layer.blobs])
        for layer in net.layer
        if layer.type in _WEIGHTED.values()
    ]


def load_caffe(module: nn.Module, caffemodel: Path) -> Norms:
    """Give a module the weights that were written of its like by :func:`convert.caffe.export`.

    Batch norms were folded when they were written; those that follow a convolution are made to only add its bias:
    in evaluation mode the module computes what the file says. Before it is trained, :func:`settle` has to give
    them back their statistics.

    Args:
        module: what was exported, of any weights; layers are matched in the order in which `forward` calls them.
        caffemodel: weights in float32 or float16.

    Returns:
        The batch norms.

    Raises:
        ConvertError: no Caffe file, or another network's.
    """
    traced = fx.symbolic_trace(module)
    parts = dict(module.named_modules())
    layers = _layers(caffemodel)
    nodes = [node for node in traced.graph.nodes if type(parts.get(str(node.target))) in _WEIGHTED]
    if len(nodes) != len(layers):
        raise ConvertError(f"{caffemodel} has {len(layers)} layers with weights, this network {len(nodes)}")
    norms: Norms = []
    for node, (kind, name, (weight, *rest)) in zip(nodes, layers, strict=True):
        layer = parts[str(node.target)]
        if kind != _WEIGHTED[type(layer)] or weight.size != layer.weight.numel():
            raise ConvertError(f"{caffemodel}: '{name}' is not of this network ({node.target})")
        bias = torch.from_numpy(rest[0].ravel()) if rest else torch.zeros(len(weight))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight).reshape(layer.weight.shape))
            follower = parts.get(str(next(iter(node.users)).target))
            if isinstance(follower, nn.BatchNorm2d):
                follower.running_mean.zero_()
                follower.running_var.fill_(1.0 - follower.eps)
                follower.weight.fill_(1.0)
                follower.bias.copy_(bias)
                norms.append(follower)
                if layer.bias is not None:
                    layer.bias.zero_()
            elif layer.bias is not None:
                layer.bias.copy_(bias)
    return norms


def settle(module: nn.Module, norms: Norms, batches: Iterable[torch.Tensor]) -> None:
    """Give the batch norms of :func:`load_caffe` the statistics of some batches (module inputs), without changing
    what the module computes: in training mode, too, it then begins where the file ended.
    """
    sums: dict[nn.BatchNorm2d, list[torch.Tensor]] = {norm: [] for norm in norms}

    def watch(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
        x = inputs[0].double()
        sums[norm].append(torch.stack((x.mean((0, 2, 3)), x.square().mean((0, 2, 3)))))

    hooks = [norm.register_forward_pre_hook(watch) for norm in norms]
    module.eval()
    with torch.no_grad():
        for batch in batches:
            module(batch)
        for hook in hooks:
            hook.remove()
        for norm, seen in sums.items():
            mean, square = torch.stack(seen).mean(0)
            variance = (square - mean.square()).clamp(min=0.0)
            norm.bias.add_(mean.to(norm.bias.dtype))
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
