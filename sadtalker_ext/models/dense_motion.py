"""DenseMotion: dense motion field and occlusion map from sparse keypoints (face-vid2vid, section 3.2)."""

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
"""Mask values below this are set to zero and the rest is not renormalised, as in training.

About one value in a million is so close to the threshold that another order of float operations moves it to the other
side, which changes a few pixels by some thousandths. The operations before the threshold therefore have the official
order; :data:`.generator.BEFORE_MASKS` are the modules that must not be folded to keep it.
"""


@dataclass(frozen=True)
class DenseMotionConfig:
    """Sizes of the network; the widths of the hourglass double from ``base_channels`` to ``max_channels``.

    kernel: size of the convolutions that predict mask and occlusion.
    aligned: ``align_corners`` when features are sampled. The coordinate grid always places -1 and 1 at the centres of
        the first and last cells. The official networks sample with -1 and 1 at the outer edges (False), which enlarges
        still regions by one cell in total. They were trained with this error; for small feature maps it is too large.
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
        """Input channels: a heatmap and the compressed features per keypoint and for the background."""
        return (self.keypoints + 1) * (self.compressed_channels + 1)

    @property
    def output_channels(self) -> int:
        """Output channels of the hourglass, including its input."""
        return self.base_channels + self.input_channels

    def width(self, level: int) -> int:
        """Return the number of channels after ``level`` downsampling blocks."""
        return min(self.max_channels, self.base_channels << level)


class DenseMotionField(NamedTuple):
    """Output of :class:`DenseMotion`.

    deformation: (B, 16, h, w, 3) sampling positions in [-1, 1]. occlusion: (B, 1, h, w) in (0, 1), 1 is visible.
    mask: (B, K + 1, 16, h, w), softmax before :data:`MASK_FLOOR` is applied.
    """

    deformation: Tensor
    occlusion: Tensor
    mask: Tensor


class HourglassEncoder(nn.Module):
    """Downsampling blocks; each halves height and width."""

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__()
        widths = [config.input_channels, *(config.width(level) for level in range(1, config.levels + 1))]
        self.down_blocks = nn.ModuleList(
            DownBlock3d(before, after) for before, after in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the input and the output of each block."""
        levels = [x]
        for block in self.down_blocks:
            levels.append(block(levels[-1]))
        return levels


class HourglassDecoder(ConvNorm3d):
    """Upsampling blocks with skip connections, followed by one convolution."""

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__(config.output_channels, config.output_channels)
        self.up_blocks = nn.ModuleList(
            UpBlock3d(config.width(level + 1) * (1 if level == config.levels - 1 else 2), config.width(level))
            for level in reversed(range(config.levels))
        )

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Outputs of the encoder -> (B, 112, 16, h, w)."""
        out = levels[-1]
        for block, skip in zip(self.up_blocks, reversed(levels[:-1]), strict=True):
            out = torch.cat((block(out), skip), dim=1)
        return self.forward(out)


class Hourglass(nn.Module):
    """U-Net of :class:`HourglassEncoder` and :class:`HourglassDecoder`."""

    def __init__(self, config: DenseMotionConfig) -> None:
        super().__init__()
        self.encoder = HourglassEncoder(config)
        self.decoder = HourglassDecoder(config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 80, 16, h, w) -> (B, 112, 16, h, w); h and w are multiples of 32."""
        return self.decoder.decode(self.encoder(x))


class DenseMotion(nn.Module):
    """Blend of one translation per keypoint and a static background."""

    FOLDS: ClassVar[FoldPairs] = (("compress", "norm"),)

    def __init__(self, config: DenseMotionConfig | None = None) -> None:
        super().__init__()
        self.config = config or DenseMotionConfig()
        channels, kernel = self.config.output_channels, self.config.kernel
        self.hourglass = Hourglass(self.config)
        self.mask = nn.Conv3d(channels, self.config.keypoints + 1, kernel, padding=kernel // 2)
        self.compress = nn.Conv3d(self.config.feature_channels, self.config.compressed_channels, 1)
        self.norm = nn.BatchNorm3d(self.config.compressed_channels)
        self.occlusion: nn.Module = nn.Conv2d(channels * self.config.depth, 1, kernel, padding=kernel // 2)

    def compress_features(self, features: Tensor) -> Tensor:
        """Source features (B, 32, 16, h, w) -> (B, 4, 16, h, w); the result depends on the portrait only."""
        return F.relu(self.norm(self.compress(features)))

    def forward(self, compressed: Tensor, source: Tensor, driving: Tensor) -> DenseMotionField:
        """Return the motion field for compressed source features and the keypoints of source and driving frame.

        compressed: (B, 4, 16, h, w). source, driving: (B, K, 3) in [-1, 1]. Only the convolutions compute in the dtype
        of the weights, which may have fewer digits; positions and sums keep the dtype of the features.
        """
        size = (compressed.shape[2], compressed.shape[3], compressed.shape[4])
        grid = coordinate_grid(size, compressed)
        offsets = F.pad(source - driving, (0, 0, 1, 0))
        hypotheses = self._hypotheses(compressed, grid, source, driving)
        features: Tensor = self.hourglass(hypotheses.to(self.mask.weight.dtype))
        mask = self.mask(features).to(compressed.dtype).softmax(dim=1)
        kept = torch.where(mask < MASK_FLOOR, torch.zeros_like(mask), mask)
        deformation = grid * kept.sum(dim=1).unsqueeze(-1) + torch.einsum("bkdhw,bkc->bdhwc", kept, offsets)
        occlusion = self.occlusion(features.flatten(1, 2)).to(compressed.dtype).sigmoid()
        return DenseMotionField(deformation, occlusion, mask)

    def _hypotheses(self, compressed: Tensor, grid: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        """Return (B, 80, 16, h, w): heatmap and warped features of each candidate motion, background first."""
        heat = gaussian_heatmap(driving, grid, HEATMAP_VARIANCE) - gaussian_heatmap(source, grid, HEATMAP_VARIANCE)
        heat = F.pad(heat, (0, 0, 0, 0, 0, 0, 1, 0)).unsqueeze(2)
        shifted = grid - driving[:, :, None, None, None, :] + source[:, :, None, None, None, :]
        motions = torch.cat((grid.expand(len(driving), 1, -1, -1, -1, -1), shifted), dim=1)
        count = motions.shape[1]
        repeated = compressed.unsqueeze(1).expand(-1, count, -1, -1, -1, -1).flatten(0, 1)
        warped = F.grid_sample(repeated, motions.flatten(0, 1), align_corners=self.config.aligned)
        warped = warped.reshape(-1, count, *warped.shape[1:])
        return torch.cat((heat, warped), dim=2).flatten(1, 2)
