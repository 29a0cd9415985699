"""The network: MobileNetV2 with a head that the int8 kernels of every runtime can take.

A ``Dense`` head becomes a FULLY_CONNECTED op with per-channel weights, which crashes tflite-runtime on ARM; so
the pooling keeps its dimensions and a 1 x 1 convolution gives the three logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from convert.errors import ConvertError
from convert.mask import graph, shapes
from edge_agent.types import LABELS

#: The input's scale and zero point: raw uint8 RGB is the quantised input, nothing is computed before it.
INPUT_SCALE = 1 / 127.5
INPUT_ZERO_POINT = 127
CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def as_input(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Raw RGB uint8 as the float network takes it, exactly what the int8 network makes of the same bytes."""
    return (rgb.astype(np.float32) - INPUT_ZERO_POINT) * np.float32(INPUT_SCALE)


def build(size: int, alpha: float, weights: Path | str | None, dropout: float = 0.2) -> keras.Model:
    """MobileNetV2 of width ``alpha`` for ``size`` x ``size`` with the three logits as output.

    Args:
        weights: file of ImageNet weights without top, ``"imagenet"`` to download them, None for random ones.

    Raises:
        ConvertError: the weights are not there, or of another network.
    """
    shapes.check_weights(weights, alpha)
    try:
        base = keras.applications.MobileNetV2(
            input_shape=(size, size, 3),
            alpha=alpha,
            include_top=False,
            weights=str(weights) if weights is not None else None,
        )
    except Exception as error:  # a failed download is a bare one
        raise ConvertError(
            f"no MobileNetV2 of width {alpha:g} and size {size} from the weights {weights}: {_first_line(error)}"
        ) from error
    base = without_batch_norm(base)
    features = keras.layers.GlobalAveragePooling2D(keepdims=True, name="pool")(base.output)
    features = keras.layers.Dropout(dropout, name="dropout")(features)
    logits = keras.layers.Conv2D(len(LABELS), 1, name="logits_conv")(features)
    return keras.Model(base.input, keras.layers.Flatten(name="logits")(logits), name="mask")


def without_batch_norm(model: keras.Model) -> keras.Model:
    """The same network with each batch norm multiplied into the convolution before it.

    The norms would stay frozen (the batches are small, and their moments would not be the device's), and a step
    without them takes two thirds of the time.
    """

    def plain(layer: Any) -> Any:
        if isinstance(layer, keras.layers.BatchNormalization):
            return keras.layers.Identity(name=layer.name)
        config = layer.get_config()
        if isinstance(layer, CONVOLUTIONS):
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if isinstance(layer, keras.layers.Identity) else layer(*inputs, **options)

    folded: Any = keras.models.clone_model(model, clone_function=plain, call_function=call)
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        convolution = norm.input._keras_history.operation
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        (kernel,) = convolution.get_weights()
        by_channel = scale[:, None] if isinstance(convolution, keras.layers.DepthwiseConv2D) else scale
        folded.get_layer(convolution.name).set_weights([kernel * by_channel, beta - mean * scale])
    return folded


def from_tflite(path: Path) -> keras.Model:
    """The float network that a shipped int8 file was made from, to within its rounding, to go on training with.

    Its temperature and its handicap are in it: exported again, it needs no handicap of its own.

    Raises:
        ConvertError: the file is no network of this family.
    """
    kernels = graph.convolutions(path)
    whole = build(graph.input_size(path), 1.0, None)
    names = [layer.name for layer in whole.layers if isinstance(layer, CONVOLUTIONS)]
    # Whatever its width, and if it was made thinner: the blocks and their order are the same.
    if len(names) == len(kernels):
        model = with_filters(whole, {name: shape[-1] for name, (shape, _, _) in zip(names, kernels, strict=True)})
        layers = [model.get_layer(name) for name in names]
        if [tuple(layer.kernel.shape) for layer in layers] == [shape for shape, _, _ in kernels]:
            for layer, (_, kernel, bias) in zip(layers, kernels, strict=True):
                layer.set_weights([kernel, bias])
            return model
    raise ConvertError(f"{path} is no MobileNetV2 that this program made")


def with_filters(model: keras.Model, filters: Mapping[str, int]) -> keras.Model:
    """A network of the same layers, untrained, in which the convolutions named have that many filters.

    Those that filter each channel by itself have as many as they are given, and need no mention.
    """

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in filters and not isinstance(layer, keras.layers.DepthwiseConv2D):
            config["filters"] = filters[layer.name]
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)


def load(path: Path) -> keras.Model:
    """A mask network to train, convert or measure: a ``.keras`` or ``.h5`` checkpoint, or a ``.tflite`` that ships.

    Raises:
        ConvertError: there is no such file, it cannot be read, or is no mask network.
    """
    if not path.is_file():
        raise ConvertError(f"{path} does not exist")
    if path.suffix == ".tflite":
        return from_tflite(path)
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # a damaged file raises what its parts raise
        raise ConvertError(
            f"{path} cannot be read; give a .keras checkpoint of train ({_first_line(error)})"
        ) from error
    shapes.check_model(path, model.input_shape, model.output_shape)
    return model


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0][:200]


def size(model: keras.Model) -> int:
    """Side of the square images it takes, in pixels."""
    return int(model.input_shape[1])


def freeze_batch_norm(model: keras.Model) -> None:
    """Keep ImageNet's statistics in a checkpoint that still has its norms."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def with_probabilities(model: keras.Model, temperature: float, offsets: Sequence[float] = (0, 0, 0)) -> keras.Model:
    """The network to ship: ``offsets`` added to the logits, divided by ``temperature``, then softmax.

    Both are folded into the last weights.

    Raises:
        ConvertError: the model was not made by ``build``.
    """
    copy: Any = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    try:
        head = copy.get_layer("logits_conv")
    except ValueError as error:
        raise ConvertError("the checkpoint is no network of train: it has no layer logits_conv") from error
    kernel, bias = head.get_weights()
    head.set_weights([kernel / temperature, (bias + np.asarray(offsets, bias.dtype)) / temperature])
    return keras.Model(copy.input, keras.layers.Softmax(name="probabilities")(copy.output), name="mask")


def average(checkpoints: Sequence[Path], out: Path) -> None:
    """Write the mean of the weights of checkpoints that went on from one another.

    Such a mean lies in a flatter place than its parts (Wortsman et al., "Model soups", ICML 2022): rounding to
    int8, and the differences between the runtimes' kernels, move its answers less.

    Raises:
        ConvertError: a file is missing or cannot be read, or the networks differ in shape.
    """
    missing = [str(path) for path in checkpoints if not path.is_file()]
    if missing:
        raise ConvertError(f"{', '.join(missing)} does not exist")
    models: list[Any] = [load(path) for path in checkpoints]
    weights = [model.get_weights() for model in models]
    sides = [[weight.shape for weight in of_model] for of_model in weights]
    if any(side != sides[0] for side in sides):
        raise ConvertError("the checkpoints are of different networks and cannot be averaged")
    models[0].set_weights([np.mean(parts, axis=0) for parts in zip(*weights, strict=True)])
    out.parent.mkdir(parents=True, exist_ok=True)
    models[0].save(out)
