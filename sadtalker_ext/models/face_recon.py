"""FaceRecon: 3DMM coefficients of a face image (Deep3DFaceRecon, Deng et al. 2019; ResNet-50 v1.5, He et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.folding import FoldPairs

INPUT_SIZE_PX = 224
EXPANSION = 4


@dataclass(frozen=True)
class FaceReconConfig:
    """Number of blocks and width of each of the four stages of a ResNet-50."""

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)


class FaceCoefficients(NamedTuple):
    """3DMM coefficients of B faces.

    identity (B, 80), expression (B, 64), texture (B, 80), angle (B, 3) pitch, yaw, roll in radians,
    light (B, 27) spherical harmonics, translation (B, 3).
    """

    identity: Tensor
    expression: Tensor
    texture: Tensor
    angle: Tensor
    light: Tensor
    translation: Tensor


HEADS = (80, 64, 80, 3, 27, 2, 1)
"""Widths of the output heads; the last two are the translation in x and y, and in z."""


class Bottleneck(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions; the 3x3 convolution has the stride."""

    FOLDS: ClassVar[FoldPairs] = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * EXPANSION)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 width, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


class ProjectingBottleneck(Bottleneck):
    """First block of a stage, whose shortcut is a convolution."""

    FOLDS: ClassVar[FoldPairs] = (*Bottleneck.FOLDS, ("downsample.0", "downsample.1"))

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__(channels_in, width, stride)
        channels_out = width * EXPANSION
        self.downsample = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
        )

    def shortcut(self, x: Tensor) -> Tensor:
        """Return the projected input."""
        out: Tensor = self.downsample(x)
        return out


class ResNet(nn.Module):
    """ResNet backbone with global average pooling."""

    FOLDS: ClassVar[FoldPairs] = (("conv1", "bn1"),)

    def __init__(self, config: FaceReconConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for stage, (count, width) in enumerate(zip(config.blocks, config.widths, strict=True)):
            first = ProjectingBottleneck(channels, width, 1 if stage == 0 else 2)
            channels = width * EXPANSION
            rest = [Bottleneck(channels, width, 1) for _ in range(count - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))
        self.stages = len(config.blocks)
        self.channels = channels

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, 224, 224) -> (B, 2048, 1, 1)."""
        out = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, 2, padding=1)
        for stage in range(self.stages):
            out = self.get_submodule(f"layer{stage + 1}")(out)
        return F.adaptive_avg_pool2d(out, 1)


class FaceRecon(nn.Module):
    """ResNet backbone with one linear head per kind of coefficient."""

    def __init__(self, config: FaceReconConfig | None = None) -> None:
        super().__init__()
        self.config = config or FaceReconConfig()
        self.backbone = ResNet(self.config)
        self.final_layers = nn.ModuleList(nn.Conv2d(self.backbone.channels, width, 1) for width in HEADS)

    def forward(self, image: Tensor) -> FaceCoefficients:
        """Return the coefficients of aligned RGB faces (B, 3, 224, 224) in [0, 1], not normalised further."""
        features = self.backbone(image)
        identity, expression, texture, angle, light, shift, depth = (
            layer(features).flatten(1) for layer in self.final_layers
        )
        return FaceCoefficients(identity, expression, texture, angle, light, torch.cat((shift, depth), dim=1))
