"""The mel-window encoder of Wav2Lip (Prajwal et al. 2020), used by ExpNet and PoseVAE with own weights."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.folding import FoldPairs

AUDIO_FEATURES = 512
MEL_BANDS = 80
MEL_COLUMNS = 16


class ConvSpec(NamedTuple):
    """One layer of the encoder; ``residual`` adds the input before the ReLU."""

    channels_in: int
    channels_out: int
    kernel: int = 3
    stride: tuple[int, int] = (1, 1)
    padding: int = 1
    residual: bool = False


def _residual(channels: int) -> ConvSpec:
    return ConvSpec(channels, channels, residual=True)


LAYERS = (
    ConvSpec(1, 32), _residual(32), _residual(32),
    ConvSpec(32, 64, stride=(3, 1)), _residual(64), _residual(64),
    ConvSpec(64, 128, stride=(3, 3)), _residual(128), _residual(128),
    ConvSpec(128, 256, stride=(3, 2)), _residual(256),
    ConvSpec(256, AUDIO_FEATURES, padding=0),
    ConvSpec(AUDIO_FEATURES, AUDIO_FEATURES, kernel=1, padding=0),
)  # fmt: skip
"""80x16 -> 27x16 -> 9x6 -> 3x3 -> 1x1."""


class ConvBlock(nn.Module):
    """Convolution, batch norm, optional residual, ReLU."""

    FOLDS: ClassVar[FoldPairs] = (("conv_block.0", "conv_block.1"),)

    def __init__(self, spec: ConvSpec) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(spec.channels_in, spec.channels_out, spec.kernel, spec.stride, spec.padding),
            nn.BatchNorm2d(spec.channels_out),
        )
        self.residual = spec.residual

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        out: Tensor = self.conv_block(x)
        return F.relu(out + x if self.residual else out)


def encoder_layers() -> nn.Sequential:
    """The thirteen layers: (B, 1, 80, 16) mel windows -> (B, 512, 1, 1)."""
    return nn.Sequential(*(ConvBlock(spec) for spec in LAYERS))


class AudioEncoder(nn.Module):
    """The encoder one level deeper, as PoseVAE's checkpoint nests it."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_encoder = encoder_layers()

    def forward(self, mel: Tensor) -> Tensor:
        """Mel windows (B, T, 1, 80, 16) in [-4, 4] -> features (B, T, 512)."""
        batch, frames = mel.shape[:2]
        features: Tensor = self.audio_encoder(mel.flatten(0, 1))
        return features.reshape(batch, frames, AUDIO_FEATURES)
