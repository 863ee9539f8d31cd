"""Training recipe of PoseCvae, which predicts 32 frames of head motion from prosody, a style and the last poses.

The losses are those of SadTalker, section 3.2 (reconstruction, KL divergence, GAN), and two more: velocity, and the
continuity of a generated piece with the last frames of the previous piece. The data are synthetic, see
:mod:`sadtalker_ext.training.starter.head_motion_data`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from sadtalker_ext.audio.prosody import Prosody, prosody_features
from sadtalker_ext.engines.starter.head_motion import head_motion
from sadtalker_ext.metrics.motion import jitter_deg_per_s3
from sadtalker_ext.models.pose_cvae import POSE_SIZE, MotionDiscriminator, PoseCvae, PoseCvaeConfig
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.training.core.curve_plot import write_track_plot
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.starter.head_motion_data import DESCRIPTION, simulate_head_motion, simulate_prosody
from sadtalker_ext.training.starter.head_styles import HEAD_STYLES
from sadtalker_ext.weights.starter import save_pose_cvae

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sadtalker_ext.arrays import Float32Array

WEIGHTS_FILE: Final = "pose_cvae.safetensors"
PLAN = Plan(
    steps=8000, batch_size=192, learning_rate=1e-3, warmup_steps=200, weight_decay=1e-4, ema_decay=0.998,
    validate_every=1000, save_every=1000, log_every=100,
)  # fmt: skip
"""About ten minutes on one CPU core."""
CLIP_FRAMES = 1000
_START_SHARE = 1 / 16
"""Share of the pieces that begin a clip, so that the network learns to start from rest."""
_CONTEXT_NOISE = 0.004
"""Standard deviation of the noise on the previous poses, in units of the network."""
_VALIDATION_FRAMES = 1500
_SAMPLE_FRAMES = 500


class Clip(NamedTuple):
    """A synthetic clip.

    features: (T + padding, 6) prosody. pose: (T + padding, 6) in units of the network. Both are zero before the first
    frame. style: number of the style.
    """

    features: Float32Array
    pose: Float32Array
    style: int


class PoseCvaeRecipe:
    """Recipe for :func:`sadtalker_ext.training.core.loop.train`.

    clips: number of synthetic clips of 40 seconds, the same for each style.
    """

    name = "pose_vae"
    data = ""
    phases: tuple[Phase, ...] = (
        Phase("pose", {"reconstruction": 50.0, "velocity": 400.0, "kl": 1.0, "join": 200.0, "gan": 0.05}),
        Phase("judge", {"judge": 1.0}, learning_rate_scale=0.3),
    )

    def __init__(self, clips: int = 720) -> None:
        self.config = PoseCvaeConfig(styles=tuple(HEAD_STYLES))
        rng = np.random.default_rng(20230322)
        self.clips = [self._make_clip(number % len(self.config.styles), rng) for number in range(clips)]

    def _make_clip(self, style: int, rng: np.random.Generator) -> Clip:
        prosody = simulate_prosody(CLIP_FRAMES, rng)
        pose = simulate_head_motion(prosody, HEAD_STYLES[self.config.styles[style]], rng)
        rest = self.config.overlap - 1
        features = np.pad(prosody_features(prosody), ((rest, self.config.lookahead), (0, 0)))
        unit = np.repeat(np.array(self.config.pose_unit, np.float32), 3)
        return Clip(features, np.pad(pose / unit, ((rest, 0), (0, 0))), style)

    def build(self) -> dict[str, nn.Module]:
        """Return the CVAE ("pose") and the discriminator ("judge"); the names are keys in run checkpoints."""
        return {"pose": PoseCvae(self.config), "judge": MotionDiscriminator(self.config)}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Return random pieces (B, 32, 6), the poses before them (B, 8, 6), prosody (B, 40, 6) and styles (B,).

        One piece in 16 begins a clip. The poses before a piece have a little noise, so that the network learns to
        correct small errors instead of accumulating them.
        """
        config = self.config
        pieces = np.empty((size, config.frames, POSE_SIZE), np.float32)
        prosody = np.empty((size, config.prosody_frames, config.features), np.float32)
        chosen = random.integers(0, len(self.clips), size)
        for row, number in enumerate(chosen):
            clip = self.clips[number]
            first = int(random.integers(0, len(clip.pose) - config.frames)) * int(random.random() > _START_SHARE)
            pieces[row] = clip.pose[first : first + config.frames]
            prosody[row] = clip.features[first : first + config.prosody_frames]
        styles = np.array([self.clips[number].style for number in chosen])
        before = pieces[:, : config.overlap] + _CONTEXT_NOISE * random.standard_normal(
            (size, config.overlap, POSE_SIZE), np.float32
        )
        arrays = {"piece": pieces, "before": before, "prosody": prosody, "style": styles}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the losses of the module docstring: poses in units of the network, and a hinge loss for the GAN."""
        piece, prosody, style = batch["piece"], batch["prosody"], batch["style"]
        reconstructed, generated, divergence = networks["pose"](piece, batch["before"], prosody, style)
        discriminator = networks["judge"]
        if phase.network == "judge":
            real, fake = (discriminator(poses, prosody, style) for poses in (piece, generated))
            return {"judge": functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean()}
        overlap = self.config.overlap
        return {
            "reconstruction": functional.mse_loss(reconstructed, piece),
            "velocity": functional.mse_loss(torch.diff(reconstructed, dim=1), torch.diff(piece, dim=1)),
            "kl": divergence.mean() / piece[0].numel(),
            "join": functional.mse_loss(generated[:, :overlap], piece[:, :overlap]),
            "gan": -discriminator(generated, prosody, style).mean(),
        }

    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Compare a minute of generated motion per style with synthetic motion for the same held-out prosody.

        spread, jitter: ratios of the standard deviations of the rotation and of the jitters; best at 1.
        beats, beats_data: correlation of pitch velocity with emphasis velocity, generated and synthetic.
        """
        rows = []
        for number, style in enumerate(self.config.styles):
            rng = np.random.default_rng((7, number))
            prosody = simulate_prosody(_VALIDATION_FRAMES, rng)
            data = simulate_head_motion(prosody, HEAD_STYLES[style], rng)[:, :3]
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
        """Plot pitch, yaw and roll of each style over 20 seconds to ``head_motion.svg``."""
        prosody = simulate_prosody(_SAMPLE_FRAMES, np.random.default_rng(11))
        tracks = {"energy and emphasis": 5.0 * np.stack([prosody.energy, prosody.emphasis], axis=1)}
        for style in self.config.styles:
            rotation, _ = head_motion(_pose_network(networks), prosody, style, np.random.default_rng(3))
            tracks[f"{style}: pitch, yaw, roll in degrees"] = np.rad2deg(rotation)
        write_track_plot(folder / "head_motion.svg", tracks, low=-10.0, high=10.0)


def train_pose_cvae(folder: Path, plan: Plan = PLAN, commit: str = "unknown") -> Path:
    """Train, or resume training, in ``folder`` and write :data:`WEIGHTS_FILE` there; return its path.

    commit: commit of the training code, written to the header of the file.
    """
    make_folder(folder)
    recipe = PoseCvaeRecipe()
    networks = train(recipe, plan, folder)
    origin = {
        "recipe": recipe.name,
        "plan": json.dumps(asdict(plan)),
        "data": DESCRIPTION,
        "commit": commit,
        "figures": json.dumps({name: round(value, 4) for name, value in recipe.validate(networks).items()}),
    }
    path = folder / WEIGHTS_FILE
    save_pose_cvae(_pose_network(networks), path, origin)
    return path


def _pose_network(networks: Mapping[str, nn.Module]) -> PoseCvae:
    network = networks["pose"]
    if not isinstance(network, PoseCvae):
        raise TypeError(f"expected a PoseCvae, got {type(network).__name__}")
    return network


def _beat_correlation(rotation: Float32Array, prosody: Prosody) -> float:
    return float(np.corrcoef(np.diff(rotation[:, 0]), np.diff(prosody.emphasis))[0, 1])
