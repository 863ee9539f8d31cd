"""Recipe of the starter engine's pose VAE: prosody, style and the last poses -> the next 32 frames of head motion.

Losses as in SadTalker, section 3.2 (reconstruction, KL divergence, GAN), and two more: velocity, and the join of a
freely drawn piece with the frames it shares with the piece before. The data are synthetic, see
:mod:`sadtalker_ext.training.starter.head_motion_data`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from sadtalker_ext.audio.prosody import Prosody, prosody_features
from sadtalker_ext.engines.starter.head_motion import head_motion
from sadtalker_ext.metrics.motion import jitter_deg_per_s3
from sadtalker_ext.models.pose_cvae import POSE_SIZE, MotionDiscriminator, PoseCvae, PoseCvaeConfig
from sadtalker_ext.training.core.curve_plot import write_track_plot
from sadtalker_ext.training.core.loop import Plan, train
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.starter.head_motion_data import DESCRIPTION, move_head, simulate_prosody
from sadtalker_ext.training.starter.head_styles import HEAD_STYLES
from sadtalker_ext.weights.starter import save_pose_cvae

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

PLAN = Plan(
    steps=8000, batch_size=192, learning_rate=1e-3, warmup_steps=200, weight_decay=1e-4, ema_decay=0.998,
    validate_every=1000, save_every=1000, log_every=100,
)  # fmt: skip
"""About ten minutes on one CPU core."""
CLIP_FRAMES = 1000


class Clip(NamedTuple):
    """Prosody features (T + pad, 6) and poses (T + pad, 6) in units of the network, rest before the first frame."""

    features: NDArray[np.float32]
    pose: NDArray[np.float32]
    style: int


class PoseVaeRecipe:
    """The recipe for :func:`sadtalker_ext.training.core.loop.train`.

    clips: synthetic clips of 40 seconds to draw pieces from, spread evenly over the styles.
    """

    name = "pose_vae"
    phases: tuple[Phase, ...] = (
        Phase("pose", {"reconstruction": 50.0, "velocity": 400.0, "kl": 1.0, "join": 200.0, "gan": 0.05}),
        Phase("judge", {"judge": 1.0}, learning_rate_scale=0.3),
    )

    def __init__(self, clips: int = 720) -> None:
        self.config = PoseCvaeConfig(styles=tuple(HEAD_STYLES))
        rng = np.random.default_rng(20230322)
        self.clips = [self._draw_clip(number % len(self.config.styles), rng) for number in range(clips)]

    def _draw_clip(self, style: int, rng: np.random.Generator) -> Clip:
        prosody = simulate_prosody(CLIP_FRAMES, rng)
        pose = move_head(prosody, HEAD_STYLES[self.config.styles[style]], rng)
        rest = self.config.overlap - 1
        features = np.pad(prosody_features(prosody), ((rest, self.config.lookahead), (0, 0)))
        unit = np.repeat(np.array(self.config.pose_unit, np.float32), 3)
        return Clip(features, np.pad(pose / unit, ((rest, 0), (0, 0))), style)

    def build(self) -> dict[str, nn.Module]:
        """The VAE and the discriminator."""
        return {"pose": PoseCvae(self.config), "judge": MotionDiscriminator(self.config)}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Pieces (B, 32, 6), their prosody (B, 40, 6) and styles (B,); one in 16 is the beginning of a clip.

        What came before carries a little noise, so that small errors do not grow from piece to piece.
        """
        config = self.config
        pieces = np.empty((size, config.frames, POSE_SIZE), np.float32)
        heard = np.empty((size, config.heard, config.features), np.float32)
        chosen = random.integers(0, len(self.clips), size)
        for row, number in enumerate(chosen):
            clip = self.clips[number]
            first = int(random.integers(0, len(clip.pose) - config.frames)) * int(random.random() > 1 / 16)
            pieces[row] = clip.pose[first : first + config.frames]
            heard[row] = clip.features[first : first + config.heard]
        styles = np.array([self.clips[number].style for number in chosen])
        before = pieces[:, : config.overlap] + 0.004 * random.standard_normal(
            (size, config.overlap, POSE_SIZE), np.float32
        )
        arrays = {"piece": pieces, "before": before, "prosody": heard, "style": styles}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Poses are in units of the network: mean squares of poses and of their change per frame; hinge GAN."""
        piece, prosody, style = batch["piece"], batch["prosody"], batch["style"]
        rebuilt, imagined, divergence = networks["pose"](piece, batch["before"], prosody, style)
        judge = networks["judge"]
        if phase.network == "judge":
            real, fake = judge(piece, prosody, style), judge(imagined, prosody, style)
            return {"judge": functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean()}
        overlap = self.config.overlap
        return {
            "reconstruction": functional.mse_loss(rebuilt, piece),
            "velocity": functional.mse_loss(torch.diff(rebuilt, dim=1), torch.diff(piece, dim=1)),
            "kl": divergence.mean() / piece[0].numel(),
            "join": functional.mse_loss(imagined[:, :overlap], piece[:, :overlap]),
            "gan": -judge(imagined, prosody, style).mean(),
        }

    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Rolled out over a minute of held-out prosody per style, against the synthetic head on the same prosody.

        ``spread``: ratio of the standard deviations of the rotation; ``jitter``: ratio of the jitters; both are
        best at 1. ``beats``: correlation of pitch velocity with emphasis velocity, ``beats_data`` that of the data.
        """
        rows = []
        for number, style in enumerate(self.config.styles):
            rng = np.random.default_rng((7, number))
            prosody = simulate_prosody(1500, rng)
            data = move_head(prosody, HEAD_STYLES[style], rng)[:, :3]
            rotation, _ = head_motion(_pose_network(networks), prosody, style, rng)
            rows.append(
                (
                    rotation.std(axis=0).mean() / data.std(axis=0).mean(),
                    jitter_deg_per_s3(rotation) / jitter_deg_per_s3(data),
                    _beat_correlation(rotation, prosody),
                    _beat_correlation(data, prosody),
                )
            )
        names = ("spread", "jitter", "beats", "beats_data")
        return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))

    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """Pitch, yaw and roll of each style over 20 seconds, drawn as ``head_motion.svg``."""
        prosody = simulate_prosody(500, np.random.default_rng(11))
        tracks = {"energy and emphasis": 5.0 * np.stack([prosody.energy, prosody.emphasis], axis=1)}
        for style in self.config.styles:
            rotation, _ = head_motion(_pose_network(networks), prosody, style, np.random.default_rng(3))
            tracks[f"{style}: pitch, yaw, roll in degrees"] = np.rad2deg(rotation)
        write_track_plot(folder / "head_motion.svg", tracks, low=-10.0, high=10.0)


def train_pose_vae(folder: Path, plan: Plan = PLAN, commit: str = "unknown") -> Path:
    """Train (or go on) in ``folder`` and write ``pose_vae.safetensors`` there; returns its path.

    commit: of the code that trains, for the header of the file.
    """
    recipe = PoseVaeRecipe()
    networks = train(recipe, plan, folder)
    origin = {
        "recipe": recipe.name,
        "plan": json.dumps(asdict(plan)),
        "data": DESCRIPTION,
        "commit": commit,
        "figures": json.dumps({name: round(value, 4) for name, value in recipe.validate(networks).items()}),
    }
    path = folder / "pose_vae.safetensors"
    save_pose_cvae(_pose_network(networks), path, origin)
    return path


def _pose_network(networks: Mapping[str, nn.Module]) -> PoseCvae:
    network = networks["pose"]
    if not isinstance(network, PoseCvae):
        raise TypeError(f"the recipe builds a PoseCvae, got {type(network).__name__}")
    return network


def _beat_correlation(rotation: NDArray[np.float32], prosody: Prosody) -> float:
    return float(np.corrcoef(np.diff(rotation[:, 0]), np.diff(prosody.emphasis))[0, 1])
