"""Pose VAE of the starter engine: prosody, a style and the last poses -> the next piece of head motion.

After SadTalker, section 3.2: a conditional variational autoencoder that learns the residual of a 32-frame piece
against its first pose, given audio, a style and that pose. Here the audio is prosody, and the condition is not one
pose but the eight poses that the piece shares with the one before, so that pieces join without a jump. The prior of
the latent is learned from the condition (Sohn, Lee and Yan 2015, "Learning structured output representation using
deep conditional generative models"), so that a style or a silence also decides how much there is to vary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

POSE_SIZE = 6
"""Pitch, yaw, roll, x, y, z."""


@dataclass(frozen=True)
class PoseCvaeConfig:
    """Sizes of the networks and the names of the styles.

    frames: length of a piece; its first ``overlap`` frames repeat the end of the piece before.
    knot_frames: distance of the knots of the cubic splines that a piece is made of; with 2.5 frames it
        holds movement up to about 5 Hz, which is all that heads do, and is smooth within.
    lookahead: frames of prosody after the piece that the network may hear.
    features: prosody tracks per frame.
    pose_unit: what pose 1 means to the network, radians for rotation and face heights for translation.
    """

    styles: tuple[str, ...]
    frames: int = 32
    overlap: int = 8
    knot_frames: float = 2.5
    lookahead: int = 8
    features: int = 6
    latent: int = 24
    style_size: int = 16
    width: int = 320
    pose_unit: tuple[float, float] = (0.05, 0.02)

    @property
    def heard(self) -> int:
        """Frames of prosody per piece."""
        return self.frames + self.lookahead

    @property
    def hop(self) -> int:
        """New frames per piece."""
        return self.frames - self.overlap


def _layers(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs)
    )


def spline_basis(frames: int, knot_frames: float) -> Tensor:
    """Uniform cubic B-splines sampled at each frame, (frames, K) float32; each row sums to one."""
    knots = int(np.ceil((frames - 1) / knot_frames)) + 3
    place = np.abs(np.arange(frames)[:, None] / knot_frames - (np.arange(knots)[None, :] - 1.0))
    inner = (4.0 - 6.0 * place**2 + 3.0 * place**3) / 6.0
    outer = np.clip(2.0 - place, 0.0, None) ** 3 / 6.0
    return torch.from_numpy(np.where(place < 1.0, inner, outer).astype(np.float32))


class PoseCvae(nn.Module):
    """Encoder and decoder. Poses are in units of ``PoseCvaeConfig.pose_unit``, relative to the source picture."""

    basis: Tensor

    def __init__(self, config: PoseCvaeConfig) -> None:
        super().__init__()
        self.config = config
        condition = config.overlap * POSE_SIZE + config.heard * config.features + config.style_size
        piece = config.frames * POSE_SIZE
        self.style = nn.Embedding(len(config.styles), config.style_size)
        self.prior = nn.Sequential(nn.Linear(condition, 64), nn.SiLU(), nn.Linear(64, 2 * config.latent))
        self.encoder = _layers(piece + condition, config.width, 2 * config.latent)
        basis = spline_basis(config.frames, config.knot_frames)
        self.register_buffer("basis", basis, persistent=False)
        self.decoder = _layers(config.latent + condition, config.width, basis.shape[1] * POSE_SIZE)

    def condition(self, before: Tensor, prosody: Tensor, style: Tensor) -> Tensor:
        """Condition of a piece: before (B, overlap, 6), prosody (B, heard, features), style (B,) int64 -> (B, C)."""
        return torch.cat([before.flatten(1), prosody.flatten(1), self.style(style)], dim=1)

    def encode(self, piece: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior: piece (B, frames, 6), condition (B, C) -> mean, log variance (B, latent)."""
        residual = piece - piece[:, :1]
        mean, log_variance = self.encoder(torch.cat([residual.flatten(1), condition], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def expect(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Prior: condition (B, C) -> mean, log variance (B, latent)."""
        mean, log_variance = self.prior(condition).chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def draw(self, noise: Tensor, before: Tensor, condition: Tensor) -> Tensor:
        """Generate from standard normal noise (B, latent) through the prior -> piece (B, frames, 6)."""
        mean, log_variance = self.expect(condition)
        return self.decode(mean + noise * torch.exp(0.5 * log_variance), before, condition)

    def decode(self, latent: Tensor, before: Tensor, condition: Tensor) -> Tensor:
        """Decode: latent (B, latent), before (B, overlap, 6), condition (B, C) -> piece (B, frames, 6)."""
        control: Tensor = self.decoder(torch.cat([latent, condition], dim=1))
        residual: Tensor = self.basis @ control.reshape(len(control), -1, POSE_SIZE)
        return before[:, :1] + residual

    def forward(self, piece: Tensor, before: Tensor, prosody: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Training pass: reconstruction and a freely drawn piece (B, frames, 6), and KL divergence (B,) in nats."""
        condition = self.condition(before, prosody, style)
        mean, log_variance = self.encode(piece, condition)
        prior_mean, prior_log_variance = self.expect(condition)
        latent = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        rebuilt = self.decode(latent, before, condition)
        imagined = self.draw(torch.randn_like(mean), before, condition)
        excess = (mean - prior_mean).square() + log_variance.exp()
        divergence = 0.5 * (prior_log_variance - log_variance + excess / prior_log_variance.exp() - 1.0)
        return rebuilt, imagined, divergence.sum(dim=1)


class MotionDiscriminator(nn.Module):
    """Discriminator of motion: velocities of a piece and its prosody -> one score per few frames."""

    def __init__(self, config: PoseCvaeConfig, width: int = 32) -> None:
        super().__init__()
        self.config = config
        self.style = nn.Embedding(len(config.styles), config.style_size)
        inputs = 2 * POSE_SIZE + config.features + config.style_size
        self.body = nn.Sequential(
            nn.Conv1d(inputs, width, 6, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv1d(width, 1, 3, padding=1),
        )

    def forward(self, piece: Tensor, prosody: Tensor, style: Tensor) -> Tensor:
        """Judge: piece (B, frames, 6), prosody (B, heard, features), style (B,) -> scores (B, frames / 4)."""
        velocity = 4.0 * torch.diff(piece, dim=1, prepend=piece[:, :1])
        heard = prosody[:, : self.config.frames]
        style_track = self.style(style)[:, None].expand(-1, piece.shape[1], -1)
        inputs = torch.cat([piece, velocity, heard, style_track], dim=2)
        scores: Tensor = self.body(inputs.transpose(1, 2)).squeeze(1)
        return scores
