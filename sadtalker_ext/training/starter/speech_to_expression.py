"""Recipe of the starter engine's ExpNet: log-mel speech -> articulation at 25 Hz.

The targets are synthetic speech's coarticulated curves (training/articulation.py). Besides the squared error there are
losses on speed, on the correlation of what a viewer sees (opening and width), on complete closures, and on the phones
themselves, which an extra head reads from the same hidden features and which is not shipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.speech_to_expression import MEL_PER_FRAME, SpeechToExpression, SpeechToExpressionConfig
from sadtalker_ext.puppet.expression_fields import TUCK_CLOSES
from sadtalker_ext.training.core.curve_plot import write_track_plot
from sadtalker_ext.training.core.loop import Plan, train
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.corpus.phonemes import ARTICULATED, SILENCE, SYMBOL_INDEX, SYMBOLS
from sadtalker_ext.training.starter.exp_net_metrics import judge, predict_stream
from sadtalker_ext.training.starter.mel_augment import amplified, disturb, effort, pace, swell_db, taken_at
from sadtalker_ext.training.starter.speech_features import (
    MEL_RATE_HZ,
    Features,
    is_recorded,
    is_unseen,
    padded,
    split_streams,
)
from sadtalker_ext.weights.safetensors_file import read_safetensors_file
from sadtalker_ext.weights.starter import (
    SPEECH_TO_EXPRESSION_KIND,
    load_speech_to_expression,
    save_speech_to_expression,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAN: Final = Plan(
    steps=12000, batch_size=8, learning_rate=2e-3, warmup_steps=200, weight_decay=0.02, ema_decay=0.999,
    validate_every=1000, save_every=100, log_every=100,
)  # fmt: skip
"""About an hour on two CPU cores."""
CROP_FRAMES: Final = 200
_OVERHANG: Final = 150
"""Mel frames that a cut may begin before its stream or end after it, where there is silence and the mouth rests."""
RECORDED_SHARE: Final = 0.4
"""Of the training, at least this much is on recordings of people, where there are any: they are few but true."""
_MISSED_CLOSURE: Final = 4.0
"""A closure that is missed costs this much more than one that is made up: viewers notice open lips in p, b and m."""
_SWELL_CHANCE: Final = 0.6
_MOVED_BY_EFFORT: Final = [ARTICULATED.index(name) for name in ("jaw_open", "upper_lip_raise", "lower_lip_drop")]
_SHAPE_WEIGHTS: Final = (6.0, 1.0, 2.0, 1.5, 1.0, 3.0, 3.0)
_JAW, _CLOSED, _PUCKER, _SPREAD, _TUCK = (ARTICULATED.index(name) for name in (
    "jaw_open", "lips_closed", "pucker", "spread", "lip_tuck",
))  # fmt: skip


class LipReadingNetwork(nn.Module):
    """The network that ships, and the head that names phones while it learns: (coefficients, logits (B, P, T))."""

    def __init__(self, config: SpeechToExpressionConfig) -> None:
        super().__init__()
        self.exp_net = SpeechToExpression(config)
        self.phones = nn.Conv1d(config.width, len(SYMBOLS), 1)

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """log_mel (B, 80, M) to coefficients (B, T, 7) and phone logits (B, P, T)."""
        hidden = self.exp_net.encode(log_mel)
        return self.exp_net.decode(hidden), self.phones(functional.gelu(hidden))


class ExpNetRecipe:
    """The recipe for :func:`sadtalker_ext.training.core.loop.train`.

    folder: see speech_features.py. hold_out: keep the unseen voices out of training; without it the
    last run may use every voice. start: go on from these weights instead of from chance.
    """

    name = "exp_net"
    phases: tuple[Phase, ...] = (
        Phase("reader", {"shape": 10.0, "speed": 2.0, "opening": 0.3, "width": 0.15, "closure": 0.8, "phones": 0.15}),
    )

    def __init__(
        self, folder: Path, config: SpeechToExpressionConfig | None = None, *, hold_out: bool = True,
        start: Path | None = None,
    ) -> None:
        self.start = load_speech_to_expression(start) if start else None
        self.started_from = "chance"
        if start:
            self.started_from = json.dumps(read_safetensors_file(start, SPEECH_TO_EXPRESSION_KIND).header)
        self.config = self.start.config if self.start else config or SpeechToExpressionConfig()
        paths = sorted((*folder.glob("*-round*.npz"), *folder.glob("*-plain.npz")))
        files = [(path, split_streams(Features.load(path))) for path in paths if not (hold_out and is_unseen(path))]
        self.train_set = [part for _, parts in files for part in parts]
        recorded = np.array([is_recorded(path) for path, parts in files for _ in parts], bool)
        tests = sorted(folder.glob("*-test.npz"))
        self.unseen = [part for path in tests if is_unseen(path) for part in split_streams(Features.load(path))][:24]
        seen = [part for path in tests if not is_unseen(path) for part in split_streams(Features.load(path))]
        self.seen = seen[:: max(1, len(seen) // 40)]
        if not self.train_set or not (self.seen or self.unseen):
            raise WeightsError(f"{folder} holds no features to train on; make them with: sadtalker train corpus")
        lengths = np.array([len(part.log_mel) for part in self.train_set], np.float64)
        self.recorded_hours = float(lengths[recorded].sum() / MEL_RATE_HZ / 3600)
        self.odds = np.cumsum(shared_odds(lengths, recorded))
        self.context = SpeechToExpression(self.config).context

    @property
    def description(self) -> str:
        """What the network learned from, in a sentence."""
        hours = sum(len(part.log_mel) for part in self.train_set) / MEL_RATE_HZ / 3600
        people = self.recorded_hours
        spoken = f"{people:.1f} h of people, their phones found by pocketsphinx, and " if people else ""
        return (
            f"{spoken}{hours - people:.1f} h of augmented synthetic speech of flite, festival and espeak-ng voices of "
            "Debian with exact "
            "phone times, in about 25 languages; no recording of a real speaker's lips"
        )

    def build(self) -> dict[str, nn.Module]:
        """One network: the reader."""
        reader = LipReadingNetwork(self.config)
        if self.start is not None:
            reader.exp_net.load_state_dict(self.start.state_dict())
        return {"reader": reader}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """log_mel (B, 80, M), target (B, T, 7), symbol (B, T): random cuts of random streams."""
        crops = [self._crop(random) for _ in range(size)]
        mel, target, symbol = (np.stack(part) for part in zip(*crops, strict=True))
        return {
            "log_mel": torch.from_numpy(mel),
            "target": torch.from_numpy(target),
            "symbol": torch.from_numpy(symbol),
        }

    def _crop(
        self, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        stream = self.train_set[int(np.searchsorted(self.odds, random.random()))]
        before = MEL_PER_FRAME * self.context
        count = MEL_PER_FRAME * (CROP_FRAMES + 2 * self.context)
        places = pace(count, random)
        target_places = places[before:][: MEL_PER_FRAME * CROP_FRAMES : MEL_PER_FRAME]
        last = max(0, len(stream.log_mel) - int(target_places[-1] - target_places[0]))
        begin = int(random.integers(-_OVERHANG, last + _OVERHANG)) - int(target_places[0])
        mel = taken_at(padded(stream.log_mel, begin, int(places[-1]) + 2), places)
        wanted = np.round(begin + target_places).astype(np.int64)
        rows = np.clip(wanted, 0, len(stream.curves) - 1)
        sounding = wanted == rows
        target = stream.curves[rows].astype(np.float32) * sounding[:, None]
        symbol = np.where(sounding, stream.symbols[rows], SYMBOL_INDEX[SILENCE])
        if random.random() < _SWELL_CHANCE:
            gain_db = swell_db(count, random)
            mel = amplified(mel, gain_db[:, None])
            inside = gain_db[before:][: MEL_PER_FRAME * CROP_FRAMES : MEL_PER_FRAME]
            target[:, _MOVED_BY_EFFORT] *= effort(inside)
        return disturb(mel, random).T.copy(), np.minimum(target, 1.0), symbol.astype(np.int64)

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See the module; every one is a mean over the batch."""
        predicted, logits = networks[phase.network](batch["log_mel"])
        target = batch["target"]
        weights = target.new_tensor(_SHAPE_WEIGHTS)
        speed = predicted.diff(dim=1) - target.diff(dim=1)
        likely, wanted = (curves[..., [_CLOSED, _TUCK]] for curves in (predicted.clamp(1e-5, 1 - 1e-5), target))
        closure = -_MISSED_CLOSURE * wanted * likely.log() - (1 - wanted) * (1 - likely).log()
        return {
            "shape": ((predicted - target).square() * weights).mean(),
            "speed": (speed.square() * weights).mean(),
            "opening": _disagreement(_opening(predicted), _opening(target)),
            "width": _disagreement(_width(predicted), _width(target)),
            "closure": closure.mean(),
            "phones": functional.cross_entropy(logits, batch["symbol"]),
        }

    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Figures on the test utterances of voices trained on ("seen") and of voices never heard ("unseen")."""
        network = shipped_part(networks)
        figures: dict[str, float] = {}
        for name, streams in (("seen", self.seen), ("unseen", self.unseen)):
            figures.update({f"{name}_{key}": value for key, value in judge(network, streams).items()})
        return figures

    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """Ten seconds of two streams: target and prediction of every shape, as SVG."""
        network = shipped_part(networks)
        for number, stream in enumerate((*self.unseen[:1], *self.seen[:1])):
            predicted, target = predict_stream(network, stream)
            rows = {
                name: np.stack([target[:250, i], predicted[:250, i]], 1) for i, name in enumerate(ARTICULATED)
            }
            write_track_plot(folder / f"stream{number}.svg", rows, low=0.0, high=1.0)


def shared_odds(lengths: NDArray[np.float64], recorded: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Chance of each stream: by its length, but recordings together have at least :data:`RECORDED_SHARE`."""
    odds: NDArray[np.float64] = lengths / lengths.sum()
    share = float(odds[recorded].sum())
    if 0.0 < share < RECORDED_SHARE:
        odds = np.where(recorded, odds * RECORDED_SHARE / share, odds * (1 - RECORDED_SHARE) / (1 - share))
    return odds


def shipped_part(networks: Mapping[str, nn.Module]) -> SpeechToExpression:
    """The network inside the trained reader that engines load."""
    return cast("LipReadingNetwork", networks["reader"]).exp_net


def train_exp_net(recipe: ExpNetRecipe, folder: Path, plan: Plan, commit: str = "unknown") -> Path:
    """Train (or go on) in ``folder`` and write ``exp_net.safetensors`` there; returns its path.

    commit: of the code that trains, for the header of the file.
    """
    networks = train(recipe, plan, folder)
    origin = {
        "recipe": recipe.name,
        "plan": json.dumps(asdict(plan)),
        "started_from": recipe.started_from,
        "data": recipe.description,
        "commit": commit,
        "figures": json.dumps({name: round(value, 4) for name, value in recipe.validate(networks).items()}),
    }
    path = folder / "exp_net.safetensors"
    save_speech_to_expression(shipped_part(networks), path, origin)
    return path


def _opening(curves: Tensor) -> Tensor:
    """(B, T, 7) -> (B, T), the part of metrics.sync.mouth_opening that has gradients everywhere."""
    return curves[..., _JAW] * (1 - curves[..., _CLOSED]) * (1 - TUCK_CLOSES * curves[..., _TUCK])


def _width(curves: Tensor) -> Tensor:
    return 0.24 * curves[..., _SPREAD] - 0.36 * curves[..., _PUCKER]


def _disagreement(a: Tensor, b: Tensor) -> Tensor:
    """Mean of 1 - Pearson's r over the batch; sequences whose target is flat do not count."""
    a, b = (x - x.mean(1, keepdim=True) for x in (a, b))
    spread = b.square().mean(1)
    r = (a * b).mean(1) / ((a.square().mean(1) + 1e-5) * (spread + 1e-5)).sqrt()
    alive = (spread > 1e-4).to(a.dtype)
    return ((1 - r) * alive).sum() / alive.sum().clamp(min=1)
