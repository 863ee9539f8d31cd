"""PoseVAE: head motion from speech and a style (SadTalker, Zhang et al. 2023, section 3.2)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.audio_encoder import AUDIO_WIDTHS, AudioEncoder
from sadtalker_ext.models.res_unet import ResUNet


@dataclass(frozen=True)
class PoseVAEConfig:
    """Sizes of the network.

    frames: length of a chunk. pose_channels: 3 angles and 3 translations. styles: identities of the training set.
    log_variance_head: layer that predicts the log variance. The official code uses "linear_means" for both outputs
        and never trains the other layer; the paper describes "linear_logvar".
    audio_widths: channels of the audio encoder's stages.
    """

    frames: int = 32
    pose_channels: int = 6
    latent_channels: int = 64
    styles: int = 46
    encoder_widths: tuple[int, ...] = (192, 128)
    decoder_widths: tuple[int, ...] = (128, 192)
    discriminator_widths: tuple[int, int, int] = (256, 512, 1024)
    log_variance_head: str = "linear_means"
    audio_widths: tuple[int, ...] = AUDIO_WIDTHS

    @property
    def condition_width(self) -> int:
        """Width of the condition: reference pose, latent, and audio features of a chunk."""
        return self.pose_channels + self.latent_channels + self.frames * self.pose_channels


class PoseSample(NamedTuple):
    """Output of a training pass: predicted motion (B, T, 6), mean and log variance (B, 64) of the posterior."""

    motion: Tensor
    mean: Tensor
    log_variance: Tensor


def _mlp(widths: tuple[int, ...], last: nn.Module, last_name: str) -> nn.Sequential:
    """Build linear layers L0, L1, ... with ReLU between them and the activation ``last`` at the end."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    count = len(widths) - 1
    for index in range(count):
        layers[f"L{index}"] = nn.Linear(widths[index], widths[index + 1])
        final = index == count - 1
        layers[last_name if final else f"A{index}"] = last if final else nn.ReLU()
    return nn.Sequential(layers)


class PoseEncoder(nn.Module):
    """Posterior of the latent, given the true motion; used in training only."""

    def __init__(self, config: PoseVAEConfig) -> None:
        super().__init__()
        self.config = config
        flat = config.frames * config.pose_channels
        widths = (config.encoder_widths[0] + config.condition_width, *config.encoder_widths[1:])
        if config.encoder_widths[0] != flat:
            raise ValueError(f"the first encoder width must be frames x pose channels = {flat}")
        self.resunet = ResUNet()
        self.MLP = _mlp(widths, nn.ReLU(), f"A{len(widths) - 2}")
        self.linear_means = nn.Linear(widths[-1], config.latent_channels)
        self.linear_logvar = nn.Linear(widths[-1], config.latent_channels)
        self.linear_audio = nn.Linear(config.audio_widths[-1], config.pose_channels)
        self.classbias = nn.Parameter(torch.randn(config.styles, config.latent_channels))

    def forward(self, audio: Tensor, reference: Tensor, style: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, (B, 64) each.

        audio: (B, 32, 512). reference: (B, 6). style: (B,) int64. motion: (B, 32, 6) relative to the reference.
        """
        pose = self.resunet(motion).flatten(1)
        speech = self.linear_audio(audio).flatten(1)
        hidden = self.MLP(torch.cat((reference, pose, speech, self.classbias[style]), dim=1))
        log_variance_head = getattr(self, self.config.log_variance_head)
        return self.linear_means(hidden), log_variance_head(hidden)


class PoseDecoder(nn.Module):
    """Motion from a latent, the audio features of a chunk and a style."""

    def __init__(self, config: PoseVAEConfig) -> None:
        super().__init__()
        self.config = config
        self.resunet = ResUNet()
        self.MLP = _mlp((config.condition_width, *config.decoder_widths), nn.Sigmoid(), "sigmoid")
        self.pose_linear = nn.Linear(config.pose_channels, config.pose_channels)
        self.linear_audio = nn.Linear(config.audio_widths[-1], config.pose_channels)
        self.classbias = nn.Parameter(torch.randn(config.styles, config.latent_channels))

    def forward(self, audio: Tensor, reference: Tensor, style: Tensor, latent: Tensor) -> Tensor:
        """Return motion (B, 32, 6) relative to the reference pose.

        audio: (B, 32, 512). reference: (B, 6). style: (B,) int64 in [0, styles). latent: (B, 64) standard normal.
        """
        speech = self.linear_audio(audio).flatten(1)
        hidden = self.MLP(torch.cat((reference, latent + self.classbias[style], speech), dim=1))
        sequence = self.resunet(hidden.unflatten(1, (self.config.frames, self.config.pose_channels)))
        out: Tensor = self.pose_linear(sequence)
        return out


class ConditionalVAE(nn.Module):
    """Encoder and decoder, named as in the checkpoint."""

    def __init__(self, config: PoseVAEConfig) -> None:
        super().__init__()
        self.encoder = PoseEncoder(config)
        self.decoder = PoseDecoder(config)


class SequenceConv(nn.Module):
    """1-D convolution without bias, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels_out, kernel, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T / stride)."""
        return F.relu(self.norm(self.conv(x)))


class PoseDiscriminator(nn.Module):
    """Patch discriminator over time; used in training only."""

    def __init__(self, config: PoseVAEConfig) -> None:
        super().__init__()
        w0, w1, w2 = config.discriminator_widths
        self.seq = nn.Sequential(
            SequenceConv(config.pose_channels, w0, kernel=4, stride=2),
            SequenceConv(w0, w1, kernel=4, stride=2),
            SequenceConv(w1, w2, kernel=3, stride=1),
            nn.Conv1d(w2, 1, 3, padding=1),
        )

    def forward(self, poses: Tensor) -> Tensor:
        """Poses (B, T, 6) -> scores (B, T / 4), higher is more real."""
        scores: Tensor = self.seq(poses.transpose(1, 2))
        return scores.squeeze(1)


class PoseVAE(nn.Module):
    """Audio encoder, conditional VAE and sequence discriminator of one checkpoint."""

    def __init__(self, config: PoseVAEConfig | None = None) -> None:
        super().__init__()
        self.config = config or PoseVAEConfig()
        self.audio_encoder = AudioEncoder(self.config.audio_widths)
        self.netG = ConditionalVAE(self.config)
        self.netD_motion = PoseDiscriminator(self.config)

    def forward(self, mel: Tensor, reference: Tensor, style: Tensor, motion: Tensor) -> PoseSample:
        """Encode the true motion, sample a latent, and decode it.

        mel: (B, 32, 1, 80, 16). reference: (B, 6). style: (B,) int64. motion: (B, 32, 6).
        """
        audio = self.audio_encoder(mel)
        mean, log_variance = self.netG.encoder(audio, reference, style, motion)
        latent = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return PoseSample(self.netG.decoder(audio, reference, style, latent), mean, log_variance)

    def decode(self, audio: Tensor, reference: Tensor, style: Tensor, latent: Tensor) -> Tensor:
        """Return motion (B, 32, 6) for audio features (B, 32, 512); see :class:`PoseDecoder`."""
        out: Tensor = self.netG.decoder(audio, reference, style, latent)
        return out

    def optimize_for_inference(self) -> None:
        """Delete the encoder and the discriminator, which only training needs."""
        del self.netG.encoder, self.netD_motion
