"""Named sizes of the renderer and of MappingNet: for tests, for a short run, and the official configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.models.dense_motion import DenseMotionConfig
from sadtalker_ext.models.discriminator import DiscriminatorConfig
from sadtalker_ext.models.generator import GeneratorConfig
from sadtalker_ext.models.head_estimator import HeadEstimatorConfig
from sadtalker_ext.models.keypoint_detector import KeypointDetectorConfig
from sadtalker_ext.models.mapping_net import MappingNetConfig
from sadtalker_ext.models.spade import SpadeConfig


@dataclass(frozen=True)
class RendererSize:
    """Configs of all networks of the renderer. size_px: side of the training images."""

    name: str
    size_px: int
    keypoint_detector: KeypointDetectorConfig
    head_estimator: HeadEstimatorConfig
    generator: GeneratorConfig
    discriminator: DiscriminatorConfig
    mapping: MappingNetConfig

    def mapping_for(self, coefficients: int) -> MappingNetConfig:
        """Return the config of MappingNet for 70 or 73 coefficients."""
        return replace(self.mapping, coefficients=coefficients)


TINY: Final = RendererSize(
    name="tiny",
    size_px=32,
    keypoint_detector=KeypointDetectorConfig(keypoints=5, base_channels=4, max_channels=8, levels=2, depth=2),
    head_estimator=HeadEstimatorConfig(4, (8, 8, 16, 16), (1, 1, 1, 1), keypoints=5),
    generator=GeneratorConfig(
        base_channels=4, max_channels=16, depth=2, resblocks=1,
        motion=DenseMotionConfig(
            keypoints=5, feature_channels=8, compressed_channels=2, base_channels=4, max_channels=8, levels=2, depth=2,
            kernel=3, aligned=True,
        ),
        decoder=SpadeConfig(middle_blocks=1, modulation_channels=8),
    ),
    discriminator=DiscriminatorConfig(base_channels=4, max_channels=8, levels=2),
    mapping=MappingNetConfig(width=16, keypoints=5),
)  # fmt: skip
"""For tests of the recipes only."""

SMALL: Final = RendererSize(
    name="small",
    size_px=64,
    keypoint_detector=KeypointDetectorConfig(base_channels=8, max_channels=64, levels=4, depth=4),
    head_estimator=HeadEstimatorConfig(32, (64, 128, 256, 256), (1, 1, 1, 1), norm_groups=8),
    generator=GeneratorConfig(
        base_channels=16, max_channels=64, halvings=1, depth=4, resblocks=1,
        motion=DenseMotionConfig(
            feature_channels=16, compressed_channels=1, base_channels=8, max_channels=64, levels=3, depth=4,
            kernel=3, aligned=True,
        ),
        decoder=SpadeConfig(middle_blocks=0, modulation_channels=16),
    ),
    discriminator=DiscriminatorConfig(base_channels=8, max_channels=64, levels=3),
    mapping=MappingNetConfig(width=192),
)  # fmt: skip
"""Trains on a few portraits in half an hour on two CPU cores."""

FULL: Final = RendererSize(
    name="full",
    size_px=256,
    keypoint_detector=KeypointDetectorConfig(),
    head_estimator=HeadEstimatorConfig(),
    generator=GeneratorConfig(),
    discriminator=DiscriminatorConfig(),
    mapping=MappingNetConfig(),
)
"""The official configuration, used for 256 and 512 pixels."""

SIZES: Final = {size.name: size for size in (TINY, SMALL, FULL)}


def renderer_size(name: str) -> RendererSize:
    """Return the size called ``name``; SettingsError for an unknown name."""
    if name not in SIZES:
        raise SettingsError(f"There is no size {name!r} of the renderer; choose one of {', '.join(SIZES)}")
    return SIZES[name]
