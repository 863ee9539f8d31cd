"""Visual front end of a word-level lip reader: images of a mouth -> features (Martinez et al. 2020).

A 3D convolution over time and a ResNet-18 per frame, as published for the LRW data set. State-dict keys are those of
the public checkpoints, without the word classifier (``tcn.``), which is not needed to compare mouths.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

MOUTH_PX = 88
"""Side of the training images."""
MEAN, STD = 0.421, 0.165
"""Mean and standard deviation of the grey values of the training images, in [0, 1]."""


@dataclass(frozen=True)
class LipReaderConfig:
    """Sizes of the network.

    widths: channels of the four ResNet stages; the first is also that of the 3D convolution.
    activation: relu, prelu or swish, the values of ``relu_type`` in published configurations.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    activation: str = "prelu"


def _activation(width: int, config: LipReaderConfig) -> nn.Module:
    if config.activation == "prelu":
        return nn.PReLU(width)
    return {"relu": nn.ReLU, "swish": nn.SiLU}[config.activation]()


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions; the shortcut is a convolution if width or size changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, config: LipReaderConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu1 = _activation(channels_out, config)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.relu2 = _activation(channels_out, config)
        self.downsample = None
        if channels_in != channels_out or stride != 1:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        inner = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu2(inner + (x if self.downsample is None else self.downsample(x)))
        return out


class Trunk(nn.Module):
    """ResNet-18 without its first convolution and classifier."""

    def __init__(self, config: LipReaderConfig) -> None:
        super().__init__()
        before = config.widths[0]
        for index, width in enumerate(config.widths):
            first = BasicBlock(before, width, 1 if index == 0 else 2, config)
            self.add_module(f"layer{index + 1}", nn.Sequential(first, BasicBlock(width, width, 1, config)))
            before = width

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C')."""
        for stage in self.children():
            x = stage(x)
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


class LipReader(nn.Module):
    """Features of mouth images over time."""

    def __init__(self, config: LipReaderConfig | None = None) -> None:
        super().__init__()
        self.config = config or LipReaderConfig()
        width = self.config.widths[0]
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, width, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            _activation(width, self.config),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.trunk = Trunk(self.config)

    def forward(self, mouths: Tensor) -> Tensor:
        """Grey mouth images (B, T, 88, 88) in [0, 1] -> features (B, T, 512)."""
        batch, frames = mouths.shape[:2]
        volume = self.frontend3D(((mouths - MEAN) / STD).unsqueeze(1))
        features: Tensor = self.trunk(volume.transpose(1, 2).flatten(0, 1))
        return features.reshape(batch, frames, -1)
