"""Recipe of SadTalker's ExpNet: sound, a reference expression and a blink command -> expression coefficients.

Losses of SadTalker (Zhang et al. 2023, section 3.2): distillation of lip-only expressions, landmarks, the reading of a
frozen lip reader (where the user has one), and the eyes' closing against random commands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import torch
from torch.nn import functional

from sadtalker_ext.models.exp_net import ExpNet, ExpNetConfig
from sadtalker_ext.training.core.curve_plot import write_track_plot
from sadtalker_ext.training.core.loop import Plan, train
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.sadtalker.audio_windows import Piece, SoundPieces
from sadtalker_ext.training.sadtalker.landmark_loss import (
    FACE_PX,
    LandmarkModel,
    bfm_landmarks,
    blink_loss,
    landmark_loss,
    puppet_landmarks,
)
from sadtalker_ext.training.sadtalker.lip_reading_loss import LipReadingLoss
from sadtalker_ext.weights.packaged import PUPPET, config_from
from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from sadtalker_ext.training.sadtalker.audio_windows import SoundSize

OFFICIAL_WEIGHTS: Final = {"distillation": 2.0, "landmarks": 0.01, "reading": 0.01, "blink": 4.0}
"""Of SadTalker's released configuration."""
PUPPET_WEIGHTS: Final = {"distillation": 30.0, "landmarks": 0.01, "reading": 0.01, "blink": 2.5}
"""For the puppet's coefficients, of which 15 of the 64 are used and each alone has a meaning.

Blinks must outweigh the distillation, whose targets keep the eyes as they are in the reference.
"""
FRAMES: Final = 5
"""Neighbouring frames in an example, as many as Wav2Lip looks at together."""
OPEN_CHANCE: Final = 0.5
"""Part of the frames whose eyes are told to stay open; the others get a random closing."""
OPEN_LIDS: Final = 0.3
"""Closing of the lids up to which eyes count as open."""
JUDGED_CLIPS: Final = 24
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

    data: folder of clips. size: of the audio encoder. face_model: the user's BFM file, needed where the coefficients
    are of that model and ignored where they are the puppet's. reader: a frozen lip reader, or None to do without.
    """

    name = "sadtalker_exp_net"

    def __init__(
        self, data: Path, size: SoundSize, face_model: Path | None = None, reader: nn.Module | None = None
    ) -> None:
        self.train_set, self.test_set = (SoundPieces(data, split, FRAMES) for split in ("train", "test"))
        self.card, self.config = self.train_set.store.card, ExpNetConfig(audio_widths=size.audio_widths)
        self.landmarks = landmark_model(self.card.coefficients, face_model)
        self.reading = None if reader is None else LipReadingLoss(reader, self.landmarks)
        weights = dict(PUPPET_WEIGHTS if self.card.coefficients == PUPPET else OFFICIAL_WEIGHTS)
        if self.reading is None:
            del weights["reading"]
        self.phases: tuple[Phase, ...] = (Phase("exp_net", weights),)

    def build(self) -> dict[str, nn.Module]:
        """ExpNet."""
        return {"exp_net": ExpNet(self.config)}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Pieces of five frames: mel (B, 5, 1, 80, 16), reference and target (B, 5, 64), ratio (B, 5, 1)."""
        pieces = self.train_set.draw(random, size)
        closing = random.random((size, FRAMES, 1), np.float32)
        ratio = np.where(random.random((size, FRAMES, 1)) < OPEN_CHANCE, np.float32(0), closing)
        arrays = {**heard(pieces), "ratio": ratio}
        if self.reading is not None:
            arrays |= self._seen(pieces)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _seen(self, pieces: list[Piece]) -> dict[str, NDArray[np.float32]]:
        """What the lip reader looks at: pictures (B, 5, 3, S, S), landmarks, and the expression they show."""
        spans = [range(piece.first, piece.first + FRAMES) for piece in pieces]
        pictures = [
            self.train_set.store.pictures(piece.number, span) for piece, span in zip(pieces, spans, strict=True)
        ]
        return {
            "pictures": np.ascontiguousarray(np.stack(pictures).transpose(0, 1, 4, 2, 3), np.float32) / np.float32(255),
            "landmarks": np.stack([piece.cut(piece.clip.landmarks) for piece in pieces]),
            "shown": np.stack([piece.cut(piece.clip.coefficients)[:, :64] for piece in pieces]),
        }

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """See the module. Landmarks are compared in full precision, in pixels of the official aligned picture."""
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
        """On held-out clips. ``lips``: mean correlation of the gap between the lips with that of the target;
        ``landmarks_px``: root mean square distance of landmarks; ``blink``: mean error of the eyes' closing,
        of clips that begin with open eyes.
        """
        lips, apart, blink = [], [], []
        for piece in self.test_set.whole(JUDGED_CLIPS):
            said, wanted, closing, told = self._speak(networks["exp_net"], piece)
            ours, theirs = (self.landmarks.lip_gap(track).numpy() for track in (said, wanted))
            if min(ours.std(), theirs.std()) > 1e-3 * FACE_PX:
                lips.append(float(np.corrcoef(ours, theirs)[0, 1]))
            apart.append(float(landmark_loss(self.landmarks, said, wanted)))
            if piece.clip.lids[0] < OPEN_LIDS:
                blink.append(float((closing - told).abs().mean()))
        return {
            "lips": float(np.mean(lips)) if lips else 0.0,
            "landmarks_px": float(np.sqrt(np.mean(apart))),
            "blink": float(np.mean(blink)) if blink else 1.0,
        }

    def _speak(self, network: nn.Module, piece: Piece) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predicted and wanted expression (T, 64), closing of the eyes and its command (T,), which rises and falls."""
        device = next(network.parameters()).device
        arrays = {name: torch.from_numpy(array) for name, array in heard([piece]).items()}
        told = (0.5 - 0.5 * torch.cos(torch.arange(piece.frames) * (2 * np.pi / 25))).float()[None, :, None]
        inputs = [part.to(device) for part in (arrays["mel"], arrays["reference"], told)]
        said = network(*inputs).cpu()[0]
        self.landmarks.cpu()
        closing = self.landmarks.closing(said, arrays["reference"][0])
        return said, arrays["target"][0], closing, told[0, :, 0]

    @torch.inference_mode()
    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """``clips.svg``: gap between the lips, wanted and predicted, and closing of the eyes, told and predicted."""
        rows = {}
        for piece in self.test_set.whole(4):
            said, wanted, closing, told = self._speak(networks["exp_net"], piece)
            gaps = torch.stack([self.landmarks.lip_gap(wanted), self.landmarks.lip_gap(said)], dim=1)
            rows[f"{piece.clip.name}: gap between the lips / 40 px, wanted and predicted"] = gaps.numpy() / 40
            eyes = torch.stack([told, closing], dim=1)
            rows[f"{piece.clip.name}: closing of the eyes, told and predicted"] = eyes.numpy()
        write_track_plot(folder / "clips.svg", rows, low=-0.2, high=1.2)


def heard(pieces: list[Piece]) -> dict[str, NDArray[np.float32]]:
    """Mel (B, T, 1, 80, 16), reference (B, T, 64) of each clip's first frame, target (B, T, 64)."""
    references = [np.repeat(piece.clip.coefficients[:1, :64], piece.frames, axis=0) for piece in pieces]
    return {
        "mel": np.stack([piece.mel() for piece in pieces]),
        "reference": np.stack(references),
        "target": np.stack([piece.cut(piece.clip.lip_expression) for piece in pieces]),
    }


def landmark_model(coefficients: str, face_model: Path | None) -> LandmarkModel:
    """Landmarks of the kind of coefficients; those of the Basel model need its file."""
    from sadtalker_ext.errors import WeightsError

    if coefficients == PUPPET:
        return puppet_landmarks()
    if face_model is None:
        raise WeightsError(
            "These clips have coefficients of the Basel face model, whose landmarks need its file: give "
            "--face-model BFM_model_front.mat (Deep3DFaceRecon tells how to get it), or prepare clips without FaceRecon"
        )
    return bfm_landmarks(face_model)


def train_sadtalker_exp_net(
    recipe: SadTalkerExpNetRecipe, folder: Path, plan: Plan, commit: str = "unknown"
) -> Path:
    """Train (or go on) in ``folder`` and write ``exp_net.safetensors`` there; returns its path.

    commit: of the code that trains, for the header of the file.
    """
    networks = train(recipe, plan, folder)
    origin = {
        "recipe": recipe.name,
        "plan": json.dumps(asdict(plan)),
        "coefficients": recipe.card.coefficients,
        "data": recipe.card.sources,
        "licence": recipe.card.licence,
        "commit": commit,
        "figures": json.dumps({name: round(value, 4) for name, value in recipe.validate(networks).items()}),
    }
    path = folder / FILE_NAME
    save_network(path, cast("ExpNet", networks["exp_net"]), KIND, origin)
    return path


def load_exp_net(folder: Path) -> ExpNet:
    """The network of a finished run, on the CPU, in eval mode."""
    path = folder / FILE_NAME
    return load_network(path, KIND, lambda config: ExpNet(config_from(ExpNetConfig, config, path)))
