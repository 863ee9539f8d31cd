"""LipMotion: opening and width of the mouth from the features of a speech encoder, a linear map over a short window.

For speakers that are not in the training data, a linear map of the features of a pretrained speech encoder predicts
the lips better than a network trained on the same minutes of video. Which layers of the encoder are best was measured
(see ``training/starter/lip_motion.py``). Features are taken relative to their running mean, which removes the
influence of the speaker and of the microphone, as cepstral mean normalization does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

POWER_FLOOR = 1e-9
"""Added to the mean power, so that silence does not divide by zero."""


@dataclass(frozen=True)
class LipMotionConfig:
    """Layers of the encoder, the length of the window, and how predictions relate to real mouths.

    layers: numbers of the encoder layers whose outputs are read, from 1. width: channels of each.
    reach: frames (25 Hz) of the window before and after a frame. mean_frames: half width of the window of the running
    mean, in frames. gate: power relative to the mean at which a frame counts half in the running mean.
    opening_mean, opening_scale: mean and standard deviation over time of the distance between the inner lips of a
    typical speaker; width_mean, width_scale: of the mouth's width. Unit: distance of the outer eye corners.
    """

    layers: tuple[int, ...] = (2, 3, 4, 5)
    width: int = 288
    reach: int = 2
    mean_frames: int = 200
    gate: float = 0.01
    opening_mean: float = 0.08
    opening_scale: float = 0.05
    width_mean: float = 0.58
    width_scale: float = 0.03

    @property
    def features(self) -> int:
        """Number of features of a frame."""
        return self.width * len(self.layers)


class LipMotion(nn.Module):
    """Features (B, T, features) at 25 Hz and power (B, T) -> (B, T, 2): opening and width of the mouth.

    The outputs are deviations from the speaker's mean in standard deviations over time; 0 is the mean of speech.
    """

    OUTPUTS = ("opening", "width")

    def __init__(self, config: LipMotionConfig) -> None:
        super().__init__()
        self.config = config
        self.taps = nn.Linear(config.features, len(self.OUTPUTS) * (2 * config.reach + 1), bias=False)

    def forward(self, features: Tensor, power: Tensor) -> Tensor:
        """Return the outputs for whole clips. power: mean square of the samples of each frame."""
        return self.combine(self.taps(features), power)

    def combine(self, tapped: Tensor, power: Tensor) -> Tensor:
        """Return the outputs from ``taps(features)`` (B, T, outputs * taps), which takes less memory than features."""
        config = self.config
        tapped = tapped - running_mean(tapped, power, config.mean_frames, config.gate)
        parts = tapped.reshape(*tapped.shape[:2], len(self.OUTPUTS), 2 * config.reach + 1)
        padded = torch.cat(
            [parts[:, :1].expand(-1, config.reach, -1, -1), parts, parts[:, -1:].expand(-1, config.reach, -1, -1)], 1
        )
        frames = tapped.shape[1]
        taps = range(2 * config.reach + 1)
        return torch.stack([padded[:, tap : tap + frames, :, tap] for tap in taps]).sum(0)


def running_mean(values: Tensor, power: Tensor, half: int, gate: float) -> Tensor:
    """Return the mean of ``values`` (B, T, D) over up to ``half`` frames before and after each frame.

    Frames are weighted by p / (p + gate * mean p) with their power p (B, T), so that pauses hardly count; the mean
    power is that of the same frames.
    """
    level = _window_sum(power[..., None], half) / _window_sum(torch.ones_like(power)[..., None], half)
    weight = power[..., None] / (power[..., None] + gate * level + POWER_FLOOR) + POWER_FLOOR
    return _window_sum(values * weight, half) / _window_sum(weight, half)


def _window_sum(values: Tensor, half: int) -> Tensor:
    """Return sums over up to ``half`` frames before and after each; values (B, T, D), summed in float64."""
    sums = functional.pad(values.double().cumsum(1), (0, 0, 1, 0))
    frames = torch.arange(values.shape[1], device=values.device)
    return (sums[:, (frames + half + 1).clamp(max=len(frames))] - sums[:, (frames - half).clamp(min=0)]).to(values)
