"""Training recipe for PoseVAE: speech and a style -> 32 frames of head motion relative to a first pose.

Losses as in SadTalker (Zhang et al. 2023, section 3.2): reconstruction, KL divergence, and a GAN loss on the motion
with the discriminator of the checkpoint. The styles are the identities of the data set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from sadtalker_ext.engines.sadtalker.coefficients import POSE
from sadtalker_ext.metrics.motion import jitter_deg_per_s3
from sadtalker_ext.models.pose_vae import PoseDiscriminator, PoseVAE, PoseVAEConfig
from sadtalker_ext.training.clips.data_digest import describe_clips
from sadtalker_ext.training.core.curve_plot import write_track_plot
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.sadtalker.audio_windows import ClipWindowSampler
from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.training.sadtalker.audio_windows import ClipWindow, SpeechModelSize

WEIGHTS: Final = {"reconstruction": 1.0, "kl": 1.0, "gan": 0.7}
"""Loss weights of SadTalker's released configuration."""
RECONSTRUCTION_STD: Final = (0.01, 0.01, 0.01, 0.02, 0.02, 0.02)
"""Assumed standard deviation of the reconstruction error: radians, and units of the 3DMM's translation."""
DISCRIMINATOR_UNIT: Final = (0.1, 0.1, 0.1, 0.2, 0.2, 0.2)
"""Unit of motion at the input of the discriminator: radians, and units of the 3DMM's translation."""
_GENERATED: Final = "generated"
"""Batch entry that passes the generated motion of a step on to the discriminator."""
INITIAL_WEIGHT_SCALE: Final = 0.1
"""Factor on the usual initial weights of the last layer, for initial motion of a few degrees instead of 90."""
SAMPLE_ROWS: Final = 4
VALIDATION_WINDOWS: Final = 16
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


class PoseVaeOutput(NamedTuple):
    """Output of a training pass.

    reconstructed, generated: motion (B, 32, 6) from the encoded and from a random latent. mean, log_variance: (B, 64),
    parameters of the posterior.
    """

    reconstructed: Tensor
    generated: Tensor
    mean: Tensor
    log_variance: Tensor


class TrainablePoseVae(nn.Module):
    """PoseVAE without its discriminator, which is a separate network in training."""

    def __init__(self, config: PoseVAEConfig) -> None:
        super().__init__()
        self.pose_vae = PoseVAE(config)
        del self.pose_vae.netD_motion
        init_still_motion(self.pose_vae.netG.decoder.pose_linear)

    def forward(self, mel: Tensor, reference: Tensor, style: Tensor, motion: Tensor) -> PoseVaeOutput:
        """Encode and decode motion (B, 32, 6), which is relative to the reference pose, and generate another one.

        mel: (B, 32, 1, 80, 16). reference: pose of the previous frame (B, 6). style: (B,) int64.
        """
        network = self.pose_vae
        audio = network.audio_encoder(mel)
        mean, log_variance = network.netG.encoder(audio, reference, style, motion)
        noise = torch.randn(2, *mean.shape, device=mean.device)
        reconstructed = network.decode(audio, reference, style, mean + noise[0] * torch.exp(0.5 * log_variance))
        return PoseVaeOutput(reconstructed, network.decode(audio, reference, style, noise[1]), mean, log_variance)


def init_still_motion(last: nn.Linear) -> None:
    """Scale the last layer of the decoder, whose inputs are around 0.5, so that the initial motion is small."""
    with torch.no_grad():
        last.weight.mul_(INITIAL_WEIGHT_SCALE)
        last.bias.copy_(-0.5 * last.weight.sum(dim=1))


class SadTalkerPoseVaeRecipe:
    """The recipe for :func:`sadtalker_ext.training.core.loop.train`.

    data: folder of clips. size: sizes of the networks. There is one style per identity of the data set; the size
    ``full`` has at least the official 46 styles, of which unused ones stay untrained.
    """

    name = "sadtalker_pose_vae"
    phases: tuple[Phase, ...] = (Phase("pose", WEIGHTS), Phase("discriminator", {"discriminator": 1.0}))

    def __init__(self, data: Path, size: SpeechModelSize) -> None:
        frames = PoseVAEConfig.frames + 1
        self.train_set, self.test_set = (ClipWindowSampler(data, split, frames) for split in ("train", "test"))
        self.info, self.data = self.train_set.store.info, describe_clips(data)
        people, official = len(self.info.identities), PoseVAEConfig.styles
        self.config = PoseVAEConfig(
            styles=max(people, official) if size.name == "full" else people,
            log_variance_head="linear_logvar",
            audio_widths=size.audio_widths,
            discriminator_widths=size.discriminator_widths,
        )

    def build(self) -> dict[str, nn.Module]:
        """Return a new VAE and its discriminator."""
        return {"pose": TrainablePoseVae(self.config), "discriminator": PoseDiscriminator(self.config)}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Return random windows of 33 frames, the first of which is the reference; see :class:`TrainablePoseVae`."""
        return self._examples(self.train_set.sample(random, size), self.train_set)

    def _examples(self, windows: list[ClipWindow], source: ClipWindowSampler) -> dict[str, Tensor]:
        poses = np.stack([window.cut(window.clip.coefficients[:, POSE]) for window in windows])
        arrays: dict[str, NDArray[np.generic]] = {
            "mel": np.stack([window.mel()[1:] for window in windows]),
            "reference": poses[:, 0],
            "motion": poses[:, 1:] - poses[:, :1],
            "style": np.array([source.store.identity(window.number) for window in windows], np.int64),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the losses of the phase: the evidence lower bound per pose value, and a least-squares GAN.

        The discriminator phase uses the motion that the VAE phase of the same step stored in ``batch``.
        """
        motion, discriminator = batch["motion"], networks["discriminator"]
        unit = motion.new_tensor(DISCRIMINATOR_UNIT)
        if phase.network == "discriminator":
            real, fake = discriminator(motion / unit), discriminator(batch[_GENERATED] / unit)
            return {"discriminator": (real - 1).square().mean() + fake.square().mean()}
        result: PoseVaeOutput = networks["pose"](batch["mel"], batch["reference"], batch["style"], motion)
        batch[_GENERATED] = result.generated.detach()
        error = (result.reconstructed - motion) / motion.new_tensor(RECONSTRUCTION_STD)
        return {
            "reconstruction": 0.5 * error.square().mean(),
            "kl": kl_divergence(result.mean, result.log_variance).mean() / motion[0].numel(),
            "gan": (discriminator(result.generated / unit) - 1).square().mean(),
        }

    @torch.inference_mode()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Return metrics on held-out windows.

        ``rebuilt_deg``: root mean square error of the angles after encoding and decoding. ``spread``, ``jitter``:
        standard deviation and jitter of generated motion divided by those of the data; 1 is best.
        """
        network, errors, spreads, jitters = cast("TrainablePoseVae", networks["pose"]), [], [], []
        for batch in self._validation_batches():
            inputs = [batch[name].to(_device(network)) for name in ("mel", "reference", "style", "motion")]
            result = network(*inputs)
            errors.append(float((result.reconstructed - inputs[3])[..., :3].square().mean()))
            ours, data = (part[..., :3].cpu().numpy() for part in (result.generated, inputs[3]))
            spreads.append((float(ours.std(axis=1).mean()), float(data.std(axis=1).mean())))
            jitters.append([np.mean([jitter_deg_per_s3(row) for row in rows]) for rows in (ours, data)])
        spread, jitter = np.mean(spreads, axis=0), np.mean(jitters, axis=0)
        return {
            "rebuilt_deg": float(np.rad2deg(np.sqrt(np.mean(errors)))),
            "spread": float(spread[0] / max(spread[1], 1e-9)),
            "jitter": float(jitter[0] / max(jitter[1], 1e-9)),
        }

    def _validation_batches(self) -> list[dict[str, Tensor]]:
        """Return the same batches of windows of held-out clips at every call."""
        random = np.random.default_rng(20230322)
        windows = self.test_set.sample(random, min(VALIDATION_WINDOWS, 2 * len(self.test_set.eligible)))
        return [self._examples(windows[at : at + 8], self.test_set) for at in range(0, len(windows), 8)]

    @torch.inference_mode()
    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """Write ``head.svg``: pitch, yaw and roll in degrees of the data, reconstructed, and generated."""
        network, rows = cast("TrainablePoseVae", networks["pose"]), {}
        batch = self._validation_batches()[0]
        result = network(*[batch[name].to(_device(network)) for name in ("mel", "reference", "style", "motion")])
        for number in range(min(SAMPLE_ROWS, len(batch["motion"]))):
            tracks = {"data": batch["motion"], "reconstructed": result.reconstructed, "generated": result.generated}
            for name, track in tracks.items():
                rows[f"{number}: {name}, pitch, yaw, roll"] = np.rad2deg(track[number, :, :3].cpu().numpy())
        write_track_plot(folder / "head.svg", rows, low=-20.0, high=20.0)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence (B,) of normal distributions, (B, L) each, from the standard normal distribution."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


def train_sadtalker_pose_vae(recipe: SadTalkerPoseVaeRecipe, folder: Path, plan: Plan, commit: str = "unknown") -> Path:
    """Train or resume in ``folder``, write ``pose_vae.safetensors`` there and return its path.

    commit: version of the code, for the header of the file.
    """
    networks = train(recipe, plan, folder)
    origin = {
        "recipe": recipe.name,
        "plan": json.dumps(asdict(plan)),
        "styles": json.dumps(recipe.info.identities),
        "coefficients": recipe.info.coefficients,
        "data": recipe.info.sources,
        "licence": recipe.info.licence,
        "commit": commit,
        "figures": json.dumps({name: round(value, 4) for name, value in recipe.validate(networks).items()}),
    }
    whole = cast("TrainablePoseVae", networks["pose"]).pose_vae
    whole.netD_motion = cast("PoseDiscriminator", networks["discriminator"])
    path = folder / FILE_NAME
    save_network(path, whole, KIND, origin)
    return path


def load_pose_vae(folder: Path) -> PoseVAE:
    """Load the whole network of a finished run, including its discriminator, on the CPU, in eval mode."""
    return load_network(folder / FILE_NAME, KIND, PoseVAE, PoseVAEConfig)


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
