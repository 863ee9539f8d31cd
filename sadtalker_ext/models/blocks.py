"""Convolution blocks shared by the networks of the renderer (face-vid2vid, Wang et al. 2021, appendix A).

``FOLDS`` of each block lists pairs of dotted paths: a convolution and the batch norm that follows it.
:func:`sadtalker_ext.models.folding.fold` merges each pair for inference.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.folding import FoldPairs
from sadtalker_ext.models.upsampled_conv import UpsampledConv

BLUR_SIGMA_PER_STEP = 0.5
"""Sigma of the anti-alias blur is this times (downsampling factor - 1), in pixels."""


class ConvNorm2d(nn.Module):
    """3x3 convolution, batch norm, ReLU (or leaky ReLU when ``negative_slope`` is not 0)."""

    FOLDS: ClassVar[FoldPairs] = (("conv", "norm"),)

    def __init__(self, channels_in: int, channels_out: int, negative_slope: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels_out)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        return F.leaky_relu(self.norm(self.conv(x)), self.negative_slope)


class DownBlock2d(ConvNorm2d):
    """ConvNorm2d followed by 2x2 average pooling."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H/2, W/2)."""
        return F.avg_pool2d(super().forward(x), 2)


class ConvNorm3d(nn.Module):
    """3x3x3 convolution, batch norm, ReLU."""

    FOLDS: ClassVar[FoldPairs] = (("conv", "norm"),)

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv3d(channels_in, channels_out, 3, padding=1)
        self.norm = nn.BatchNorm3d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> (B, C', D, H, W)."""
        return F.relu(self.norm(self.conv(x)))


class DownBlock3d(ConvNorm3d):
    """ConvNorm3d followed by 2x2 average pooling of height and width."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> (B, C', D, H/2, W/2)."""
        full: Tensor = super().forward(x)
        pooled = F.avg_pool2d(full.flatten(1, 2), 2)
        return pooled.view(*full.shape[:3], *pooled.shape[-2:])


class UpBlock3d(ConvNorm3d):
    """Nearest-neighbour upsampling of height and width by 2, followed by ConvNorm3d.

    merged: merge both for inference, which saves 5/9 of the multiplications and needs 7/9 more memory for the weights.
    """

    def __init__(self, channels_in: int, channels_out: int, *, merged: bool = True) -> None:
        super().__init__(channels_in, channels_out)
        self.merged = merged

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> (B, C', D, 2H, 2W)."""
        upsamples = isinstance(self.conv, UpsampledConv)
        return super().forward(x if upsamples else F.interpolate(x, scale_factor=(1, 2, 2)))

    def optimize_for_inference(self) -> None:
        """Merge upsampling and convolution, unless memory is to be saved."""
        if self.merged and isinstance(self.conv, nn.Conv3d):
            self.conv = UpsampledConv(self.conv, 2)


class ResBlock3d(nn.Module):
    """Pre-activation residual block: norm, ReLU, conv, norm, ReLU, conv, added to the input."""

    FOLDS: ClassVar[FoldPairs] = (("conv1", "norm2"),)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> (B, C, D, H, W)."""
        inner = self.conv1(F.relu(self.norm1(x)))
        out: Tensor = self.conv2(F.relu(self.norm2(inner)))
        return out + x


class AntiAliasDownsample2d(nn.Module):
    """Gaussian blur and subsampling by ``factor``; the fixed kernel is a buffer of the checkpoint."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.register_buffer("weight", gaussian_kernel(channels, factor))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H/factor, W/factor)."""
        half = self.weight.shape[-1] // 2
        return F.conv2d(x, self.weight, stride=self.factor, padding=half, groups=self.weight.shape[0])

    weight: Tensor


def gaussian_kernel(channels: int, factor: int) -> Tensor:
    """Return a normalised Gaussian kernel (channels, 1, K, K), float32, for downsampling by ``factor``."""
    import torch

    sigma = BLUR_SIGMA_PER_STEP * (factor - 1)
    size = 2 * round(sigma * 4) + 1
    offsets = torch.arange(size, dtype=torch.float32, device="cpu") - (size - 1) / 2
    line = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = line[:, None] * line[None, :]
    return (kernel / kernel.sum()).repeat(channels, 1, 1, 1)
