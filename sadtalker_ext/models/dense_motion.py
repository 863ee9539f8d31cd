"""DenseMotion: a warp field and an occlusion map from sparse keypoints (face-vid2vid, section 3.2)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.blocks import ConvNorm3d, DownBlock3d, UpBlock3d
from sadtalker_ext.models.folding import FoldPairs
from sadtalker_ext.models.grids import coordinate_grid, gaussian_heatmap

HEATMAP_VARIANCE = 0.01
MASK_FLOOR = 1e-3
"""Mask values below this are set to zero and the rest is not renormalised, as trained.

About one value in a million lies so close to the cut that a different order of float operations moves it across;
a few pixels then change by some thousandths. The operations before the cut keep the official order for that reason.
"""


@dataclass(frozen=True)
class DenseMotionConfig:
    """Widths of the hourglass double from ``base_channels`` to ``max_channels``.

    kernel: of the convolutions that make mask and occlusion.
    aligned: whether -1 and 1 mean the middles of the first and last cells when features are sampled, as they do in the
    grid. The official networks take them for the outer edges there, which enlarges what does not move by one cell in
    all; they have learnt to live with it, networks of few cells should not have to.
    """

    keypoints: int = 15
    feature_channels: int = 32
    compressed_channels: int = 4
    base_channels: int = 32
    max_channels: int = 1024
    levels: int = 5
    depth: int = 16
    kernel: int = 7
    aligned: bool = False

    @property
    def input_channels(self) -> int:
        """Per keypoint and for the background: one heat map and the compressed features."""
        return (self.keypoints + 1) * (self.compressed_channels + 1)

    @property
    def output_channels(self) -> int:
        """Channels of the hourglass, its input among them."""
        return self.base_channels + self.input_channels

    def width(self, level: int) -> int:
        """Channels after ``level`` halvings."""
        return min(self.max_channels, self.base_channels << level)


class DenseMotionField(NamedTuple):
    """deformation: (B, 16, h, w, 3) sampling positions in [-1, 1]; occlusion: (B, 1, h, w) in (0, 1), 1 is visible;
    mask: (B, K + 1, 16, h, w), softmax before the floor.
    """

    deformation: Tensor
    occlusion: Tensor
    mask: Tensor


class HourglassEncoder(nn.Module):
    """Halvings in height and width."""

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__()
        widths = [config.input_channels, *(config.width(level) for level in range(1, config.levels + 1))]
        self.down_blocks = nn.ModuleList(
            DownBlock3d(before, after) for before, after in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """The input and the result of each halving."""
        levels = [x]
        for block in self.down_blocks:
            levels.append(block(levels[-1]))
        return levels


class HourglassDecoder(ConvNorm3d):
    """Doublings with skips, then one convolution over everything."""

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__(config.output_channels, config.output_channels)
        self.up_blocks = nn.ModuleList(
            UpBlock3d(config.width(level + 1) * (1 if level == config.levels - 1 else 2), config.width(level))
            for level in reversed(range(config.levels))
        )

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Levels as the encoder lists them -> (B, 112, 16, h, w)."""
        out = levels[-1]
        for block, skip in zip(self.up_blocks, reversed(levels[:-1]), strict=True):
            out = torch.cat((block(out), skip), dim=1)
        return self.forward(out)


class Hourglass(nn.Module):
    """Encoder and decoder."""

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__()
        self.encoder = HourglassEncoder(config)
        self.decoder = HourglassDecoder(config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 80, 16, h, w) -> (B, 112, 16, h, w); h and w are multiples of 32."""
        return self.decoder.decode(self.encoder(x))


class DenseMotion(nn.Module):
    """Blends one rigid motion per keypoint and the still background."""

    FOLDS: ClassVar[FoldPairs] = (("compress", "norm"),)

    def __init__(self, config: DenseMotionConfig | None = None) -> None:
        super().__init__()
        self.config = config or DenseMotionConfig()
        channels, kernel = self.config.output_channels, self.config.kernel
        self.hourglass = Hourglass(self.config)
        self.mask = nn.Conv3d(channels, self.config.keypoints + 1, kernel, padding=kernel // 2)
        self.compress = nn.Conv3d(self.config.feature_channels, self.config.compressed_channels, 1)
        self.norm = nn.BatchNorm3d(self.config.compressed_channels)
        self.occlusion = nn.Conv2d(channels * self.config.depth, 1, kernel, padding=kernel // 2)

    def compress_features(self, features: Tensor) -> Tensor:
        """Source features (B, 32, 16, h, w) -> (B, 4, 16, h, w); depends on the portrait alone."""
        return F.relu(self.norm(self.compress(features)))

    def forward(self, compressed: Tensor, source: Tensor, driving: Tensor) -> DenseMotionField:
        """Compressed source features (B, 4, 16, h, w) and keypoints (B, K, 3) of source and driving frame."""
        size = (compressed.shape[2], compressed.shape[3], compressed.shape[4])
        grid = coordinate_grid(size, compressed)
        offsets = F.pad(source - driving, (0, 0, 1, 0))
        features: Tensor = self.hourglass(self._hypotheses(compressed, grid, source, driving))
        mask = self.mask(features).softmax(dim=1)
        kept = torch.where(mask < MASK_FLOOR, torch.zeros_like(mask), mask)
        deformation = grid * kept.sum(dim=1).unsqueeze(-1) + torch.einsum("bkdhw,bkc->bdhwc", kept, offsets)
        return DenseMotionField(deformation, self.occlusion(features.flatten(1, 2)).sigmoid(), mask)

    def _hypotheses(self, compressed: Tensor, grid: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        """(B, 80, 16, h, w): per motion a heat map and the features moved by it; the background does not move."""
        heat = gaussian_heatmap(driving, grid, HEATMAP_VARIANCE) - gaussian_heatmap(source, grid, HEATMAP_VARIANCE)
        heat = F.pad(heat, (0, 0, 0, 0, 0, 0, 1, 0)).unsqueeze(2)
        moved_grids = grid - driving[:, :, None, None, None, :] + source[:, :, None, None, None, :]
        motions = torch.cat((grid.expand(len(driving), 1, -1, -1, -1, -1), moved_grids), dim=1)
        count = motions.shape[1]
        repeated = compressed.unsqueeze(1).expand(-1, count, -1, -1, -1, -1).flatten(0, 1)
        moved = F.grid_sample(repeated, motions.flatten(0, 1), align_corners=self.config.aligned)
        moved = moved.reshape(-1, count, *moved.shape[1:])
        return torch.cat((heat, moved), dim=2).flatten(1, 2)
