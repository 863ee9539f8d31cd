"""The mel-spectrogram encoder of Wav2Lip (Prajwal et al. 2020); ExpNet and PoseVAE use it with their own weights."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.folding import FoldPairs

AUDIO_WIDTHS = (32, 64, 128, 256, 512)
"""Channels of the five stages of the official encoder; the last one is the number of output features."""
MEL_BANDS = 80
MEL_COLUMNS = 16


class ConvSpec(NamedTuple):
    """Configuration of one convolution layer; ``residual`` adds the input before the ReLU."""

    channels_in: int
    channels_out: int
    kernel: int = 3
    stride: tuple[int, int] = (1, 1)
    padding: int = 1
    residual: bool = False


def _residual(channels: int) -> ConvSpec:
    return ConvSpec(channels, channels, residual=True)


def layer_specs(widths: tuple[int, ...] = AUDIO_WIDTHS) -> tuple[ConvSpec, ...]:
    """Return the thirteen layers for five widths; feature maps shrink 80x16 -> 27x16 -> 9x6 -> 3x3 -> 1x1."""
    w0, w1, w2, w3, features = widths
    return (
        ConvSpec(1, w0), _residual(w0), _residual(w0),
        ConvSpec(w0, w1, stride=(3, 1)), _residual(w1), _residual(w1),
        ConvSpec(w1, w2, stride=(3, 3)), _residual(w2), _residual(w2),
        ConvSpec(w2, w3, stride=(3, 2)), _residual(w3),
        ConvSpec(w3, features, padding=0),
        ConvSpec(features, features, kernel=1, padding=0),
    )  # fmt: skip


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


def encoder_layers(widths: tuple[int, ...] = AUDIO_WIDTHS) -> nn.Sequential:
    """Build the thirteen layers: mel windows (B, 1, 80, 16) -> features (B, widths[-1], 1, 1)."""
    return nn.Sequential(*(ConvBlock(spec) for spec in layer_specs(widths)))


class AudioEncoder(nn.Module):
    """The encoder as a submodule, which is how the checkpoint of PoseVAE nests it."""

    def __init__(self, widths: tuple[int, ...] = AUDIO_WIDTHS) -> None:
        super().__init__()
        self.audio_encoder = encoder_layers(widths)

    def forward(self, mel: Tensor) -> Tensor:
        """Mel windows (B, T, 1, 80, 16) in [-4, 4] -> features (B, T, widths[-1])."""
        batch, frames = mel.shape[:2]
        features: Tensor = self.audio_encoder(mel.flatten(0, 1))
        return features.reshape(batch, frames, -1)
