"""SpeechEncoder: the encoder of Moonshine Tiny, 16 kHz audio -> features at 41.67 Hz.

Jeffries et al. 2024, "Moonshine: Speech Recognition for Live Transcription and Voice Commands" (arXiv 2410.15608),
section 3: three strided convolutions on the waveform and a transformer with rotary positions and pre-normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

STEM_KERNELS = (127, 7, 3)
STEM_STRIDES = (64, 3, 2)
SAMPLES_PER_FEATURE = 384
"""Step between features, in samples."""
FIRST_CENTRE = 447.5
"""Centre of the receptive field of the first feature, in samples: the mean of 0 and 895."""
RECEPTIVE_FIELD = 895
"""Samples of the waveform that the convolutions read for one feature."""
NORM_EPSILON = 1e-5
ROTARY_BASE = 10000.0
ROTARY_SHARE = 0.9
"""Share of the channels of each head that is rotated; the number of rotated channels is rounded down to even."""


@dataclass(frozen=True)
class SpeechEncoderConfig:
    """Sizes: channels of the features, hidden channels of the feed-forward layers, transformer layers, heads."""

    width: int = 288
    hidden: int = 1152
    layers: int = 6
    heads: int = 8


class SpeechEncoder(nn.Module):
    """Samples (B, N) at 16 kHz in [-1, 1] -> features (B, T, width), T = :func:`feature_count` (N).

    Feature t is centred on sample :data:`FIRST_CENTRE` + t * :data:`SAMPLES_PER_FEATURE`. Each feature depends on the
    whole input: by attention, and by the normalisation of the first convolution.
    """

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.conv1 = nn.Conv1d(1, width, STEM_KERNELS[0], STEM_STRIDES[0], bias=False)
        self.groupnorm = nn.GroupNorm(1, width, NORM_EPSILON)
        self.conv2 = nn.Conv1d(width, 2 * width, STEM_KERNELS[1], STEM_STRIDES[1])
        self.conv3 = nn.Conv1d(2 * width, width, STEM_KERNELS[2], STEM_STRIDES[2])
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.layer_norm = nn.LayerNorm(width, NORM_EPSILON, bias=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Encode the samples; at least :data:`RECEPTIVE_FIELD` of them."""
        return cast("Tensor", self.layer_norm(self.layer_outputs(samples, (len(self.layers),))[0]))

    def layer_outputs(self, samples: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Return the output (B, T, width) of each of ``layers``, ascending numbers from 1; others are not kept."""
        x = self.groupnorm(torch.tanh(self.conv1(samples[:, None])))
        x = functional.gelu(self.conv3(functional.gelu(self.conv2(x)))).transpose(1, 2)
        rotation = rotary_angles(x.shape[1], self.config.width // self.config.heads).to(x)
        outputs = []
        for number in range(1, layers[-1] + 1):
            x = self.layers[number - 1](x, rotation)
            if number in layers:
                outputs.append(x)
        return outputs


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward layers, each with a residual connection."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.self_attn = SelfAttention(width, config.heads)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, config.hidden), "fc2": nn.Linear(config.hidden, width)})
        self.input_layernorm = nn.LayerNorm(width, NORM_EPSILON, bias=False)
        self.post_attention_layernorm = nn.LayerNorm(width, NORM_EPSILON, bias=False)

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """Features (B, T, width), rotation of :func:`rotary_angles` -> (B, T, width)."""
        x = x + self.self_attn(self.input_layernorm(x), rotation)
        hidden = functional.gelu(self.mlp["fc1"](self.post_attention_layernorm(x)))
        return x + cast("Tensor", self.mlp["fc2"](hidden))


class SelfAttention(nn.Module):
    """Multi-head attention over all features; queries and keys are rotated by their position (Su et al. 2021)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """(B, T, width) -> (B, T, width)."""
        projections = (self.q_proj(x), self.k_proj(x), self.v_proj(x))
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in projections)
        mixed = functional.scaled_dot_product_attention(rotate(query, rotation), rotate(key, rotation), value)
        return cast("Tensor", self.o_proj(mixed.transpose(1, 2).flatten(2)))


def rotary_angles(count: int, channels: int) -> Tensor:
    """Return the rotation (count, channels * 0.9 // 2) in radians of each position and channel pair."""
    rotated = int(channels * ROTARY_SHARE) // 2 * 2
    frequencies = ROTARY_BASE ** (-torch.arange(0, rotated, 2, dtype=torch.float32) / rotated)
    return torch.arange(count, dtype=torch.float32)[:, None] * frequencies


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate neighbouring pairs of the first channels of ``x`` (B, H, T, C) by ``angles`` (T, P), 2 P <= C."""
    rotated = x[..., : 2 * angles.shape[-1]]
    first, second = rotated[..., ::2], rotated[..., 1::2]
    cosine, sine = angles.cos(), angles.sin()
    turned = torch.stack([first * cosine - second * sine, second * cosine + first * sine], -1).flatten(-2)
    return torch.cat([turned, x[..., 2 * angles.shape[-1] :]], -1)


def feature_count(samples: int) -> int:
    """Return the number of features of that many samples."""
    count = samples
    for kernel, stride in zip(STEM_KERNELS, STEM_STRIDES, strict=True):
        count = (count - kernel) // stride + 1
    return count
