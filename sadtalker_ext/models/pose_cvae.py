"""PoseCvae of the starter engine: prosody, a style and the last poses -> the next chunk of head motion.

As in SadTalker, section 3.2, a conditional variational autoencoder predicts the residual of a 32-frame chunk relative
to its first pose, given audio, a style and that pose. Here the audio input is prosody, and the condition contains the
eight poses that consecutive chunks share, so that chunks join without a jump. The prior of the latent depends on the
condition (Sohn, Lee and Yan 2015, "Learning structured output representation using deep conditional generative
models"), so that the amount of variation depends on the style and on the speech, such as during silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

POSE_SIZE = 6
"""Pitch, yaw, roll, x, y, z."""
PRIOR_WIDTH = 64
LOG_VARIANCE_RANGE = (-12.0, 4.0)
"""Log variances are clamped to this range, so that their exponentials stay finite."""
LEAK = 0.2
VELOCITY_SCALE = 4.0
"""Scales pose changes per frame, which are much smaller than poses, for the discriminator."""


@dataclass(frozen=True)
class PoseCvaeConfig:
    """Sizes of the networks and the names of the styles.

    frames: length of a chunk; its first ``overlap`` frames repeat the end of the previous chunk.
    knot_frames: knot spacing, in frames, of the cubic splines that represent a chunk; 2.5 frames represent motion up
        to about 5 Hz, the range of head motion, and keep it smooth.
    lookahead: frames of prosody after the chunk that are input to the network.
    features: prosody features per frame.
    pose_unit: unit of poses within the network: radians for rotation, face heights for translation.
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
    def prosody_frames(self) -> int:
        """Frames of prosody per chunk."""
        return self.frames + self.lookahead

    @property
    def hop(self) -> int:
        """New frames per chunk."""
        return self.frames - self.overlap


def _layers(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs)
    )


def spline_basis(frames: int, knot_frames: float) -> Tensor:
    """Return uniform cubic B-splines sampled at each frame, (frames, K) float32; each row sums to 1."""
    knots = int(np.ceil((frames - 1) / knot_frames)) + 3
    distance = np.abs(np.arange(frames)[:, None] / knot_frames - (np.arange(knots)[None, :] - 1.0))
    inner = (4.0 - 6.0 * distance**2 + 3.0 * distance**3) / 6.0
    outer = np.clip(2.0 - distance, 0.0, None) ** 3 / 6.0
    return torch.from_numpy(np.where(distance < 1.0, inner, outer).astype(np.float32))


class PoseCvae(nn.Module):
    """Encoder, prior and decoder. Poses are in units of ``config.pose_unit``, relative to the portrait."""

    basis: Tensor

    def __init__(self, config: PoseCvaeConfig) -> None:
        super().__init__()
        self.config = config
        condition = config.overlap * POSE_SIZE + config.prosody_frames * config.features + config.style_size
        chunk = config.frames * POSE_SIZE
        self.style = nn.Embedding(len(config.styles), config.style_size)
        self.prior = nn.Sequential(
            nn.Linear(condition, PRIOR_WIDTH), nn.SiLU(), nn.Linear(PRIOR_WIDTH, 2 * config.latent)
        )
        self.encoder = _layers(chunk + condition, config.width, 2 * config.latent)
        basis = spline_basis(config.frames, config.knot_frames)
        self.register_buffer("basis", basis, persistent=False)
        self.decoder = _layers(config.latent + condition, config.width, basis.shape[1] * POSE_SIZE)

    def encode_condition(self, before: Tensor, prosody: Tensor, style: Tensor) -> Tensor:
        """Return the condition (B, C) of a chunk.

        before: (B, overlap, 6). prosody: (B, prosody_frames, features). style: (B,) int64.
        """
        return torch.cat([before.flatten(1), prosody.flatten(1), self.style(style)], dim=1)

    def encode(self, piece: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance (B, latent) of the posterior.

        piece: chunk of motion (B, frames, 6). condition: (B, C).
        """
        residual = piece - piece[:, :1]
        mean, log_variance = self.encoder(torch.cat([residual.flatten(1), condition], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def encode_prior(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance (B, latent) of the prior for conditions (B, C)."""
        mean, log_variance = self.prior(condition).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)

    def sample(self, noise: Tensor, before: Tensor, condition: Tensor) -> Tensor:
        """Sample a chunk (B, frames, 6) from the prior; ``noise`` is standard normal (B, latent)."""
        mean, log_variance = self.encode_prior(condition)
        return self.decode(mean + noise * torch.exp(0.5 * log_variance), before, condition)

    def decode(self, latent: Tensor, before: Tensor, condition: Tensor) -> Tensor:
        """Decode a latent (B, latent) to a chunk (B, frames, 6).

        before: (B, overlap, 6). condition: (B, C).
        """
        control: Tensor = self.decoder(torch.cat([latent, condition], dim=1))
        residual: Tensor = self.basis @ control.reshape(len(control), -1, POSE_SIZE)
        return before[:, :1] + residual

    def forward(self, piece: Tensor, before: Tensor, prosody: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a reconstruction and a sample from the prior (B, frames, 6), and the KL divergence (B,) in nats.

        piece: chunk of motion (B, frames, 6); for the others see :meth:`encode_condition`.
        """
        condition = self.encode_condition(before, prosody, style)
        mean, log_variance = self.encode(piece, condition)
        prior_mean, prior_log_variance = self.encode_prior(condition)
        latent = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        reconstruction = self.decode(latent, before, condition)
        sampled = self.sample(torch.randn_like(mean), before, condition)
        excess = (mean - prior_mean).square() + log_variance.exp()
        divergence = 0.5 * (prior_log_variance - log_variance + excess / prior_log_variance.exp() - 1.0)
        return reconstruction, sampled, divergence.sum(dim=1)


class MotionDiscriminator(nn.Module):
    """Patch discriminator over time: poses, their velocities and prosody -> one score per four frames."""

    def __init__(self, config: PoseCvaeConfig, width: int = 32) -> None:
        super().__init__()
        self.config = config
        self.style = nn.Embedding(len(config.styles), config.style_size)
        inputs = 2 * POSE_SIZE + config.features + config.style_size
        self.body = nn.Sequential(
            nn.Conv1d(inputs, width, 6, stride=2, padding=2),
            nn.LeakyReLU(LEAK),
            nn.Conv1d(width, width, 4, stride=2, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv1d(width, width, 3, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv1d(width, 1, 3, padding=1),
        )

    def forward(self, piece: Tensor, prosody: Tensor, style: Tensor) -> Tensor:
        """Return scores (B, frames / 4).

        piece: chunk of motion (B, frames, 6). prosody: (B, prosody_frames, features). style: (B,) int64.
        """
        velocity = VELOCITY_SCALE * torch.diff(piece, dim=1, prepend=piece[:, :1])
        style_track = self.style(style)[:, None].expand(-1, piece.shape[1], -1)
        inputs = torch.cat([piece, velocity, prosody[:, : self.config.frames], style_track], dim=2)
        scores: Tensor = self.body(inputs.transpose(1, 2)).squeeze(1)
        return scores
