"""Patch discriminator of the renderer at one or several scales (pix2pixHD, Wang et al. 2018); training only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.2
KERNEL = 4


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Widths double from ``base_channels`` to ``max_channels``. scales: sizes it looks at, 1 is the picture's own."""

    base_channels: int = 32
    max_channels: int = 512
    levels: int = 4
    scales: tuple[float, ...] = (1.0,)
    spectral: bool = True

    def width(self, level: int) -> int:
        """Channels after ``level`` blocks."""
        return min(self.max_channels, self.base_channels << level)


class SpeechMetrics(NamedTuple):
    """features: of each block, for feature matching; scores: (B, 1, h, w), higher is more real."""

    features: tuple[Tensor, ...]
    scores: Tensor


def _conv(channels_in: int, channels_out: int, kernel: int, spectral: bool) -> nn.Conv2d:
    conv = nn.Conv2d(channels_in, channels_out, kernel)
    return nn.utils.spectral_norm(conv) if spectral else conv


class JudgeBlock(nn.Module):
    """4x4 convolution without padding, instance norm but in the first block, leaky ReLU, halving but in the last."""

    def __init__(self, config: DiscriminatorConfig, level: int) -> None:
        super().__init__()
        self.conv = _conv(config.width(level) if level else 3, config.width(level + 1), KERNEL, config.spectral)
        self.norm = nn.InstanceNorm2d(config.width(level + 1), affine=True) if level else None
        self.halve = level < config.levels - 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', (H - 3) / 2, (W - 3) / 2), or not halved in the last block."""
        out: Tensor = self.conv(x)
        out = F.leaky_relu(out if self.norm is None else self.norm(out), LEAK)
        return F.avg_pool2d(out, 2) if self.halve else out


class PatchDiscriminator(nn.Module):
    """One scale."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.down_blocks = nn.ModuleList(JudgeBlock(config, level) for level in range(config.levels))
        self.conv = _conv(config.width(config.levels), 1, 1, config.spectral)

    def forward(self, picture: Tensor) -> SpeechMetrics:
        """RGB pictures (B, 3, H, W) in [0, 1]."""
        features = [picture]
        for block in self.down_blocks:
            features.append(block(features[-1]))
        return SpeechMetrics(tuple(features[1:]), self.conv(features[-1]))


class Discriminator(nn.Module):
    """A patch discriminator per scale, under the names of the official checkpoint (``discs.1``, ``discs.0-5``)."""

    def __init__(self, config: DiscriminatorConfig | None = None) -> None:
        super().__init__()
        self.config = config or DiscriminatorConfig()
        names = [f"{scale:g}".replace(".", "-") for scale in self.config.scales]
        self.discs = nn.ModuleDict({name: PatchDiscriminator(self.config) for name in names})

    def forward(self, picture: Tensor) -> list[SpeechMetrics]:
        """One judgement per scale of RGB pictures (B, 3, H, W) in [0, 1]."""
        judgements = []
        for scale, judge in zip(self.config.scales, self.discs.values(), strict=True):
            if scale != 1:
                picture_seen = F.interpolate(picture, scale_factor=scale, mode="bilinear", antialias=True)
            else:
                picture_seen = picture
            judgements.append(judge(picture_seen))
        return judgements
