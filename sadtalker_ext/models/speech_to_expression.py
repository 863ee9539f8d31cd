"""SpeechToExpression of the starter engine: log-mel spectrogram -> mouth coefficients at 25 Hz.

The task is that of ExpNet in SadTalker (section 3.2), but the network is different: convolutions without padding over
a wide context, so that long audio can be processed in overlapping pieces without seams. The input is normalised by a
running spectral mean, which removes the influence of loudness, microphone and speaker, similar to per-channel energy
normalisation (Wang et al. 2017, "Trainable frontend for robust and far-field keyword spotting").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

MEL_PER_FRAME = 4
"""Mel frames (100 Hz) per motion frame (25 Hz)."""
POWER_FLOOR = 1e-10
"""Added to mel power before the logarithm."""
SILENCE_LOG_POWER = math.log(POWER_FLOOR)
"""Log power of digital silence; also the padding value before the start and after the end of the audio."""
SILENCE_MARGIN = 1.0
"""Log-mel values less than this above digital silence do not count in the running mean."""
MEAN_FLOOR = 1e-9
"""Added to the mean power, so that silence does not divide by zero."""
COMPRESSION_FLOOR = 3e-4
"""Power relative to the mean (-35 dB) below which the normalised spectrum is compressed."""
LEVEL_FLOOR = 1e-8
"""Added to the total power before the logarithm."""


@dataclass(frozen=True)
class SpeechToExpressionConfig:
    """Sizes of the network and of the spectrogram.

    hop, window, fft: in samples. bands: mel bands between low_hz and high_hz. normal_frames: half width of the window
    of the running mean, in motion frames. shapes: number of output coefficients.
    """

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
    """Log-mel spectrogram (natural logarithm of power) of 16 kHz audio in [-1, 1].

    Mel frame m covers the samples from m * hop to m * hop + window. A full-scale sine has about 0 dB in its band.
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
        """Samples (B, N) -> (B, bands, M), M = (N - window) // hop + 1."""
        windows = samples.unfold(-1, self.config.window, self.config.hop) * self.taper
        spectrum = torch.fft.rfft(windows, self.config.fft).abs().square()
        return torch.log(spectrum @ self.basis + POWER_FLOOR).transpose(1, 2)


class SpeechToExpression(nn.Module):
    """Log-mel spectrogram (B, 80, M) float32 -> coefficients (B, T, shapes) in [0, 1], T frames at 25 Hz.

    Output frame i is centred on mel frame 4 * (``context`` + i); T = M // 4 - 2 * ``context``. The convolutions do
    not pad: the caller pads both ends with :data:`SILENCE_LOG_POWER`.
    """

    def __init__(self, config: SpeechToExpressionConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel(config)
        self.stem = nn.Conv1d(config.bands + 1, config.stem, 5, stride=2)
        self.refine = ResidualBlock(config.stem, 1)
        self.halve = nn.Conv1d(config.stem, config.width, 5, stride=2)
        self.trunk = nn.Sequential(*(ResidualBlock(config.width, dilation) for dilation in config.dilations))
        self.head = nn.Conv1d(config.width, config.shapes, 1)

    @property
    def context(self) -> int:
        """Motion frames (25 Hz) of audio that are required before the first and after the last output frame."""
        return self.config.normal_frames + 2 + sum(self.config.dilations)

    def forward(self, log_mel: Tensor) -> Tensor:
        """(B, bands, M) -> (B, M // 4 - 2 * context, shapes)."""
        return self.decode(self.encode(log_mel))

    def encode(self, log_mel: Tensor) -> Tensor:
        """Return hidden features (B, width, T)."""
        normalized = normalize_log_mel(log_mel, self.config.normal_frames)
        hidden = self.refine(functional.gelu(self.stem(normalized)))
        return cast("Tensor", self.trunk(functional.gelu(self.halve(hidden))))

    def decode(self, hidden: Tensor) -> Tensor:
        """Hidden features (B, width, T) -> coefficients (B, T, shapes)."""
        return torch.sigmoid(self.head(functional.gelu(hidden))).transpose(1, 2)


class ResidualBlock(nn.Module):
    """Residual block x + conv1(gelu(conv3(norm(x)))); the norm is over channels, both ends lose ``dilation`` frames."""

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


def normalize_log_mel(log_mel: Tensor, half_width: int) -> Tensor:
    """Return the spectrum relative to its running mean, (B, bands + 1, 4 * (M // 4 - 2 * half_width)).

    log_mel: (B, bands, M). half_width: half width of the window of the mean, in groups of four mel frames; digital
    silence does not count in the mean. Values more than 35 dB below the mean are compressed. The last channel is the
    absolute level of all bands. Values are roughly in [-2, 1].
    """
    power = log_mel.exp()
    audible = (log_mel > SILENCE_LOG_POWER + SILENCE_MARGIN).to(log_mel.dtype)
    width = 2 * half_width + 1
    total, count = (
        functional.avg_pool1d(functional.avg_pool1d(part, MEL_PER_FRAME), width, 1)
        for part in (power * audible, audible)
    )
    mean = total / count.clamp(min=0.1) + MEAN_FLOOR
    inner = power[..., MEL_PER_FRAME * half_width :][..., : MEL_PER_FRAME * mean.shape[-1]]
    relative = torch.log(inner / mean.repeat_interleave(MEL_PER_FRAME, -1) + COMPRESSION_FLOOR) / 4
    level = (torch.log(inner.sum(1, keepdim=True) + LEVEL_FLOOR) + 8) / 8
    return torch.cat([relative, level], 1)


def mel_basis(config: SpeechToExpressionConfig) -> Tensor:
    """Return mel filters (fft // 2 + 1, bands): triangles of equal width on the mel scale, each summing to 1.

    The mel scale is 2595 log10(1 + f / 700). Unlike ``librosa.filters.mel``, no filter is empty: a band narrower than
    a frequency bin uses the nearest bin.
    """
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
