"""Recipe of SadTalker's PoseVAE: sound and a style -> 32 frames of head movement relative to a first pose.

Losses of SadTalker (Zhang et al. 2023, section 3.2): reconstruction, KL divergence and a GAN on the movement, with the
discriminator that the checkpoint holds. Styles are the people of the data set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from sadtalker_ext.metrics.motion import jitter_deg_per_s3
from sadtalker_ext.models.pose_vae import PoseDiscriminator, PoseVAE, PoseVAEConfig
from sadtalker_ext.training.core.curve_plot import write_track_plot
from sadtalker_ext.training.core.loop import Plan, train
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.sadtalker.audio_windows import SoundPieces
from sadtalker_ext.weights.packaged import config_from
from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.training.sadtalker.audio_windows import Piece, SoundSize

WEIGHTS: Final = {"reconstruction": 1.0, "kl": 1.0, "gan": 0.7}
"""Of SadTalker's released configuration."""
POSE: Final = slice(64, 70)
NOISE: Final = (0.01, 0.01, 0.01, 0.02, 0.02, 0.02)
"""How exactly poses are to be rebuilt, one standard deviation: radians, and units of the 3DMM's translation."""
JUDGE_UNIT: Final = (0.1, 0.1, 0.1, 0.2, 0.2, 0.2)
"""SourceAndMotion of 1 to the discriminator."""
_IMAGINED: Final = "imagined"
"""Where a step keeps the VAE's movement for the discriminator."""
FIRST_REACH: Final = 0.1
"""Of the usual first weights: movement of some degrees, not of a quarter turn."""
DRAWS: Final = 4
JUDGED_CLIPS: Final = 16
KIND: Final = "sadtalker-training-pose_vae"
FILE_NAME: Final = "pose_vae.safetensors"
PLANS: Final = {
    "full": Plan(
        steps=100_000, batch_size=64, learning_rate=1e-4, warmup_steps=500, validate_every=5000, save_every=1000,
        log_every=100, workers=2,
    ),
    "small": Plan(
        steps=400, batch_size=8, learning_rate=1e-3, warmup_steps=30, ema_decay=0.98, validate_every=200,
        save_every=100, log_every=20,
    ),
    "tiny": Plan(steps=3, batch_size=4, learning_rate=1e-3, warmup_steps=1, log_every=1),
}  # fmt: skip


class Rebuilt(NamedTuple):
    """rebuilt, imagined: movement (B, 32, 6) from the true latent and from a drawn one. mean, log_variance: (B, 64)."""

    rebuilt: Tensor
    imagined: Tensor
    mean: Tensor
    log_variance: Tensor


class LearningPose(nn.Module):
    """PoseVAE without its discriminator, which learns by itself; everything a step needs in one call."""

    def __init__(self, config: PoseVAEConfig) -> None:
        super().__init__()
        self.pose_vae = PoseVAE(config)
        del self.pose_vae.netD_motion
        start_still(self.pose_vae.netG.decoder.pose_linear)

    def forward(self, mel: Tensor, reference: Tensor, style: Tensor, motion: Tensor) -> Rebuilt:
        """Mel (B, 32, 1, 80, 16), first pose (B, 6), style (B,), movement since then (B, 32, 6)."""
        network = self.pose_vae
        sound = network.audio_encoder(mel)
        mean, log_variance = network.netG.encoder(sound, reference, style, motion)
        noise = torch.randn(2, *mean.shape, device=mean.device)
        rebuilt = network.decode(sound, reference, style, mean + noise[0] * torch.exp(0.5 * log_variance))
        return Rebuilt(rebuilt, network.decode(sound, reference, style, noise[1]), mean, log_variance)


def start_still(last: nn.Linear) -> None:
    """Let the decoder's last layer, which reads values about a half, begin with heads that hardly move."""
    with torch.no_grad():
        last.weight.mul_(FIRST_REACH)
        last.bias.copy_(-0.5 * last.weight.sum(dim=1))


class SadTalkerPoseVaeRecipe:
    """The recipe for :func:`sadtalker_ext.training.core.loop.train`.

    data: folder of clips. size: of the free parts. A style is a person of the data; ``full`` keeps the official 46
    where there are fewer people, of which the rest then learn nothing.
    """

    name = "sadtalker_pose_vae"
    phases: tuple[Phase, ...] = (Phase("pose", WEIGHTS), Phase("judge", {"judge": 1.0}))

    def __init__(self, data: Path, size: SoundSize) -> None:
        frames = PoseVAEConfig.frames + 1
        self.train_set, self.test_set = (SoundPieces(data, split, frames) for split in ("train", "test"))
        self.card = self.train_set.store.card
        people, official = len(self.card.identities), PoseVAEConfig.styles
        self.config = PoseVAEConfig(
            styles=max(people, official) if size.name == "full" else people,
            log_variance_head="linear_logvar",
            audio_widths=size.audio_widths,
            discriminator_widths=size.discriminator_widths,
        )

    def build(self) -> dict[str, nn.Module]:
        """The VAE and the discriminator."""
        return {"pose": LearningPose(self.config), "judge": PoseDiscriminator(self.config)}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Pieces of 33 frames, the first of which is the reference: see :class:`LearningPose`."""
        return self._examples(self.train_set.draw(random, size), self.train_set)

    def _examples(self, pieces: list[Piece], source: SoundPieces) -> dict[str, Tensor]:
        poses = np.stack([piece.cut(piece.clip.coefficients[:, POSE]) for piece in pieces])
        arrays: dict[str, NDArray[np.generic]] = {
            "mel": np.stack([piece.mel()[1:] for piece in pieces]),
            "reference": poses[:, 0],
            "motion": poses[:, 1:] - poses[:, :1],
            "style": np.array([source.store.identity(piece.number) for piece in pieces], np.int64),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Reconstruction and KL are those of the evidence bound, per pose value; the GAN has least squares.

        The discriminator judges the movement that the VAE has imagined just before.
        """
        motion, judge = batch["motion"], networks["judge"]
        unit = motion.new_tensor(JUDGE_UNIT)
        if phase.network == "judge":
            real, fake = judge(motion / unit), judge(batch[_IMAGINED] / unit)
            return {"judge": (real - 1).square().mean() + fake.square().mean()}
        result: Rebuilt = networks["pose"](batch["mel"], batch["reference"], batch["style"], motion)
        batch[_IMAGINED] = result.imagined.detach()
        apart = (result.rebuilt - motion) / motion.new_tensor(NOISE)
        return {
            "reconstruction": 0.5 * apart.square().mean(),
            "kl": kl_divergence(result.mean, result.log_variance).mean() / motion[0].numel(),
            "gan": (judge(result.imagined / unit) - 1).square().mean(),
        }

    @torch.inference_mode()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """On held-out pieces. ``rebuilt_deg``: root mean square error of the angles when the movement itself is
        encoded; ``spread`` and ``jitter``: of imagined movement over that of the data, best at 1.
        """
        learner, errors, spreads, jitters = cast("LearningPose", networks["pose"]), [], [], []
        for batch in self._held_out():
            inputs = [batch[name].to(_device(learner)) for name in ("mel", "reference", "style", "motion")]
            result = learner(*inputs)
            errors.append(float((result.rebuilt - inputs[3])[..., :3].square().mean()))
            ours, data = (part[..., :3].cpu().numpy() for part in (result.imagined, inputs[3]))
            spreads.append((float(ours.std(axis=1).mean()), float(data.std(axis=1).mean())))
            jitters.append([np.mean([jitter_deg_per_s3(row) for row in rows]) for rows in (ours, data)])
        spread, jitter = np.mean(spreads, axis=0), np.mean(jitters, axis=0)
        return {
            "rebuilt_deg": float(np.rad2deg(np.sqrt(np.mean(errors)))),
            "spread": float(spread[0] / max(spread[1], 1e-9)),
            "jitter": float(jitter[0] / max(jitter[1], 1e-9)),
        }

    def _held_out(self) -> list[dict[str, Tensor]]:
        """The same few batches each time: pieces of held-out clips, seen by fixed draws."""
        random = np.random.default_rng(20230322)
        pieces = self.test_set.draw(random, min(JUDGED_CLIPS, 2 * len(self.test_set.long)))
        return [self._examples(pieces[at : at + 8], self.test_set) for at in range(0, len(pieces), 8)]

    @torch.inference_mode()
    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """``head.svg``: pitch, yaw and roll in degrees of the data, as rebuilt, and as imagined."""
        learner, rows = cast("LearningPose", networks["pose"]), {}
        batch = self._held_out()[0]
        result = learner(*[batch[name].to(_device(learner)) for name in ("mel", "reference", "style", "motion")])
        for number in range(min(DRAWS, len(batch["motion"]))):
            tracks = {"data": batch["motion"], "rebuilt": result.rebuilt, "imagined": result.imagined}
            for name, track in tracks.items():
                rows[f"{number}: {name}, pitch, yaw, roll"] = np.rad2deg(track[number, :, :3].cpu().numpy())
        write_track_plot(folder / "head.svg", rows, low=-20.0, high=20.0)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(B, L) each -> (B,), of normal distributions from the standard one."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


def train_sadtalker_pose_vae(
    recipe: SadTalkerPoseVaeRecipe, folder: Path, plan: Plan, commit: str = "unknown"
) -> Path:
    """Train (or go on) in ``folder`` and write ``pose_vae.safetensors`` there; returns its path.

    commit: of the code that trains, for the header of the file.
    """
    networks = train(recipe, plan, folder)
    origin = {
        "recipe": recipe.name,
        "plan": json.dumps(asdict(plan)),
        "styles": json.dumps(recipe.card.identities),
        "coefficients": recipe.card.coefficients,
        "data": recipe.card.sources,
        "licence": recipe.card.licence,
        "commit": commit,
        "figures": json.dumps({name: round(value, 4) for name, value in recipe.validate(networks).items()}),
    }
    whole = cast("LearningPose", networks["pose"]).pose_vae
    whole.netD_motion = cast("PoseDiscriminator", networks["judge"])
    path = folder / FILE_NAME
    save_network(path, whole, KIND, origin)
    return path


def load_pose_cvae(folder: Path) -> PoseVAE:
    """The network of a finished run with all that its checkpoint holds, on the CPU, in eval mode."""
    path = folder / FILE_NAME
    return load_network(path, KIND, lambda config: PoseVAE(config_from(PoseVAEConfig, config, path)))


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
