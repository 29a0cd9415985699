"""Networks to learn from: a larger one that has seen millions of faces before, and those trained earlier.

What a network answers says more of a face than its label does: how much like a man's and how much like a woman's
it is (Hinton et al., "Distilling the knowledge in a neural network", 2015).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from convert.caffe.to_torch import load_caffe
from convert.errors import ConvertError
from convert.gender.network import Classifier, GenderNet
from convert.images import scaled

_Weights = dict[str, NDArray[np.float32]]
#: What FaceRes takes off blue, green and red.
_MEAN = (103.939, 116.779, 123.68)
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


class FaceResNet(Classifier):
    """MobileNet (Howard et al., 2017), alpha 1.0, batch norm folded: FaceRes' body with our three heads.

    Input: ``(n, 3, 112, 112)`` float, BGR, less the mean. Any other side is taken, too.
    """

    size = 112

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__(_CHANNELS[-1], dropout)
        layers: list[nn.Module] = [_Padded(3, 32, 2)]
        channels = 32
        for outputs, stride in zip(_CHANNELS, _STRIDES, strict=True):
            layers += [_Padded(channels, channels, stride, groups=channels)]
            layers += [nn.Conv2d(channels, outputs, 1), nn.ReLU6()]
            channels = outputs
        self.body = nn.Sequential(*layers)

    @staticmethod
    def prepare(crops_rgb: NDArray[np.uint8]) -> torch.Tensor:
        """See :meth:`Classifier.prepare`."""
        bgr = torch.from_numpy(crops_rgb).permute(0, 3, 1, 2).flip(1)
        mean = torch.tensor(_MEAN).view(1, 3, 1, 1)
        return bgr.to(torch.float32, memory_format=torch.channels_last).sub_(mean)


class _Padded(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """A 3×3 convolution and ReLU6, padded as TensorFlow's ``same``: with stride 2 only below and to the right."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride, 0, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (stride, _), odd = self.convolution.stride, x.shape[2] % 2
        before = 0 if stride == 2 and not odd else 1
        return functional.relu6(self.convolution(functional.pad(x, (before, 1, before, 1))))


def load_faceres(net: FaceResNet, manifest: Path) -> None:
    """Start the body from FaceRes, as the npm package ``@vladmandic/human`` (MIT) carries it for TensorFlow.js.

    It was trained by A. Savchenko (HSE_FaceRec_tf, Apache-2.0) on VGGFace2, to tell people apart.

    Args:
        net: to fill; its heads stay as they are.
        manifest: ``models/faceres.json`` of the package, with ``faceres.bin`` beside it.

    Raises:
        ConvertError: the files are missing or hold another network.
    """
    convolutions = [layer for layer in net.body.modules() if isinstance(layer, nn.Conv2d)]
    try:
        weights = _read_tfjs(manifest)
        with torch.no_grad():
            for index, layer in enumerate(convolutions):
                kernel, bias = _faceres_layer(weights, index)
                if tuple(kernel.shape) != tuple(layer.weight.shape):
                    raise ConvertError(f"{manifest}: layer {index} has the shape {kernel.shape} of another network")
                layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
                layer.bias.copy_(torch.from_numpy(bias))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConvertError(f"{manifest} is not FaceRes for TensorFlow.js: {error!r}") from error


def _faceres_layer(weights: _Weights, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel in PyTorch's order and bias of the first layer (0), or of those that filter and mix, in turn."""
    if index == 0:
        return weights["conv1/convolution/merged_input"].transpose(3, 2, 0, 1), weights["conv1_bn/batchnorm_1/sub"]
    number, mixes = (index + 1) // 2, index % 2 == 0
    if mixes:
        kernel = weights[f"conv_pw_{number}/convolution/merged_input"]
        return kernel.transpose(3, 2, 0, 1), weights[f"conv_pw_{number}_bn/batchnorm_1/sub"]
    scale = weights[f"conv_dw_{number}_bn/batchnorm_1/mul"]
    kernel = weights[f"conv_dw_{number}/depthwise_kernel"].transpose(2, 3, 0, 1)
    return kernel * scale[:, None, None, None], weights[f"conv_dw_{number}_bn/batchnorm_1/sub"]


def _read_tfjs(manifest: Path) -> _Weights:
    """The floats of a TensorFlow.js model by name; https://www.tensorflow.org/js/guide/save_load has the format."""
    described: Any = json.loads(manifest.read_text(encoding="utf-8"))
    found = {}
    for group in described["weightsManifest"]:
        data = b"".join((manifest.parent / path).read_bytes() for path in group["paths"])
        offset = 0
        for weight in group["weights"]:
            stored = np.dtype(weight.get("quantization", weight)["dtype"])
            count = int(np.prod(weight["shape"]))
            values = np.frombuffer(data, stored, count, offset).reshape(weight["shape"])
            offset += count * stored.itemsize
            if weight["dtype"] == "float32":
                found[weight["name"]] = values.astype(np.float32)
    return found


class Teachers:
    """Several networks asked as one: the mean of their logits.

    Args:
        paths: ``.pt`` files of ``train-gender``, large or not, and ``.caffemodel`` files that were exported.

    Raises:
        ConvertError: a file is missing or holds another network.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._nets = [opened(path).eval().to(memory_format=torch.channels_last) for path in paths]
        self.size = max((net.size for net in self._nets), default=0)
        """Side of the crops that the largest of them takes; 0 if there is none."""

    def __bool__(self) -> bool:
        return bool(self._nets)

    def tell(self, crops_rgb: NDArray[np.uint8]) -> torch.Tensor:
        """Probabilities ``(n, 2)``, male and female, of crops ``(n, side, side, 3)`` uint8 RGB of any side."""
        with torch.no_grad():
            logits = [net(net.prepare(scaled(crops_rgb, net.size))).float() for net in self._nets]
            return torch.softmax(torch.stack(logits).mean(dim=0), dim=1)


def opened(path: Path) -> Classifier:
    """A gender network from a ``.pt`` of training, large or not, or from a ``.caffemodel`` that was exported.

    Raises:
        ConvertError: the file is missing or holds another network.
    """
    if path.suffix == ".caffemodel":
        net = GenderNet()
        load_caffe(nn.Sequential(net.body, net.pool, nn.Flatten(1), net.sex), path)
        return net
    try:
        state = torch.load(path, weights_only=True)
        state = state.get("average", state)
        large = FaceResNet()
        other: Classifier = large if state.keys() == large.state_dict().keys() else GenderNet()
        other.load_state_dict(state)
    except (OSError, EOFError, AttributeError, TypeError, RuntimeError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise ConvertError(f"{path} holds no weights of a gender network: {reason}") from error
    return other


def average(paths: Sequence[Path], out: Path) -> None:
    """Write the mean of the weights of networks that went on from one another, as a ``.pt`` to export.

    Raises:
        ConvertError: a file is missing or holds another network than the first.
    """
    nets = [opened(path) for path in paths]
    if any(type(net) is not type(nets[0]) for net in nets):
        raise ConvertError("large and small networks can't be averaged")
    states = [net.state_dict() for net in nets]
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]}, out)
