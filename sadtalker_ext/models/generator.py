"""Generator: a portrait moved by keypoints (OcclusionAwareSPADEGenerator of face-vid2vid)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.blocks import ConvNorm2d, DownBlock2d, ResBlock3d
from sadtalker_ext.models.dense_motion import DenseMotion, DenseMotionConfig, DenseMotionField
from sadtalker_ext.models.spade import SpadeConfig, SpadeDecoder

THIRD_LEAK = 0.01


@dataclass(frozen=True)
class GeneratorConfig:
    """The same values serve 256 and 512: the network is fully convolutional."""

    base_channels: int = 64
    max_channels: int = 512
    halvings: int = 2
    depth: int = 16
    resblocks: int = 6
    motion: DenseMotionConfig = field(default_factory=DenseMotionConfig)
    decoder: SpadeConfig = field(default_factory=SpadeConfig)

    @property
    def feature_channels(self) -> int:
        """Channels of the 3D features."""
        return self.max_channels // self.depth


class EncodedSource(NamedTuple):
    """What depends on the portrait alone: features (B, 32, 16, h, w) and compressed (B, 4, 16, h, w), h = S / 4."""

    features: Tensor
    compressed: Tensor

    def expand(self, batch: int) -> EncodedSource:
        """One portrait seen ``batch`` times, without copying."""
        return EncodedSource(*(part.expand(batch, -1, -1, -1, -1) for part in self))


class Generator(nn.Module):
    """Encoder, dense motion, warp and SPADE decoder."""

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = config or GeneratorConfig()
        base, halvings, top = self.config.base_channels, self.config.halvings, self.config.max_channels
        width = base * 2**halvings
        self.dense_motion_network = DenseMotion(self.config.motion)
        self.first = ConvNorm2d(3, base)
        self.down_blocks = nn.ModuleList(DownBlock2d(base * 2**i, base * 2 ** (i + 1)) for i in range(halvings))
        self.second = nn.Conv2d(width, top, 1)
        self.resblocks_3d = nn.Sequential(
            OrderedDict((f"3dr{i}", ResBlock3d(self.config.feature_channels)) for i in range(self.config.resblocks))
        )
        self.third = ConvNorm2d(top, width, THIRD_LEAK)
        self.fourth = nn.Conv2d(width, width, 1)
        self.decoder = SpadeDecoder(width, base, self.config.decoder, halvings)

    def encode_source(self, image: Tensor) -> EncodedSource:
        """RGB portrait (B, 3, S, S) in [0, 1], S a multiple of 128 -> what every frame of it shares."""
        out: Tensor = self.first(image)
        for block in self.down_blocks:
            out = block(out)
        volume: Tensor = self.resblocks_3d(self.second(out).unflatten(1, (-1, self.config.depth)))
        return EncodedSource(volume, self.dense_motion_network.compress_features(volume))

    def render(self, encoded: EncodedSource, source: Tensor, driving: Tensor) -> Tensor:
        """Frames (B, 3, S, S) in (0, 1).

        encoded: of one portrait, or of B; source: its keypoints (1 or B, K, 3); driving: (B, K, 3).
        """
        batch = driving.shape[0]
        encoded = encoded.expand(batch)
        return self.paint(encoded, self.dense_motion_network(encoded.compressed, source.expand(batch, -1, -1), driving))

    def paint(self, encoded: EncodedSource, motion: DenseMotionField) -> Tensor:
        """Frames (B, 3, S, S) in (0, 1) of features (B, ...) moved along fields (B, ...)."""
        aligned = self.config.motion.aligned
        warped = F.grid_sample(encoded.features, motion.deformation, align_corners=aligned).flatten(1, 2)
        guide = self.fourth(self.third(warped)) * motion.occlusion
        out: Tensor = self.decoder(guide)
        return out

    def forward(self, image: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        """Encode and render in one go, as training does."""
        return self.render(self.encode_source(image), source, driving)
