"""The face net: fully convolutional, anchor-free, three strides, cheap enough for a Pi.

What costs time in OpenCV on one core is the image's full resolution, so the stem is thin (8 and 16 channels) and
dense, and the capacity sits at strides 8 and above: 1×1 convolution, then depthwise 3×3, with a residual around
them. A small feature pyramid hands the far layers' view back to the near ones.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from edge_agent.vision.faces.edge_face import PRIORS, STRIDES


class ConvNormRelu(nn.Sequential):  # type: ignore[misc]  # torch is not followed by mypy
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        )


class Block(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """1×1, then depthwise 3×3, and the way around."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = ConvNormRelu(channels, channels, 1)
        self.look = ConvNormRelu(channels, channels, 3, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.look(self.mix(x))


class Shrink(nn.Sequential):  # type: ignore[misc]  # torch is not followed by mypy
    """Half the resolution by a depthwise convolution, then more channels: the cheap order."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(ConvNormRelu(inside, inside, 3, 2, inside), ConvNormRelu(inside, outside, 1))


class FaceNet(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """Takes BGR floats in 0..1, [N, 3, H, W], H and W multiples of 32.

    Returns a map for each stride in `STRIDES`, [N, 5, H/stride, W/stride]: the face's logit, then its box as
    `decode` reads it.
    """

    def __init__(self) -> None:
        super().__init__()
        near, middle, far, width = 48, 128, 192, 64
        self.stem = nn.Sequential(ConvNormRelu(3, 8, 3, 2), ConvNormRelu(8, 16, 3, 2), ConvNormRelu(16, near, 3, 2))
        self.near = nn.Sequential(Block(near), Block(near))
        self.middle = nn.Sequential(Shrink(near, middle), *(Block(middle) for _ in range(3)))
        self.far = nn.Sequential(Shrink(middle, far), Block(far), Block(far))
        # At stride 8 every channel is dear: that level stays as narrow as it comes, and the others narrow
        # down to it.
        self.lateral_middle = ConvNormRelu(middle, width, 1)
        self.lateral_far = ConvNormRelu(far, width, 1)
        self.narrow = ConvNormRelu(width, near, 1)
        self.merge = nn.ModuleList(Block(channels) for channels in (near, width, width))
        self.head = nn.ModuleList(Block(channels) for channels in (near, width, width))
        self.out = nn.ModuleList(nn.Conv2d(channels, 5, 1) for channels in (near, width, width))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        for layer in self.out:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
            nn.init.constant_(layer.bias[:1], -4.6)  # a face is rare: start at a probability of 1 %

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The three maps before the output layers."""
        near = self.near(self.stem(x))
        middle = self.middle(near)
        far = self.merge[2](self.lateral_far(self.far(middle)))
        middle = self.merge[1](self.lateral_middle(middle) + self.up(far))
        near = self.merge[0](near + self.up(self.narrow(middle)))
        return [self.head[0](near), self.head[1](middle), self.head[2](far)]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        near, middle, far = self.features(x)
        return self.out[0](near), self.out[1](middle), self.out[2](far)


class RawInput(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """A trained net that takes BGR bytes as floats in 0..255: what the device feeds.

    The scale moves into the first convolution, so padding by zeros still means black. The maps leave it as one
    tensor [N, 5, P], level after level in the order of `points`.
    """

    def __init__(self, net: FaceNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)
        with torch.no_grad():
            self.net.stem[0][0].weight.mul_(1.0 / 255.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([level.flatten(2) for level in self.net(x)], 2)


def points(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Centres [P, 2] (x, y in pixels), stride [P] and prior [P] of every output of an input of this size."""
    centres, strides, priors = [], [], []
    for stride, prior in zip(STRIDES, PRIORS, strict=True):
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        centre = (torch.stack((x, y), -1).reshape(-1, 2) + 0.5) * stride
        centres.append(centre)
        strides.append(torch.full((len(centre),), float(stride)))
        priors.append(torch.full((len(centre),), prior))
    return torch.cat(centres), torch.cat(strides), torch.cat(priors)


def flatten(maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The maps as one tensor [N, P, 5], in the order of `points`."""
    return torch.cat([level.flatten(2).transpose(1, 2) for level in maps], 1)


def decode(raw: torch.Tensor, centres: torch.Tensor, strides: torch.Tensor, priors: torch.Tensor) -> torch.Tensor:
    """Boxes [..., 4] (x1, y1, x2, y2 in pixels) from box outputs [..., 4]: centre offset in strides, log of
    the size.
    """
    centre = centres + raw[..., :2] * strides[..., None]
    half = 0.5 * priors[..., None] * torch.exp(raw[..., 2:].clamp(-4.0, 4.0))
    return torch.cat((centre - half, centre + half), -1)
