"""Multi-scale patch discriminator of the renderer (pix2pixHD, Wang et al. 2018); used in training only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.2
KERNEL = 4


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of the network; widths double from ``base_channels`` to ``max_channels``.

    scales: factors by which the image is resized, one discriminator each. spectral: whether to use spectral norm.
    """

    base_channels: int = 32
    max_channels: int = 512
    levels: int = 4
    scales: tuple[float, ...] = (1.0,)
    spectral: bool = True

    def width(self, level: int) -> int:
        """Return the number of channels after ``level`` blocks."""
        return min(self.max_channels, self.base_channels << level)


class DiscriminatorOutput(NamedTuple):
    """Output of one scale: features of each block for feature matching, scores (B, 1, h, w), higher is more real."""

    features: tuple[Tensor, ...]
    scores: Tensor


def _conv(channels_in: int, channels_out: int, kernel: int, spectral: bool) -> nn.Conv2d:
    conv = nn.Conv2d(channels_in, channels_out, kernel)
    return nn.utils.spectral_norm(conv) if spectral else conv


class DiscriminatorBlock(nn.Module):
    """4x4 convolution without padding, instance norm (except in the first block), leaky ReLU, 2x2 average pooling.

    The last block does not pool.
    """

    def __init__(self, config: DiscriminatorConfig, level: int) -> None:
        super().__init__()
        self.conv = _conv(config.width(level) if level else 3, config.width(level + 1), KERNEL, config.spectral)
        self.norm = nn.InstanceNorm2d(config.width(level + 1), affine=True) if level else None
        self.halve = level < config.levels - 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', (H - 3) / 2, (W - 3) / 2); the last block does not halve."""
        out: Tensor = self.conv(x)
        out = F.leaky_relu(out if self.norm is None else self.norm(out), LEAK)
        return F.avg_pool2d(out, 2) if self.halve else out


class PatchDiscriminator(nn.Module):
    """Patch discriminator of one scale."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.down_blocks = nn.ModuleList(DiscriminatorBlock(config, level) for level in range(config.levels))
        self.conv = _conv(config.width(config.levels), 1, 1, config.spectral)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        """Return features and scores of RGB images (B, 3, H, W) in [0, 1]."""
        features = [image]
        for block in self.down_blocks:
            features.append(block(features[-1]))
        return DiscriminatorOutput(tuple(features[1:]), self.conv(features[-1]))


class Discriminator(nn.Module):
    """One patch discriminator per scale, named as in the official checkpoint (``discs.1``, ``discs.0-5``)."""

    def __init__(self, config: DiscriminatorConfig | None = None) -> None:
        super().__init__()
        self.config = config or DiscriminatorConfig()
        names = [f"{scale:g}".replace(".", "-") for scale in self.config.scales]
        self.discs = nn.ModuleDict({name: PatchDiscriminator(self.config) for name in names})

    def forward(self, image: Tensor) -> list[DiscriminatorOutput]:
        """Return the output of each scale for RGB images (B, 3, H, W) in [0, 1]."""
        outputs = []
        for scale, discriminator in zip(self.config.scales, self.discs.values(), strict=True):
            # kornia's rescale and pyrdown take 3 to 8 times as long (kornia 0.6.7 and 0.9.0, CPU, 256 pixels).
            resized = image if scale == 1 else F.interpolate(image, None, scale, "bilinear", antialias=True)
            outputs.append(discriminator(resized))
        return outputs
