"""ExpNet: expression coefficients from speech (SadTalker, Zhang et al. 2023, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sadtalker_ext.models.audio_encoder import AUDIO_WIDTHS, encoder_layers


@dataclass(frozen=True)
class ExpNetConfig:
    """Sizes of the network.

    expression_channels: number of 3DMM expression coefficients, of the reference and of the output.
    audio_widths: channels of the audio encoder's stages.
    """

    expression_channels: int = 64
    audio_widths: tuple[int, ...] = AUDIO_WIDTHS


class ExpNet(nn.Module):
    """A linear layer on audio features, reference expression and blink ratio; frames are independent of each other."""

    def __init__(self, config: ExpNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or ExpNetConfig()
        expressions = self.config.expression_channels
        self.audio_encoder = encoder_layers(self.config.audio_widths)
        self.mapping1 = nn.Linear(self.config.audio_widths[-1] + expressions + 1, expressions)

    def forward(self, mel: Tensor, reference: Tensor, blink: Tensor) -> Tensor:
        """Return expression coefficients (B, T, 64).

        mel: (B, T, 1, 80, 16) windows in [-4, 4].
        reference: (B, T, 64) expression of the source, or of a blink reference.
        blink: (B, T, 1) eye closing in [0, 1].
        """
        batch, frames = mel.shape[:2]
        features: Tensor = self.audio_encoder(mel.flatten(0, 1))
        features = features.reshape(batch, frames, -1)
        out: Tensor = self.mapping1(torch.cat((features, reference, blink), dim=-1))
        return out
