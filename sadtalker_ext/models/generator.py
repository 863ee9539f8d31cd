"""Generator: renders a portrait at driving keypoints (OcclusionAwareSPADEGenerator of face-vid2vid)."""

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
BEFORE_MASKS = ("first", "down_blocks", "second", "resblocks_3d", "dense_motion_network")
"""Submodules whose outputs decide which mask values are cut (:data:`.dense_motion.MASK_FLOOR`). Kept by
:func:`.folding.fold`, they cut the same ones as the official code, which costs 4 % of the time of a frame."""


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of the network; the same values are used for 256 and 512 pixels because it is fully convolutional."""

    base_channels: int = 64
    max_channels: int = 512
    halvings: int = 2
    depth: int = 16
    resblocks: int = 6
    motion: DenseMotionConfig = field(default_factory=DenseMotionConfig)
    decoder: SpadeConfig = field(default_factory=SpadeConfig)

    @property
    def feature_channels(self) -> int:
        """Channels of the 3D feature volume."""
        return self.max_channels // self.depth


class EncodedSource(NamedTuple):
    """Features that depend on the portrait only.

    features: (B, 32, 16, S / 4, S / 4). compressed: (B, 4, 16, S / 4, S / 4), input of the dense motion network.
    """

    features: Tensor
    compressed: Tensor

    def expand(self, batch: int) -> EncodedSource:
        """Repeat the features of one portrait ``batch`` times without copying."""
        return EncodedSource(*(part.expand(batch, -1, -1, -1, -1) for part in self))


class Generator(nn.Module):
    """Encoder, dense motion network, feature warp and SPADE decoder."""

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
        """Encode RGB portraits (B, 3, S, S) in [0, 1], S a multiple of 128; the result is reused for every frame."""
        out: Tensor = self.first(image)
        for block in self.down_blocks:
            out = block(out)
        volume: Tensor = self.resblocks_3d(self.second(out).unflatten(1, (-1, self.config.depth)))
        return EncodedSource(volume, self.dense_motion_network.compress_features(volume))

    def render(self, encoded: EncodedSource, source: Tensor, driving: Tensor) -> Tensor:
        """Render frames (B, 3, S, S) in (0, 1).

        encoded: features of 1 or B portraits. source: their keypoints (1 or B, K, 3). driving: keypoints (B, K, 3).
        """
        batch = driving.shape[0]
        encoded = encoded.expand(batch)
        motion = self.dense_motion_network(encoded.compressed, source.expand(batch, -1, -1), driving)
        return self.warp_and_decode(encoded, motion)

    def warp_and_decode(self, encoded: EncodedSource, motion: DenseMotionField) -> Tensor:
        """Warp features (B, ...) with motion fields (B, ...) and decode them to frames (B, 3, S, S) in (0, 1)."""
        out: Tensor = self.decoder(self.guide(encoded, motion))
        return out

    def guide(self, encoded: EncodedSource, motion: DenseMotionField) -> Tensor:
        """Return the warped features (B, 256, S / 4, S / 4) that guide the decoder."""
        dtype = self.fourth.weight.dtype
        warped = self.warp(encoded, motion).to(dtype)
        out: Tensor = self.fourth(self.third(warped)) * motion.occlusion.to(dtype)
        return out

    def warp(self, encoded: EncodedSource, motion: DenseMotionField) -> Tensor:
        """Return the features (B, 512, S / 4, S / 4) at the positions of the motion field."""
        aligned = self.config.motion.aligned
        return F.grid_sample(encoded.features, motion.deformation, align_corners=aligned).flatten(1, 2)

    def forward(self, image: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        """Encode portraits and render them at the driving keypoints."""
        return self.render(self.encode_source(image), source, driving)
