"""MappingNet: head parameters from windows of 3DMM coefficients (SadTalker, section 3.3; PIRenderer)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

WINDOW_FRAMES = 27
"""Length of a window: the current frame and 13 frames on each side."""
LEAK = 0.1
DILATION = 3


@dataclass(frozen=True)
class MappingNetConfig:
    """Sizes of the network.

    coefficients: 70 (64 expression, 3 angles, 3 translation), or 73 with the three crop values of the full modes.
    """

    coefficients: int = 70
    width: int = 1024
    layers: int = 3
    keypoints: int = 15
    angle_bins: int = 66


class HeadParameters(NamedTuple):
    """Transformation of canonical keypoints.

    yaw, pitch, roll: logits of angle bins (B, 66) each. translation: (B, 3). deformation: (B, K, 3).
    """

    yaw: Tensor
    pitch: Tensor
    roll: Tensor
    translation: Tensor
    deformation: Tensor


class MappingNet(nn.Module):
    """Dilated convolutions over time with cropped skip connections, average over time, linear heads."""

    def __init__(self, config: MappingNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or MappingNetConfig()
        width, bins = self.config.width, self.config.angle_bins
        self.first = nn.Sequential(nn.Conv1d(self.config.coefficients, width, 7))
        for index in range(self.config.layers):
            layer = nn.Sequential(nn.LeakyReLU(LEAK), nn.Conv1d(width, width, 3, dilation=DILATION))
            self.add_module(f"encoder{index}", layer)
        self.fc_roll = nn.Linear(width, bins)
        self.fc_pitch = nn.Linear(width, bins)
        self.fc_yaw = nn.Linear(width, bins)
        self.fc_t = nn.Linear(width, 3)
        self.fc_exp = nn.Linear(width, 3 * self.config.keypoints)

    def forward(self, windows: Tensor) -> HeadParameters:
        """Coefficient windows (B, 70 or 73, 27) -> head parameters."""
        out: Tensor = self.first(windows)
        for index in range(self.config.layers):
            out = self.get_submodule(f"encoder{index}")(out) + out[:, :, DILATION:-DILATION]
        out = F.adaptive_avg_pool1d(out, 1).squeeze(-1)
        deformation = self.fc_exp(out).unflatten(1, (self.config.keypoints, 3))
        return HeadParameters(self.fc_yaw(out), self.fc_pitch(out), self.fc_roll(out), self.fc_t(out), deformation)
