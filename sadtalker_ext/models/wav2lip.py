"""Generator of Wav2Lip (Prajwal et al. 2020): synthesises the lower half of a face to match speech.

State-dict keys are those of the public checkpoints (entry ``state_dict``, prefix ``module.``). Applied to a single
image, it produces frames in which only the lips move; ExpNet is trained on these (SadTalker, section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.audio_encoder import AUDIO_WIDTHS, ConvBlock, ConvSpec, encoder_layers

FACE_PX = 96
"""Side of the input and output face images."""


@dataclass(frozen=True)
class Wav2LipConfig:
    """Sizes of the network.

    encoder_widths, decoder_widths: channels of the seven stages of the face encoder and the face decoder.
    repeats: residual layers after the first layer of the encoder's stages 1 to 5.
    output_width: channels before the output layer. audio_widths: channels of the audio encoder's stages.
    """

    encoder_widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 512)
    repeats: tuple[int, ...] = (2, 3, 2, 2, 1)
    decoder_widths: tuple[int, ...] = (512, 512, 512, 384, 256, 128, 64)
    output_width: int = 32
    audio_widths: tuple[int, ...] = AUDIO_WIDTHS


class TransposeBlock(nn.Module):
    """Transposed 3x3 convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, doubles: bool) -> None:
        super().__init__()
        stride, padding = (2, 1) if doubles else (1, 0)
        self.conv_block = nn.Sequential(
            nn.ConvTranspose2d(channels_in, channels_out, 3, stride, padding, output_padding=padding),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        return F.relu(self.conv_block(x))


def _residuals(width: int, count: int) -> list[nn.Module]:
    return [ConvBlock(ConvSpec(width, width, residual=True)) for _ in range(count)]


def _face_encoder(config: Wav2LipConfig) -> nn.ModuleList:
    """Build the stages of the face encoder: 96 -> 96, 48, 24, 12, 6, 3, 1 pixels."""
    widths = config.encoder_widths
    stages = [nn.Sequential(ConvBlock(ConvSpec(6, widths[0], 7, padding=3)))]
    for index, repeats in enumerate(config.repeats):
        halving = ConvBlock(ConvSpec(widths[index], widths[index + 1], stride=(2, 2)))
        stages.append(nn.Sequential(halving, *_residuals(widths[index + 1], repeats)))
    last = widths[-1]
    closing = ConvBlock(ConvSpec(widths[-2], last, padding=0)), ConvBlock(ConvSpec(last, last, 1, padding=0))
    return nn.ModuleList([*stages, nn.Sequential(*closing)])


def _face_decoder(config: Wav2LipConfig) -> nn.ModuleList:
    """Build the stages of the face decoder: 1 -> 1, 3, 6, 12, 24, 48, 96 pixels, with skip connections."""
    widths, skips = config.decoder_widths, config.encoder_widths[::-1]
    stages = [nn.Sequential(ConvBlock(ConvSpec(config.audio_widths[-1], widths[0], 1, padding=0)))]
    for index in range(1, len(widths)):
        growing = TransposeBlock(widths[index - 1] + skips[index - 1], widths[index], doubles=index > 1)
        stages.append(nn.Sequential(growing, *_residuals(widths[index], 1 if index == 1 else 2)))
    return nn.ModuleList(stages)


class Wav2Lip(nn.Module):
    """Face encoder, audio encoder, face decoder."""

    def __init__(self, config: Wav2LipConfig | None = None) -> None:
        super().__init__()
        self.config = config or Wav2LipConfig()
        self.face_encoder_blocks = _face_encoder(self.config)
        self.audio_encoder = encoder_layers(self.config.audio_widths)
        self.face_decoder_blocks = _face_decoder(self.config)
        width = self.config.decoder_widths[-1] + self.config.encoder_widths[0]
        self.output_block = nn.Sequential(
            ConvBlock(ConvSpec(width, self.config.output_width)),
            nn.Conv2d(self.config.output_width, 3, 1),
            nn.Sigmoid(),
        )

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """Return BGR faces (B, 3, 96, 96) in [0, 1] whose lips match the speech.

        mel: windows (B, 1, 80, 16) in [-4, 4]. faces: (B, 6, 96, 96), BGR in [0, 1]: the face with its lower half set
        to 0, followed by a reference face.
        """
        skips = []
        for stage in self.face_encoder_blocks:
            faces = stage(faces)
            skips.append(faces)
        x: Tensor = self.audio_encoder(mel)
        for stage in self.face_decoder_blocks:
            x = torch.cat((stage(x), skips.pop()), dim=1)
        out: Tensor = self.output_block(x)
        return out


def mask_lower_half(faces: Tensor) -> Tensor:
    """Faces (B, 3, S, S) -> input of the network (B, 6, S, S): the masked faces and the faces as reference."""
    masked = faces.clone()
    masked[:, :, faces.shape[2] // 2 :] = 0
    return torch.cat((masked, faces), dim=1)
