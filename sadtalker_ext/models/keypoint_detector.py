"""KeypointDetector: canonical 3D keypoints of a face (face-vid2vid, Wang et al. 2021, section 3.1)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sadtalker_ext.models.blocks import AntiAliasDownsample2d, DownBlock2d, UpBlock3d
from sadtalker_ext.models.grids import axis_positions


@dataclass(frozen=True)
class KeypointDetectorConfig:
    """Sizes of the network; widths double from ``base_channels`` to ``max_channels``.

    temperature: the softmax is computed over logits / temperature. input_downsampling: factor applied to the image.
    """

    keypoints: int = 15
    base_channels: int = 32
    max_channels: int = 1024
    levels: int = 5
    depth: int = 16
    temperature: float = 0.1
    input_downsampling: int = 4

    def width(self, level: int) -> int:
        """Return the number of channels after ``level`` downsampling blocks."""
        return min(self.max_channels, self.base_channels << level)


class KeypointHourglass(nn.Module):
    """2D downsampling, a 1x1 convolution to a 3D volume, and 3D upsampling; no skip connections.

    It runs once for each portrait, so memory matters more than time.
    """

    def __init__(self, config: KeypointDetectorConfig) -> None:
        super().__init__()
        self.depth = config.depth
        levels, width = config.levels, config.width
        down: OrderedDict[str, nn.Module] = OrderedDict()
        up: OrderedDict[str, nn.Module] = OrderedDict()
        for level in range(levels):
            down[f"down{level}"] = DownBlock2d(width(level) if level else 3, width(level + 1))
            up[f"up{level}"] = UpBlock3d(width(levels - level), width(levels - level - 1), merged=False)
        self.down_blocks = nn.Sequential(down)
        self.conv = nn.Conv2d(width(levels), width(levels) * config.depth, 1)
        self.up_blocks = nn.Sequential(up)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 32, 16, H, W)."""
        flat: Tensor = self.conv(self.down_blocks(image))
        batch, channels, height, width = flat.shape
        volume: Tensor = self.up_blocks(flat.reshape(batch, channels // self.depth, self.depth, height, width))
        return volume


class KeypointDetector(nn.Module):
    """Soft-argmax over one 3D heatmap per keypoint."""

    def __init__(self, config: KeypointDetectorConfig | None = None) -> None:
        super().__init__()
        self.config = config or KeypointDetectorConfig()
        self.predictor = KeypointHourglass(self.config)
        self.kp = nn.Conv3d(self.config.base_channels, self.config.keypoints, 3, padding=1)
        self.down = AntiAliasDownsample2d(3, self.config.input_downsampling)

    def forward(self, image: Tensor) -> Tensor:
        """RGB image (B, 3, S, S) in [0, 1], S a multiple of 128 -> keypoints (B, K, 3), (x, y, z) in [-1, 1]."""
        logits: Tensor = self.kp(self.predictor(self.down(image)))
        weights = (logits.flatten(2) / self.config.temperature).softmax(dim=2).reshape(logits.shape)
        return expected_position(weights)


def expected_position(weights: Tensor) -> Tensor:
    """Return the mean position (B, K, 3), (x, y, z) in [-1, 1], of weights (B, K, D, H, W) that sum to 1.

    Marginal sums are computed first, which keeps long sums accurate in float32.
    """
    depth, height, width = (axis_positions(length, weights) for length in weights.shape[2:])
    x = (weights.sum(dim=(2, 3)) * width).sum(dim=2)
    y = (weights.sum(dim=(2, 4)) * height).sum(dim=2)
    z = (weights.sum(dim=(3, 4)) * depth).sum(dim=2)
    return torch.stack((x, y, z), dim=2)
