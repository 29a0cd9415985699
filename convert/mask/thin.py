"""A smaller network cut out of a trained one: what is left is trained on with the whole one as teacher.

Inside each block MobileNetV2 widens its features sixfold. Most of the work is done on these, and a network that
tells three classes apart needs few of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.errors import ConvertError
from convert.mask import net

Kept = Mapping[str, NDArray[np.int64]]
"""Name of a widening convolution to those of its channels that are kept, in their order."""

#: Channels are kept in groups of so many: the int8 kernels of the runtimes compute as many at once.
_GROUP = 8
_SMALL_BATCH = 8


@dataclass(frozen=True)
class Widening:
    """The convolutions of one block, by name: what widens, what filters each channel, what narrows again."""

    widen: str
    depthwise: str | None
    """None behind the last block, where the pooled features go to the head."""
    narrow: str
    channels: int
    cost: int
    """Multiply–adds of one channel."""


def thin(
    model: keras.Model, crops: NDArray[np.uint8], labels: NDArray[np.int64], multiply_adds: float
) -> keras.Model:
    """The network with those widened channels left out that the loss depends on least for the work they are.

    A channel's weight is the square of the loss' derivative by a factor on it, on average over small batches
    (Molchanov et al., "Importance estimation for neural network pruning", CVPR 2019).

    Args:
        model: a network of ``train`` without batch norm, as :func:`convert.mask.net.load` gives them.
        crops, labels: some hundred training faces, ``(count, S, S, 3)`` uint8 RGB, and their classes.
        multiply_adds: how many an inference may take.

    Raises:
        ConvertError: the network is of another kind, or even the least that can be kept is more than that.
    """
    blocks = widenings(model)
    fixed = work(model) - sum(block.cost * block.channels for block in blocks)
    weight = _importance(model, blocks, crops, labels)
    groups = []
    for block in blocks:
        order = np.argsort(-weight[block.widen], kind="stable")
        for start in range(0, block.channels, _GROUP):
            of_group = order[start : start + _GROUP]
            worth = float(weight[block.widen][of_group].mean()) / block.cost
            # One group of each block stays whatever it is worth.
            groups.append((start == 0, worth, block, of_group))
    groups.sort(key=lambda group: group[:2], reverse=True)
    kept: dict[str, list[int]] = {block.widen: [] for block in blocks}
    left = multiply_adds - fixed
    for needed, _, block, of_group in groups:
        price = block.cost * len(of_group)
        if price <= left:
            left -= price
            kept[block.widen] += of_group.tolist()
        elif needed:
            least = fixed + sum(block.cost * min(_GROUP, block.channels) for block in blocks)
            raise ConvertError(
                f"{multiply_adds / 1e6:g} million multiply–adds are too few; {least / 1e6:.1f} are the least"
            )
    return narrowed(model, {name: np.sort(np.asarray(channels, np.int64)) for name, channels in kept.items()})


def widenings(model: keras.Model) -> list[Widening]:
    """The blocks of a network from its input to its head.

    Raises:
        ConvertError: it is no MobileNetV2 of ``train``, or still has its batch norms.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, net.CONVOLUTIONS)]
    normed = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    if normed or not convolutions or convolutions[-1].name != "logits_conv":
        raise ConvertError("only a MobileNetV2 of train, with its batch norm folded, can be made thinner")
    found = []
    for layer, second, third in zip(convolutions, convolutions[1:], [*convolutions[2:], None], strict=False):
        if layer.name.endswith("_expand"):
            assert third is not None
            found.append(_widening(layer, second, third))
        elif second is convolutions[-1]:
            found.append(_widening(layer, None, second))
    return found


def _widening(widen: Any, depthwise: Any, narrow: Any) -> Widening:
    cost = _area(widen) * widen.kernel.shape[2] + _area(narrow) * narrow.kernel.shape[3]
    if depthwise is not None:
        cost += _area(depthwise) * int(np.prod(depthwise.kernel.shape[:2]))
    name = depthwise.name if depthwise is not None else None
    return Widening(widen.name, name, narrow.name, int(widen.kernel.shape[3]), int(cost))


def _area(layer: Any) -> int:
    return int(np.prod(layer.output.shape[1:3]))


def work(model: keras.Model) -> int:
    """Multiply–adds of one inference."""
    return sum(
        _area(layer) * int(np.prod(layer.kernel.shape))
        for layer in model.layers
        if isinstance(layer, net.CONVOLUTIONS)
    )


def narrowed(model: keras.Model, kept: Kept) -> keras.Model:
    """A copy of the network that has only the channels ``kept`` of its widening convolutions."""
    copy: Any = net.with_filters(model, {name: len(channels) for name, channels in kept.items()})
    incoming: dict[str, NDArray[np.int64]] = {}
    for block in widenings(model):
        if block.widen in kept:
            incoming[block.narrow] = kept[block.widen]
            if block.depthwise is not None:
                incoming[block.depthwise] = kept[block.widen]
    for layer in model.layers:
        if not isinstance(layer, net.CONVOLUTIONS):
            continue
        kernel, bias = layer.get_weights()
        if layer.name in incoming:
            kernel = kernel[:, :, incoming[layer.name]]
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            bias = bias[incoming[layer.name]] if layer.name in incoming else bias
        elif layer.name in kept:
            kernel, bias = kernel[..., kept[layer.name]], bias[kept[layer.name]]
        copy.get_layer(layer.name).set_weights([kernel, bias])
    return copy


def _importance(
    model: Any, blocks: list[Widening], crops: NDArray[np.uint8], labels: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Of each widened channel: the mean square of the loss' derivative by a factor on it."""
    kernels = [model.get_layer(block.narrow).kernel.value for block in blocks]
    losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    total = {block.widen: np.zeros(block.channels) for block in blocks}

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def derivatives(images: Any, classes: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            loss = losses(classes, model(images, training=False))
        # A factor on a channel is a factor on the row of the kernel that reads it.
        by_kernel = tape.gradient(loss, kernels)
        return [tf.reduce_sum(by * kernel, axis=(0, 1, 3)) for by, kernel in zip(by_kernel, kernels, strict=True)]

    batches = max(len(crops) // _SMALL_BATCH, 1)
    for number in range(batches):
        part = slice(number * _SMALL_BATCH, (number + 1) * _SMALL_BATCH)
        found = derivatives(tf.constant(net.as_input(crops[part])), tf.constant(labels[part]))
        for block, derivative in zip(blocks, found, strict=True):
            total[block.widen] += derivative.numpy().astype(np.float64) ** 2 / batches
    return total
