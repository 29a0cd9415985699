"""The gender network: MobileNetV2 (Sandler et al., CVPR 2018), cut before its last and heaviest block.

Batch norm is folded into the convolutions before training: on one core that is a third faster, and what is trained
is what is shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convert.errors import ConvertError
from convert.gender.records import AGES, RACES, SEXES

#: As large as 60 million multiply–adds allow.
INPUT_SIZE = 93
#: Expansion, channels, repeats and first stride of the blocks kept; table 2 of the paper without its last row.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
_FEATURES = 960
#: Keras' MobileNetV2 normalises with this epsilon.
_EPSILON = 1e-3


class Block(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """Inverted residual: expand, depthwise, project."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(inputs, hidden, 1), nn.ReLU6(inplace=True)]
        layers += [nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden), nn.ReLU6(inplace=True)]
        layers += [nn.Conv2d(hidden, outputs, 1)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(x)
        return x + y if self.residual else y


class Classifier(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """A body, and three questions to the features it makes of a face.

    While training, age and race are asked of the same features: twenty thousand faces teach more when each says
    more than one bit. Neither is exported.
    """

    size: int
    """Side of the crops it is made for, pixels."""
    body: nn.Module

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.sex = nn.Linear(features, len(SEXES))
        self.age = nn.Linear(features, len(AGES))
        self.race = nn.Linear(features, len(RACES))

    @staticmethod
    def prepare(crops_rgb: NDArray[np.uint8]) -> torch.Tensor:
        """Crops ``(n, side, side, 3)`` RGB uint8 as the network's input, float32, channels last in memory."""
        raise NotImplementedError

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, features)``: what the three heads read."""
        return torch.flatten(self.pool(self.body(x)), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.sex(self.features(x))

    def all_heads(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """For training: logits of sex, age and race, and the features that they were read from."""
        features = self.features(x)
        dropped = self.dropout(features)
        return self.sex(dropped), self.age(dropped), self.race(dropped), features


class GenderNet(Classifier):
    """Crops in, logits out.

    Input: ``(n, 3, 93, 93)`` float, BGR, ``value / 127.5 - 1``. Output: logits ``(n, 2)``, male and female.
    """

    size = INPUT_SIZE

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__(_FEATURES, dropout)
        layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6(inplace=True)]
        channels = 32
        for expansion, outputs, repeats, stride in _STAGES:
            for index in range(repeats):
                layers.append(Block(channels, outputs, stride if index == 0 else 1, expansion))
                channels = outputs
        layers += [nn.Conv2d(channels, _FEATURES, 1), nn.ReLU6(inplace=True)]
        self.body = nn.Sequential(*layers)

    @staticmethod
    def prepare(crops_rgb: NDArray[np.uint8]) -> torch.Tensor:
        """See :meth:`Classifier.prepare`."""
        return as_input(crops_rgb)


def as_input(crops_rgb: NDArray[np.uint8]) -> torch.Tensor:
    """Crops ``(n, size, size, 3)`` RGB uint8 as the network's input, float32, channels last in memory."""
    bgr = torch.from_numpy(crops_rgb).permute(0, 3, 1, 2).flip(1)
    return bgr.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)


def load_imagenet(net: GenderNet, weights: Path) -> None:
    """Start the body from Keras' MobileNetV2 (alpha 1.0) weights, batch norm folded, first layer turned to BGR.

    Raises:
        ConvertError: the file is missing or holds another network.
    """
    import h5py

    convolutions = [layer for layer in net.body.modules() if isinstance(layer, nn.Conv2d)]
    names = _keras_names()
    assert len(names) == len(convolutions)
    try:
        with h5py.File(weights) as file:
            for (name, norm), layer in zip(names, convolutions, strict=True):
                kernel, bias = _folded(file, name, norm)
                if tuple(kernel.shape) != tuple(layer.weight.shape):
                    raise ConvertError(f"{weights}: {name} has the shape {kernel.shape} of another network")
                if name == "Conv1":
                    kernel = kernel[:, ::-1]
                with torch.no_grad():
                    layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
                    layer.bias.copy_(torch.from_numpy(bias))
    except (OSError, KeyError) as error:
        raise ConvertError(f"{weights} is not Keras' MobileNetV2 without top: {error}") from error


def _keras_names() -> list[tuple[str, str]]:
    """Convolution and batch norm of every layer kept, in order."""
    names = [("Conv1", "bn_Conv1"), ("expanded_conv_depthwise", "expanded_conv_depthwise_BN")]
    names.append(("expanded_conv_project", "expanded_conv_project_BN"))
    blocks = sum(repeats for _, _, repeats, _ in _STAGES)
    for block in range(1, blocks):
        parts = (f"block_{block}_{part}" for part in ("expand", "depthwise", "project"))
        names += [(part, f"{part}_BN") for part in parts]
    return [*names, (f"block_{blocks}_expand", f"block_{blocks}_expand_BN")]


def _folded(file: Any, name: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel in PyTorch's order and bias, with the batch norm that follows multiplied in."""

    def read(layer: str, weight: str) -> NDArray[np.float32]:
        group = file[layer]
        while layer in group:  # h5 files repeat the layer's name below it
            group = group[layer]
        return np.asarray(group[f"{weight}:0"], np.float32)

    depthwise = "depthwise" in name
    kernel = read(name, "depthwise_kernel" if depthwise else "kernel")
    kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
    scale = read(norm, "gamma") / np.sqrt(read(norm, "moving_variance") + _EPSILON)
    bias = read(norm, "beta") - read(norm, "moving_mean") * scale
    return np.asarray(kernel * scale[:, None, None, None], np.float32), np.asarray(bias, np.float32)
