"""VoiceDetector: whether somebody speaks or sings, from the features of a speech encoder, by logistic regression.

The features of an encoder that recognises speech separate voices of any kind from other sounds almost linearly, which
the level, the spectrum or the pitch of a sound do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class VoiceDetectorConfig:
    """layers: numbers of the encoder layers whose outputs are read, from 1. width: channels of each."""

    layers: tuple[int, ...] = (2, 3, 4, 5)
    width: int = 288

    @property
    def features(self) -> int:
        """Number of features of a frame."""
        return self.width * len(self.layers)


class VoiceDetector(nn.Module):
    """Features (..., features) -> logit (...) of a voice at that time; 0 is undecided, positive is a voice."""

    def __init__(self, config: VoiceDetectorConfig) -> None:
        super().__init__()
        self.config = config
        self.logit = nn.Linear(config.features, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits."""
        return torch.squeeze(self.logit(features), -1)
