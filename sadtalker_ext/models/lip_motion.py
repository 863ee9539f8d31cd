"""LipMotion: opening and width of the mouth from the features of a speech encoder, a corrected linear map.

For speakers that are not in the training data, a linear map of the features of a pretrained speech encoder predicts
the lips better than a network trained on the same minutes of video. Which layers of the encoder are best was measured
(see ``training/starter/lip_motion.py``). Features are taken relative to their running mean, which removes the
influence of the speaker and of the microphone, as cepstral mean normalisation does. An average over about half a
second serves the width, which changes more slowly than the opening. Small convolutional networks alone are worse than
the linear map on new speakers, but their mean and the linear map together are better than either.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

POWER_FLOOR = 1e-9
"""Added to the mean power, so that silence does not divide by zero."""
LARGEST_SLOW_FRAMES = 250
"""Limit of ``slow_frames``: files are not trusted, and the average needs memory in proportion."""
SLOW_REACH = 3
"""Reach of the slow average in both directions, in its standard deviations."""
LARGEST_HIDDEN = 1024
"""Limit of ``members * units``."""
CONVOLUTIONS, KERNEL = 2, 5
"""Convolutions of LipCorrection and the frames that each one reads."""
CORRECTION_REACH = CONVOLUTIONS * (KERNEL // 2)
"""Frames before and after a frame that LipCorrection reads."""


@dataclass(frozen=True)
class LipMotionConfig:
    """Layers of the encoder, the length of the window, and how predictions relate to real mouths.

    layers: numbers of the encoder layers whose outputs are read, from 1. width: channels of each.
    reach: frames (25 Hz) of the window before and after a frame. slow_frames: standard deviation, in frames, of the
    weights of an average that is read besides the window; 0: none. members, units: number of networks of LipCorrection
    and channels of each; 0 members: a linear map alone. mean_frames: half width of the window of the running mean, in
    frames. gate: power relative to the mean at which a frame counts half in the running mean.
    opening_mean, opening_scale: mean and standard deviation over time of the distance between the inner lips of a
    typical speaker; width_mean, width_scale: of the mouth's width. Unit: distance of the outer eye corners.
    """

    layers: tuple[int, ...] = (2, 3, 4, 5)
    width: int = 288
    reach: int = 2
    slow_frames: int = 0
    members: int = 0
    units: int = 48
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

    @property
    def taps(self) -> int:
        """Number of rows of weights for each output: of each frame of the window, and of the slow average."""
        return 2 * self.reach + 1 + bool(self.slow_frames)

    @property
    def hidden(self) -> int:
        """Number of channels of all members."""
        return self.members * self.units

    @property
    def columns(self) -> int:
        """Number of columns of :meth:`LipMotion.project`."""
        return len(LipMotion.OUTPUTS) * self.taps + self.hidden * (1 + bool(self.slow_frames))

    @property
    def dependence(self) -> int:
        """Number of frames before and after a frame whose features and power its outputs depend on."""
        correction = CORRECTION_REACH if self.members else 0
        return max(self.reach, correction + SLOW_REACH * self.slow_frames) + 2 * self.mean_frames


class LipCorrection(nn.Module):
    """Hidden features (B, T, members * units) -> outputs (B, T, 2): the mean of small convolutional networks.

    The members have the same layers and share nothing: each is one group of the convolutions.
    """

    def __init__(self, members: int, units: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.members, width = members, members * units
        self.bias = nn.Parameter(torch.zeros(width))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, padding_mode="replicate", groups=members)
            for _ in range(CONVOLUTIONS)
        )
        self.head = nn.Conv1d(width, len(LipMotion.OUTPUTS) * members, 1, groups=members)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the mean of the members (B, T, 2)."""
        return self.each(hidden).mean(2)

    def each(self, hidden: Tensor) -> Tensor:
        """Return the outputs of each member (B, T, members, 2)."""
        values = (hidden + self.bias).transpose(1, 2)
        for convolution in self.convolutions:
            values = values + self.dropout(convolution(functional.gelu(self.dropout(values))))
        outputs: Tensor = self.head(functional.gelu(values)).transpose(1, 2)
        return outputs.reshape(*outputs.shape[:2], self.members, len(LipMotion.OUTPUTS))


class LipMotion(nn.Module):
    """Features (B, T, features) at 25 Hz and power (B, T) -> (B, T, 2): opening and width of the mouth.

    The outputs are deviations from the speaker's mean in standard deviations over time; 0 is the mean of speech.
    """

    OUTPUTS = ("opening", "width")

    def __init__(self, config: LipMotionConfig) -> None:
        super().__init__()
        if not 0 <= config.slow_frames <= LARGEST_SLOW_FRAMES:
            raise ValueError(f"slow_frames is {config.slow_frames}; the largest is {LARGEST_SLOW_FRAMES}")
        if min(config.members, config.units) < 0 or config.hidden > LARGEST_HIDDEN:
            raise ValueError(
                f"members and units are {config.members} and {config.units}; their largest product is {LARGEST_HIDDEN}"
            )
        self.config = config
        self.taps = nn.Linear(config.features, len(self.OUTPUTS) * config.taps, bias=False)
        if config.members:
            self.inner = nn.Linear(config.features, config.columns - self.taps.out_features, bias=False)
            self.correction = LipCorrection(config.members, config.units)

    def forward(self, features: Tensor, power: Tensor) -> Tensor:
        """Return the outputs for whole clips. power: mean square of the samples of each frame."""
        return self.combine(self.project(features), power)

    def project(self, features: Tensor) -> Tensor:
        """Return what :meth:`combine` needs of the features, (B, T, columns); each frame is projected by itself."""
        taps: Tensor = self.taps(features)
        return torch.cat([taps, self.inner(features)], -1) if self.config.members else taps

    def combine(self, projected: Tensor, power: Tensor) -> Tensor:
        """Return the outputs from ``project(features)``, which takes less memory than features."""
        config = self.config
        relative = projected - running_mean(projected, power, config.mean_frames, config.gate)
        tapped, hidden = relative.tensor_split([self.taps.out_features], dim=-1)
        outputs = self._linear(tapped)
        if not config.members:
            return outputs
        near, slow = hidden[..., : config.hidden], hidden[..., config.hidden :]
        corrected: Tensor = self.correction(near + slow_average(slow, config.slow_frames) if slow.numel() else near)
        return outputs + corrected

    def _linear(self, tapped: Tensor) -> Tensor:
        """Return the outputs of the linear map from ``taps`` (B, T, outputs * taps), relative to their mean."""
        config = self.config
        parts = tapped.reshape(*tapped.shape[:2], len(self.OUTPUTS), config.taps)
        frames, window = tapped.shape[1], 2 * config.reach + 1
        padded = torch.cat(
            [parts[:, :1].expand(-1, config.reach, -1, -1), parts, parts[:, -1:].expand(-1, config.reach, -1, -1)], 1
        )
        outputs = torch.stack([padded[:, tap : tap + frames, :, tap] for tap in range(window)]).sum(0)
        return outputs + slow_average(parts[..., window], config.slow_frames) if config.slow_frames else outputs


def slow_average(values: Tensor, sigma: int) -> Tensor:
    """Return the average of ``values`` (B, T, D) around each frame with Gaussian weights; the end frames are repeated.

    sigma: standard deviation of the weights in frames. They end after :data:`SLOW_REACH` standard deviations.
    """
    reach = SLOW_REACH * sigma
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=values.device, dtype=values.dtype) / sigma) ** 2)
    columns = values.transpose(1, 2).reshape(-1, 1, values.shape[1])
    padded = functional.pad(columns, (reach, reach), mode="replicate")
    averages = functional.conv1d(padded, (weights / weights.sum())[None, None])
    return averages.reshape(values.shape[0], values.shape[2], -1).transpose(1, 2)


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
