"""MouthCoverNet: whether something covers a part of the mouth, from the features of FaceMesh around the lips.

FaceMesh places lips behind a hand or a microphone too, but its features differ there. A small network learns where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from sadtalker_ext.models.face_mesh import MouthMaps

SIDE: Final = 8
"""Side of the maps around the lips."""
WIDE: Final = 2.2
"""Side of the wider map relative to that of the crop of the lips: cheeks, nose and chin."""
CHANNELS: Final = 512
"""Channels of the maps of :func:`mouth_features`."""
_CROP_SIDE: Final = 16
_FEATURE_SIDE: Final = 48
"""Sides of the crop of the lips and of the trunk's features, as in FaceMesh."""


@dataclass(frozen=True)
class MouthCoverConfig:
    """hidden: channels of the hidden layers. dropout: share of channels that are dropped in training."""

    hidden: int = 64
    dropout: float = 0.4


class MouthMapsNetwork(Protocol):
    """A network that returns features around a mouth."""

    def mouth_maps(self, crops: Tensor) -> MouthMaps:
        """Return outputs of layers for crops (N, 3, 192, 192) in [0, 1]."""
        ...


class MouthCoverNet(nn.Module):
    """Features (N, 512, 8, 8) -> maps of the cover, and logit of a covered mouth."""

    def __init__(self, config: MouthCoverConfig) -> None:
        super().__init__()
        self.config = config
        self.mix = nn.Conv2d(CHANNELS, config.hidden, 1)
        self.near = nn.Conv2d(config.hidden, config.hidden, 3, padding=1)
        self.map = nn.Conv2d(config.hidden, 2, 1)
        self.from_map = nn.Linear(2 * SIDE * SIDE, 1)
        self.from_features = nn.Linear(2 * config.hidden, 1)
        self.dropout = nn.Dropout2d(config.dropout)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N, 2, 8, 8) of a cover around the lips and in the wider map, and logits (N,) of a cover."""
        hidden = torch.relu(self.near(torch.relu(self.mix(self.dropout(features)))))
        hidden = self.dropout(hidden)
        maps = self.map(hidden)
        pooled = torch.cat([hidden.amax((2, 3)), hidden.mean((2, 3))], 1)
        logit = self.from_map(torch.sigmoid(maps).flatten(1)) + self.from_features(pooled)
        return maps, logit[:, 0]


def mouth_features(network: MouthMapsNetwork, crops: Tensor) -> tuple[Tensor, Tensor]:
    """Return features (N, 512, 8, 8) around the lips of crops (N, 3, 192, 192) in [0, 1], and where they are.

    network: FaceMesh, or its function for inference. The second tensor (N, 2, 8, 8, 2) has the positions of the narrow
    and the wide map, -1 to 1 across the crop.
    """
    maps = network.mouth_maps(crops)
    narrow, wide = (_positions(maps.transforms, scale) for scale in (1.0, WIDE))
    coarse = maps.lips_coarse.contiguous()
    small = F.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    sampled = [_sample(maps.trunk_fine, narrow), _sample(maps.trunk_coarse, narrow), _sample(maps.trunk_coarse, wide)]
    return torch.cat([maps.lips_fine, small, *sampled], 1), torch.stack([narrow, wide], 1)


def _positions(transforms: Tensor, scale: float) -> Tensor:
    """Return positions (N, 8, 8, 2), -1 to 1, of a map over the crop of the lips; transforms: (N, 2, 3)."""
    steps = (torch.arange(SIDE, device=transforms.device) + 0.5) / SIDE - 0.5
    steps = steps * (_CROP_SIDE * scale) + _CROP_SIDE / 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3)
    return torch.unflatten((points @ transforms.mT) / _FEATURE_SIDE * 2 - 1, 1, (SIDE, SIDE))


def _sample(maps: Tensor, positions: Tensor) -> Tensor:
    return F.grid_sample(maps.contiguous(), positions, align_corners=False, padding_mode="border")
