"""Training recipe for ExpNet: speech, a reference expression and a blink ratio -> expression coefficients.

Losses as in SadTalker (Zhang et al. 2023, section 3.2): distillation of lip-only expressions, landmarks, lip reading
(if the user has a frozen lip reader), and the closing of the eyes against random blink ratios.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import torch
from torch.nn import functional

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.engines.sadtalker.coefficients import EXPRESSION
from sadtalker_ext.models.exp_net import ExpNet, ExpNetConfig
from sadtalker_ext.training.clips.data_digest import describe_clips
from sadtalker_ext.training.core.curve_plot import write_track_plot
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.sadtalker.audio_windows import ClipWindow, ClipWindowSampler
from sadtalker_ext.training.sadtalker.landmark_loss import (
    FACE_PX,
    LandmarkModel,
    bfm_landmarks,
    blink_loss,
    landmark_loss,
    puppet_landmarks,
)
from sadtalker_ext.training.sadtalker.lip_reading_loss import LipReadingLoss
from sadtalker_ext.weights.packaged import PUPPET
from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.training.sadtalker.audio_windows import SpeechModelSize

OFFICIAL_WEIGHTS: Final = {"distillation": 2.0, "landmarks": 0.01, "reading": 0.01, "blink": 4.0}
"""Loss weights of SadTalker's released configuration."""
PUPPET_WEIGHTS: Final = {"distillation": 30.0, "landmarks": 0.01, "reading": 0.01, "blink": 2.5}
"""Loss weights for the puppet's coefficients, of which 15 of 64 are used and each has a distinct meaning.

The blink loss must outweigh the distillation, whose targets keep the eyes of the reference.
"""
FRAMES: Final = 5
"""Consecutive frames per example, as in Wav2Lip."""
OPEN_EYES_SHARE: Final = 0.5
"""Share of the frames with blink ratio 0; the others get a random ratio."""
OPEN_EYES_MAX_CLOSING: Final = 0.3
"""Closing of the lids up to which eyes count as open."""
MIN_LIP_MOTION_PX: Final = 1e-3 * FACE_PX
"""Clips whose lip gap varies less than this (standard deviation) have no meaningful correlation."""
VALIDATION_CLIPS: Final = 24
SAMPLE_CLIPS: Final = 4
PLOTTED_GAP_PX: Final = 40
"""Lip gap that is drawn as 1 in the plots."""
KIND: Final = "sadtalker-training-exp_net"
FILE_NAME: Final = "exp_net.safetensors"
PLANS: Final = {
    "full": Plan(
        steps=200_000, batch_size=32, learning_rate=2e-5, warmup_steps=500, validate_every=5000, save_every=1000,
        log_every=100, workers=2,
    ),
    "small": Plan(
        steps=600, batch_size=24, learning_rate=4e-3, warmup_steps=40, clip_norm=5.0, ema_decay=0.98,
        validate_every=300, save_every=150, log_every=25,
    ),
    "tiny": Plan(steps=3, batch_size=4, learning_rate=1e-3, warmup_steps=1, log_every=1),
}  # fmt: skip


class SadTalkerExpNetRecipe:
    """The recipe for :func:`sadtalker_ext.training.core.loop.train`.

    data: folder of clips. size: sizes of the network. face_model: file of the Basel face model, required if the
    coefficients of the clips belong to it, ignored for the puppet's. reader: frozen lip reader, or None to train
    without the lip-reading loss.
    """

    name = "sadtalker_exp_net"

    def __init__(
        self, data: Path, size: SpeechModelSize, face_model: Path | None = None, reader: nn.Module | None = None
    ) -> None:
        self.train_set, self.test_set = (ClipWindowSampler(data, split, FRAMES) for split in ("train", "test"))
        self.data = describe_clips(data)
        self.info, self.config = self.train_set.store.info, ExpNetConfig(audio_widths=size.audio_widths)
        self.landmarks = make_landmark_model(self.info.coefficients, face_model)
        self.reading = None if reader is None else LipReadingLoss(reader, self.landmarks)
        weights = dict(PUPPET_WEIGHTS if self.info.coefficients == PUPPET else OFFICIAL_WEIGHTS)
        if self.reading is None:
            del weights["reading"]
        self.phases: tuple[Phase, ...] = (Phase("exp_net", weights),)

    def build(self) -> dict[str, nn.Module]:
        """Return a new ExpNet."""
        return {"exp_net": ExpNet(self.config)}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Return random windows: mel (B, 5, 1, 80, 16), reference and target (B, 5, 64), blink ratio (B, 5, 1).

        With a lip reader also pictures (B, 5, 3, S, S), their landmarks (B, 5, 68, 2) and expressions (B, 5, 64).
        """
        windows = self.train_set.sample(random, size)
        closing = random.random((size, FRAMES, 1), np.float32)
        ratio = np.where(random.random((size, FRAMES, 1)) < OPEN_EYES_SHARE, np.float32(0), closing)
        arrays = {**audio_inputs(windows), "ratio": ratio}
        if self.reading is not None:
            arrays |= self._lip_reading_inputs(windows)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _lip_reading_inputs(self, windows: list[ClipWindow]) -> dict[str, Float32Array]:
        spans = [range(window.first, window.first + FRAMES) for window in windows]
        pictures = [
            self.train_set.store.read_images(window.number, span) for window, span in zip(windows, spans, strict=True)
        ]
        return {
            "pictures": np.ascontiguousarray(np.stack(pictures).transpose(0, 1, 4, 2, 3), np.float32) / np.float32(255),
            "landmarks": np.stack([window.cut(window.clip.landmarks) for window in windows]),
            "shown": np.stack([window.cut(window.clip.coefficients)[:, EXPRESSION] for window in windows]),
        }

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the losses of the module docstring, computed in float32; landmarks in pixels of the aligned image."""
        predicted = networks[phase.network](batch["mel"], batch["reference"], batch["ratio"]).float()
        with torch.autocast(predicted.device.type, enabled=False):
            return self._compare(predicted, batch)

    def _compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        model, target = self.landmarks.to(predicted.device), batch["target"]
        table = {
            "distillation": functional.mse_loss(predicted, target),
            "landmarks": landmark_loss(model, predicted, target),
            "blink": blink_loss(model, predicted, batch["reference"], batch["ratio"]),
        }
        if self.reading is not None:
            reading = self.reading.to(predicted.device)
            table["reading"] = reading(predicted, batch["shown"], batch["pictures"], batch["landmarks"])
        return table

    @torch.inference_mode()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Return metrics on held-out clips.

        ``lips``: mean correlation of the predicted and the target lip gap. ``landmarks_px``: root mean square distance
        of the landmarks. ``blink``: mean absolute error of the eye closing, on clips that start with open eyes.
        """
        lips, distances, blink = [], [], []
        for window in self.test_set.whole_clips(VALIDATION_CLIPS):
            predicted, target, closing, ratio = self._predict(networks["exp_net"], window)
            predicted_gap, target_gap = (self.landmarks.lip_gap(track).numpy() for track in (predicted, target))
            if min(predicted_gap.std(), target_gap.std()) > MIN_LIP_MOTION_PX:
                lips.append(float(np.corrcoef(predicted_gap, target_gap)[0, 1]))
            distances.append(float(landmark_loss(self.landmarks, predicted, target)))
            if window.clip.lids[0] < OPEN_EYES_MAX_CLOSING:
                blink.append(float((closing - ratio).abs().mean()))
        return {
            "lips": float(np.mean(lips)) if lips else 0.0,
            "landmarks_px": float(np.sqrt(np.mean(distances))),
            "blink": float(np.mean(blink)) if blink else 1.0,
        }

    def _predict(self, network: nn.Module, window: ClipWindow) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return predicted and target expression (T, 64), eye closing and blink ratio (T,); one blink per second."""
        device = next(network.parameters()).device
        arrays = {name: torch.from_numpy(array) for name, array in audio_inputs([window]).items()}
        phase = torch.arange(window.frames) * (2 * np.pi / FRAME_RATE_HZ)
        ratio = (0.5 - 0.5 * torch.cos(phase)).float()[None, :, None]
        inputs = [part.to(device) for part in (arrays["mel"], arrays["reference"], ratio)]
        predicted = network(*inputs).cpu()[0]
        self.landmarks.cpu()
        closing = self.landmarks.eye_closing(predicted, arrays["reference"][0])
        return predicted, arrays["target"][0], closing, ratio[0, :, 0]

    @torch.inference_mode()
    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """Write ``clips.svg``: target and predicted lip gap, blink ratio and predicted eye closing."""
        rows = {}
        for window in self.test_set.whole_clips(SAMPLE_CLIPS):
            predicted, target, closing, ratio = self._predict(networks["exp_net"], window)
            gaps = torch.stack([self.landmarks.lip_gap(target), self.landmarks.lip_gap(predicted)], dim=1)
            title = f"{window.clip.name}: lip gap / {PLOTTED_GAP_PX} px, target and predicted"
            rows[title] = gaps.numpy() / PLOTTED_GAP_PX
            eyes = torch.stack([ratio, closing], dim=1)
            rows[f"{window.clip.name}: eye closing, blink ratio and predicted"] = eyes.numpy()
        write_track_plot(folder / "clips.svg", rows, low=-0.2, high=1.2)


def audio_inputs(windows: list[ClipWindow]) -> dict[str, Float32Array]:
    """Return mel (B, T, 1, 80, 16), reference (B, T, 64) from the first frame of each clip, and target (B, T, 64)."""
    references = [np.repeat(window.clip.coefficients[:1, EXPRESSION], window.frames, axis=0) for window in windows]
    return {
        "mel": np.stack([window.mel() for window in windows]),
        "reference": np.stack(references),
        "target": np.stack([window.cut(window.clip.lip_expression) for window in windows]),
    }


def make_landmark_model(coefficients: str, face_model: Path | None) -> LandmarkModel:
    """Return the landmark model for a kind of coefficients; WeightsError if the Basel face model is required."""
    from sadtalker_ext.errors import WeightsError

    if coefficients == PUPPET:
        return puppet_landmarks()
    if face_model is None:
        raise WeightsError(
            "The coefficients of these clips belong to the Basel face model, whose file is required: set "
            "--face-model BFM_model_front.mat (see Deep3DFaceRecon), or prepare clips without FaceRecon"
        )
    return bfm_landmarks(face_model)


def train_sadtalker_exp_net(recipe: SadTalkerExpNetRecipe, folder: Path, plan: Plan, commit: str = "unknown") -> Path:
    """Train or resume in ``folder``, write ``exp_net.safetensors`` there and return its path.

    commit: version of the code, for the header of the file.
    """
    networks = train(recipe, plan, folder)
    origin = {
        "recipe": recipe.name,
        "plan": json.dumps(asdict(plan)),
        "coefficients": recipe.info.coefficients,
        "data": recipe.info.sources,
        "licence": recipe.info.licence,
        "commit": commit,
        "figures": json.dumps({name: round(value, 4) for name, value in recipe.validate(networks).items()}),
    }
    path = folder / FILE_NAME
    save_network(path, cast("ExpNet", networks["exp_net"]), KIND, origin)
    return path


def load_exp_net(folder: Path) -> ExpNet:
    """Load the network of a finished run, on the CPU, in eval mode."""
    return load_network(folder / FILE_NAME, KIND, ExpNet, ExpNetConfig)
