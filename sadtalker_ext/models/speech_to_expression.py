"""The starter's ExpNet: log-mel frames in, mouth coefficients at 25 Hz out.

The task is that of SadTalker's ExpNet (section 3.2); the network is another: valid convolutions over a wide context, so
that a long sound may be cut into overlapping pieces without a seam. Loudness, microphone and speaker are taken out
first by a running spectral normalisation, as in per-channel energy normalisation (Wang et al. 2017, "Trainable
frontend for robust and far-field keyword spotting").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

MEL_PER_FRAME = 4
"""Mel frames (100 Hz) per frame of motion (25 Hz)."""
SILENCE_LOG_POWER = math.log(1e-10)
"""Log power of digital silence; also what lies before the beginning and after the end."""


@dataclass(frozen=True)
class SpeechToExpressionConfig:
    """Sizes of the network; ``normal_frames`` is the half width of the running normalisation in frames of motion."""

    sample_rate_hz: int = 16000
    hop: int = 160
    window: int = 400
    fft: int = 512
    bands: int = 80
    low_hz: float = 60.0
    high_hz: float = 7600.0
    normal_frames: int = 50
    stem: int = 96
    width: int = 160
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4, 1)
    shapes: int = 7


class LogMel(nn.Module):
    """Samples (B, N) at 16 kHz, -1..1, to natural log mel power (B, bands, M), M = (N - window) // hop + 1.

    Mel frame m covers samples m * hop .. m * hop + window; a full-scale sine has a power of about 0 dB in its band.
    """

    basis: Tensor
    taper: Tensor

    def __init__(self, config: SpeechToExpressionConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("basis", mel_basis(config))
        taper = torch.hann_window(config.window)
        self.register_buffer("taper", taper / taper.sum() * 2)

    def forward(self, samples: Tensor) -> Tensor:
        """(B, N) -> (B, bands, M)."""
        pieces = samples.unfold(-1, self.config.window, self.config.hop) * self.taper
        spectrum = torch.fft.rfft(pieces, self.config.fft).abs().square()
        return torch.log(spectrum @ self.basis + 1e-10).transpose(1, 2)


class SpeechToExpression(nn.Module):
    """log_mel (B, 80, M) float32 -> coefficients (B, T, shapes) in 0..1, T frames at 25 Hz.

    Output frame i is centred on mel frame 4 * (``context`` + i); T = M // 4 - 2 * ``context``. All convolutions are
    valid: whoever calls pads with :data:`SILENCE_LOG_POWER` at the ends of the sound.
    """

    def __init__(self, config: SpeechToExpressionConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel(config)
        self.stem = nn.Conv1d(config.bands + 1, config.stem, 5, stride=2)
        self.refine = Residual(config.stem, 1)
        self.halve = nn.Conv1d(config.stem, config.width, 5, stride=2)
        self.trunk = nn.Sequential(*(Residual(config.width, dilation) for dilation in config.dilations))
        self.head = nn.Conv1d(config.width, config.shapes, 1)

    @property
    def context(self) -> int:
        """Frames (25 Hz) of sound needed before the first and after the last frame of motion."""
        return self.config.normal_frames + 2 + sum(self.config.dilations)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, bands, M) -> (B, M // 4 - 2 * context, shapes)."""
        return self.decode(self.encode(log_mel))

    def encode(self, log_mel: Tensor) -> Tensor:
        """Hidden features (B, width, T) of each frame."""
        normal = normalise(log_mel, self.config.normal_frames)
        hidden = self.refine(functional.gelu(self.stem(normal)))
        return cast("Tensor", self.trunk(functional.gelu(self.halve(hidden))))

    def decode(self, hidden: Tensor) -> Tensor:
        """Hidden features (B, width, T) to coefficients (B, T, shapes)."""
        return torch.sigmoid(self.head(functional.gelu(hidden))).transpose(1, 2)


class Residual(nn.Module):
    """x + conv1(gelu(conv3(norm x))), both sides shortened by the dilation; the norm is over channels only."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Conv1d(width, width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, T) -> (B, width, T - 2 * dilation)."""
        normed = self.norm(x.transpose(1, 2)).transpose(1, 2)
        change = self.mix(functional.gelu(self.widen(normed)))
        return x[..., self.dilation : -self.dilation] + cast("Tensor", change)


def normalise(log_mel: Tensor, half_width: int) -> Tensor:
    """(B, bands, M) log power -> (B, bands + 1, 4 * (M // 4 - 2 * half_width)) relative to the mean power around.

    half_width: of the window of the mean, in groups of four mel frames. Digital silence does not count; what lies 35
    dB below the mean is compressed. The added channel is the absolute level of all bands. Values are roughly -2..1.
    """
    power = log_mel.exp()
    sounding = (log_mel > SILENCE_LOG_POWER + 1.0).to(log_mel.dtype)
    width = 2 * half_width + 1
    total, count = (
        functional.avg_pool1d(functional.avg_pool1d(part, MEL_PER_FRAME), width, 1)
        for part in (power * sounding, sounding)
    )
    mean = total / count.clamp(min=0.1) + 1e-9
    inner = power[..., MEL_PER_FRAME * half_width :][..., : MEL_PER_FRAME * mean.shape[-1]]
    relative = torch.log(inner / mean.repeat_interleave(MEL_PER_FRAME, -1) + 3e-4) / 4
    level = (torch.log(inner.sum(1, keepdim=True) + 1e-8) + 8) / 8
    return torch.cat([relative, level], 1)


def mel_basis(config: SpeechToExpressionConfig) -> Tensor:
    """(fft // 2 + 1, bands) triangles, equally wide on the mel scale 2595 log10(1 + f / 700), each summing to 1."""
    top, bottom = (2595 * math.log10(1 + hz / 700) for hz in (config.high_hz, config.low_hz))
    mel = torch.linspace(bottom, top, config.bands + 2, dtype=torch.float64)
    corners = 700 * (10 ** (mel / 2595) - 1)
    bins = torch.linspace(0, config.sample_rate_hz / 2, config.fft // 2 + 1, dtype=torch.float64)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    basis = torch.minimum(rising, falling).clamp(min=0)
    nearest = torch.argmin((bins - corners[1:-1]).abs(), 0)
    empty = basis.sum(0) == 0
    basis[nearest[empty], torch.arange(config.bands)[empty]] = 1.0
    return (basis / basis.sum(0)).float()
