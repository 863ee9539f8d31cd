"""The SadTalker engine with stub networks, to measure the cost of everything else.

The stub renderer shows the portrait shifted by a few pixels in each frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import torch
from torch import Tensor, nn

from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.models.face_recon import HEADS, FaceCoefficients
from sadtalker_ext.models.mapping_net import HeadParameters
from sadtalker_ext.models.pose_vae import PoseVAEConfig
from sadtalker_ext.weights.packaged import PackagedConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sadtalker_ext.models.mapping_net import MappingNet
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.weights.official import OfficialNetworks

SHIFTS_PX: Final = (0, 1, 2, 1)
"""Horizontal shift in pixels of consecutive frames, repeated, so that the video encoder gets a moving picture."""
KEYPOINTS: Final = 15


class _Expression(nn.Module):
    def forward(self, mel: Tensor, reference: Tensor, blink: Tensor) -> Tensor:
        return reference[:, : mel.shape[1], :64]


class _Poses(nn.Module):
    config = PoseVAEConfig()

    def audio_encoder(self, mel: Tensor) -> Tensor:
        return mel.new_zeros(*mel.shape[:2], 512)

    def decode(self, audio: Tensor, reference: Tensor, style: Tensor, latent: Tensor) -> Tensor:
        return audio.new_zeros(len(audio), self.config.frames, self.config.pose_channels)


class _Recon(nn.Module):
    def forward(self, picture: Tensor) -> FaceCoefficients:
        widths = (*HEADS[:5], HEADS[5] + HEADS[6])
        return FaceCoefficients(*(picture.new_zeros(len(picture), width) for width in widths))


class _Keypoints(nn.Module):
    def forward(self, picture: Tensor) -> Tensor:
        return picture.new_zeros(len(picture), KEYPOINTS, 3)


class _Mapping(nn.Module):
    def forward(self, windows: Tensor) -> HeadParameters:
        count = len(windows)
        bins, shift = windows.new_zeros(count, 66), windows.new_zeros(count, 3)
        return HeadParameters(bins, bins, bins, shift, windows.new_zeros(count, KEYPOINTS, 3))


class _Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._shown = 0

    def encode_source(self, picture: Tensor) -> Tensor:
        return torch.cat([picture.roll(shift, dims=3) for shift in SHIFTS_PX])

    def render(self, pictures: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        start, self._shown = self._shown % len(SHIFTS_PX), self._shown + len(driving)
        if start + len(driving) <= len(SHIFTS_PX):
            return pictures[start : start + len(driving)]
        return pictures[[(start + index) % len(SHIFTS_PX) for index in range(len(driving))]]


class _StubNetworks:
    """Replaces :class:`~sadtalker_ext.weights.official.OfficialNetworks`."""

    name = "stub"
    exp_net, pose_vae, face_recon = _Expression, _Poses, _Recon
    keypoint_detector = _Keypoints

    def __init__(self, size_px: int) -> None:
        self.config = PackagedConfig(size_px)
        self.mapping_folders: Sequence[Path] = ()

    def generator(self, keep: Collection[str] = ()) -> _Generator:
        return _Generator()


def stub_engine(runtime: Runtime, options: SadTalkerOptions) -> SadTalkerEngine:
    """Return an engine that needs no checkpoints and shows the portrait."""
    stubs: Any = _StubNetworks(options.size_px)
    return SadTalkerEngine(runtime, options, (cast("OfficialNetworks", stubs), cast("MappingNet", _Mapping())))
