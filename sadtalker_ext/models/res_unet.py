"""Small residual U-Net on a pose sequence, treated as an image of frames x coefficients (Zhang et al. 2018)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from sadtalker_ext.models.folding import FoldPairs

FILTERS = (32, 64, 128, 256)
HALVE_FRAMES = (2, 1)
"""Stride and kernel size: frames are halved or doubled, the six pose coefficients are kept."""


class ResidualConv(nn.Module):
    """Two pre-activation convolutions; the shortcut is a convolution with batch norm."""

    FOLDS: ClassVar[FoldPairs] = (("conv_block.2", "conv_block.3"), ("conv_skip.0", "conv_skip.1"))

    def __init__(self, channels_in: int, channels_out: int, stride: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.ReLU(),
            nn.Conv2d(channels_in, channels_out, 3, stride, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1),
        )
        self.conv_skip = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, padding=1), nn.BatchNorm2d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, 6) -> (B, C', T / stride, 6)."""
        out: Tensor = self.conv_block(x) + self.conv_skip(x)
        return out


class DoubleFrames(nn.Module):
    """Transposed convolution that doubles the number of frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(channels, channels, HALVE_FRAMES, HALVE_FRAMES)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, 6) -> (B, C, 2T, 6)."""
        out: Tensor = self.upsample(x)
        return out


class ResUNet(nn.Module):
    """U-Net with three levels and a sigmoid output."""

    FOLDS: ClassVar[FoldPairs] = (("input_layer.0", "input_layer.1"),)

    def __init__(self) -> None:
        super().__init__()
        f0, f1, f2, f3 = FILTERS
        self.input_layer = nn.Sequential(
            nn.Conv2d(1, f0, 3, padding=1), nn.BatchNorm2d(f0), nn.ReLU(), nn.Conv2d(f0, f0, 3, padding=1)
        )
        self.input_skip = nn.Sequential(nn.Conv2d(1, f0, 3, padding=1))
        self.residual_conv_1 = ResidualConv(f0, f1, HALVE_FRAMES)
        self.residual_conv_2 = ResidualConv(f1, f2, HALVE_FRAMES)
        self.bridge = ResidualConv(f2, f3, HALVE_FRAMES)
        self.upsample_1 = DoubleFrames(f3)
        self.up_residual_conv1 = ResidualConv(f3 + f2, f2)
        self.upsample_2 = DoubleFrames(f2)
        self.up_residual_conv2 = ResidualConv(f2 + f1, f1)
        self.upsample_3 = DoubleFrames(f1)
        self.up_residual_conv3 = ResidualConv(f1 + f0, f0)
        self.output_layer = nn.Sequential(nn.Conv2d(f0, 1, 1), nn.Sigmoid())

    def forward(self, sequence: Tensor) -> Tensor:
        """(B, T, 6) -> (B, T, 6) in (0, 1); T is a multiple of 8."""
        x = sequence.unsqueeze(1)
        level0 = self.input_layer(x) + self.input_skip(x)
        level1 = self.residual_conv_1(level0)
        level2 = self.residual_conv_2(level1)
        up = self.upsample_1(self.bridge(level2))
        up = self.upsample_2(self.up_residual_conv1(torch.cat((up, level2), dim=1)))
        up = self.upsample_3(self.up_residual_conv2(torch.cat((up, level1), dim=1)))
        out: Tensor = self.output_layer(self.up_residual_conv3(torch.cat((up, level0), dim=1)))
        return out.squeeze(1)
