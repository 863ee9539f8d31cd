"""Training recipe of SpeechToExpression, which predicts articulation curves at 25 Hz from log-mel speech.

The targets are the coarticulated curves of synthetic and recorded speech (training/corpus/articulation.py). Besides
the squared error there are losses on the speed, on the correlation of the visible mouth opening and width, on complete
closures, and on the phones, which an additional head classifies from the same hidden features. That head is not
shipped.
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
from sadtalker_ext.puppet.mouth_fields import PUCKER_NARROWS, SPREAD_WIDENS
from sadtalker_ext.training.clips.data_digest import digest_of
from sadtalker_ext.training.core.curve_plot import write_track_plot
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.corpus.phonemes import ARTICULATED, SILENCE, SYMBOL_INDEX, SYMBOLS
from sadtalker_ext.training.starter.mel_augment import (
    amplify,
    augment_mel,
    effort_factors,
    interpolate_frames,
    random_gain_curve_db,
    random_time_warp,
)
from sadtalker_ext.training.starter.speech_features import (
    MEL_RATE_HZ,
    Features,
    is_recorded,
    is_unseen,
    slice_padded,
    split_streams,
)
from sadtalker_ext.training.starter.speech_to_expression_metrics import compute_metrics, predict_stream
from sadtalker_ext.weights.safetensors_file import read_safetensors_file
from sadtalker_ext.weights.starter import (
    SPEECH_TO_EXPRESSION_KIND,
    load_speech_to_expression,
    save_speech_to_expression,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array

WEIGHTS_FILE: Final = "speech_to_expression.safetensors"
PLAN: Final = Plan(
    steps=12000, batch_size=8, learning_rate=2e-3, warmup_steps=200, weight_decay=0.02, ema_decay=0.999,
    validate_every=1000, save_every=100, log_every=100,
)  # fmt: skip
"""About an hour on two CPU cores."""
CROP_FRAMES: Final = 200
"""Length of a training crop at 25 Hz, 8 s."""
_OVERHANG: Final = 150
"""Mel frames by which a crop may extend beyond its stream, into silence with the mouth at rest."""
RECORDED_SHARE: Final = 0.4
"""Smallest probability of recordings, if there are any: they are few, but they have the sound of real speech."""
_MISSED_CLOSURE_WEIGHT: Final = 4.0
"""Weight of a missed closure relative to a false one: open lips in p, b and m are noticed more."""
_GAIN_CHANCE: Final = 0.6
_MAX_UNSEEN, _MAX_SEEN = 24, 40
"""About this many test streams of unseen and seen voices are used for validation."""
_EFFORT_COLUMNS: Final = [ARTICULATED.index(name) for name in ("jaw_open", "upper_lip_raise", "lower_lip_drop")]
_SHAPE_WEIGHTS: Final = (6.0, 1.0, 2.0, 1.5, 1.0, 3.0, 3.0)
"""Weights of the squared error per column; lips_closed and lip_tuck have their own loss."""
_JAW, _CLOSED, _PUCKER, _SPREAD, _TUCK = (ARTICULATED.index(name) for name in (
    "jaw_open", "lips_closed", "pucker", "spread", "lip_tuck",
))  # fmt: skip


class SpeechToExpressionWithPhones(nn.Module):
    """The network that is shipped (``exp_net``, a key in run checkpoints) and the phone classifier used in training."""

    def __init__(self, config: SpeechToExpressionConfig) -> None:
        super().__init__()
        self.exp_net = SpeechToExpression(config)
        self.phones = nn.Conv1d(config.width, len(SYMBOLS), 1)

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Return the curves (B, T, 7) and the phone logits (B, P, T) of ``log_mel`` (B, 80, M)."""
        hidden = self.exp_net.encode(log_mel)
        return self.exp_net.decode(hidden), self.phones(functional.gelu(hidden))


class SpeechToExpressionRecipe:
    """Recipe for :func:`sadtalker_ext.training.core.loop.train`.

    folder: feature files, see speech_features.py. hold_out: exclude the unseen voices from training. start: checkpoint
    with initial weights; None for random weights. WeightsError if the folder has no training or no test files.
    """

    name = "exp_net"
    phases: tuple[Phase, ...] = (
        Phase("reader", {"shape": 10.0, "speed": 2.0, "opening": 0.3, "width": 0.15, "closure": 0.8, "phones": 0.15}),
    )

    def __init__(
        self,
        folder: Path,
        config: SpeechToExpressionConfig | None = None,
        *,
        hold_out: bool = True,
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
        unseen = [part for path in tests if is_unseen(path) for part in split_streams(Features.load(path))]
        seen = [part for path in tests if not is_unseen(path) for part in split_streams(Features.load(path))]
        self.unseen = unseen[:_MAX_UNSEEN]
        self.seen = seen[:: max(1, len(seen) // _MAX_SEEN)]
        if not self.train_set or not (self.seen or self.unseen):
            raise WeightsError(f"The folder {folder} has no features; make them with: sadtalker train corpus")
        self.data = f"{len(files)} files of features, {digest_of([*(path for path, _ in files), *tests])}"
        lengths = np.array([len(part.log_mel) for part in self.train_set], np.float64)
        self.recorded_hours = float(lengths[recorded].sum() / MEL_RATE_HZ / 3600)
        self.cumulative_probabilities = np.cumsum(stream_probabilities(lengths, recorded))
        self.context = SpeechToExpression(self.config).context

    @property
    def description(self) -> str:
        """The training data, in one sentence."""
        hours = sum(len(part.log_mel) for part in self.train_set) / MEL_RATE_HZ / 3600
        recorded = f"{self.recorded_hours:.1f} h of recorded speech with phones from pocketsphinx, and "
        return (
            f"{recorded if self.recorded_hours else ''}{hours - self.recorded_hours:.1f} h of augmented synthetic "
            "speech of flite, festival and espeak-ng voices of Debian with exact phone times, in about 25 languages; "
            "no video of real speakers"
        )

    def build(self) -> dict[str, nn.Module]:
        """Return the only network ("reader", a key in run checkpoints)."""
        network = SpeechToExpressionWithPhones(self.config)
        if self.start is not None:
            network.exp_net.load_state_dict(self.start.state_dict())
        return {"reader": network}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Return random crops of random streams: log_mel (B, 80, M), target (B, T, 7) and symbol (B, T)."""
        crops = [self._crop(random) for _ in range(size)]
        mel, target, symbol = (np.stack(part) for part in zip(*crops, strict=True))
        return {
            "log_mel": torch.from_numpy(mel),
            "target": torch.from_numpy(target),
            "symbol": torch.from_numpy(symbol),
        }

    def _crop(self, random: np.random.Generator) -> tuple[Float32Array, Float32Array, NDArray[np.int64]]:
        """Return one augmented crop: log mel (80, M), target (T, 7) and symbol (T,)."""
        stream = self.train_set[int(np.searchsorted(self.cumulative_probabilities, random.random()))]
        before = MEL_PER_FRAME * self.context
        count = MEL_PER_FRAME * (CROP_FRAMES + 2 * self.context)
        positions = random_time_warp(count, random)
        target_positions = positions[before:][: MEL_PER_FRAME * CROP_FRAMES : MEL_PER_FRAME]
        last = max(0, len(stream.log_mel) - int(target_positions[-1] - target_positions[0]))
        begin = int(random.integers(-_OVERHANG, last + _OVERHANG)) - int(target_positions[0])
        mel = interpolate_frames(slice_padded(stream.log_mel, begin, int(positions[-1]) + 2), positions)
        targets_at = np.round(begin + target_positions).astype(np.int64)
        rows = np.clip(targets_at, 0, len(stream.curves) - 1)
        inside = targets_at == rows
        target = stream.curves[rows].astype(np.float32) * inside[:, None]
        symbol = np.where(inside, stream.symbols[rows], SYMBOL_INDEX[SILENCE])
        if random.random() < _GAIN_CHANCE:
            gain_db = random_gain_curve_db(count, random)
            mel = amplify(mel, gain_db[:, None])
            target_gain_db = gain_db[before:][: MEL_PER_FRAME * CROP_FRAMES : MEL_PER_FRAME]
            target[:, _EFFORT_COLUMNS] *= effort_factors(target_gain_db)
        return augment_mel(mel, random).T.copy(), np.minimum(target, 1.0), symbol.astype(np.int64)

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the losses that the module docstring describes, each a mean over the batch."""
        predicted, logits = networks[phase.network](batch["log_mel"])
        target = batch["target"]
        weights = target.new_tensor(_SHAPE_WEIGHTS)
        speed = predicted.diff(dim=1) - target.diff(dim=1)
        closed, target_closed = (curves[..., [_CLOSED, _TUCK]] for curves in (predicted.clamp(1e-5, 1 - 1e-5), target))
        missed, false = -target_closed * closed.log(), -(1 - target_closed) * (1 - closed).log()
        closure = _MISSED_CLOSURE_WEIGHT * missed + false
        return {
            "shape": ((predicted - target).square() * weights).mean(),
            "speed": (speed.square() * weights).mean(),
            "opening": _correlation_loss(_mouth_opening(predicted), _mouth_opening(target)),
            "width": _correlation_loss(_mouth_width(predicted), _mouth_width(target)),
            "closure": closure.mean(),
            "phones": functional.cross_entropy(logits, batch["symbol"]),
        }

    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Return the metrics on test streams of voices in the training data ("seen") and of other voices ("unseen")."""
        network = shipped_network(networks)
        metrics: dict[str, float] = {}
        for name, streams in (("seen", self.seen), ("unseen", self.unseen)):
            metrics.update({f"{name}_{key}": value for key, value in compute_metrics(network, streams).items()})
        return metrics

    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """Plot target and prediction of each shape over ten seconds of an unseen and a seen voice, as SVG."""
        network = shipped_network(networks)
        for number, stream in enumerate((*self.unseen[:1], *self.seen[:1])):
            predicted, target = predict_stream(network, stream)
            rows = {name: np.stack([target[:250, i], predicted[:250, i]], 1) for i, name in enumerate(ARTICULATED)}
            write_track_plot(folder / f"stream{number}.svg", rows, low=0.0, high=1.0)


def stream_probabilities(lengths: Float64Array, recorded: NDArray[np.bool_]) -> Float64Array:
    """Return the probability of each stream, in proportion to its length.

    If ``recorded`` marks some of the streams, these have at least :data:`RECORDED_SHARE` in total.
    """
    p: Float64Array = lengths / lengths.sum()
    share = float(p[recorded].sum())
    if 0.0 < share < RECORDED_SHARE:
        p = np.where(recorded, p * RECORDED_SHARE / share, p * (1 - RECORDED_SHARE) / (1 - share))
    return p


def shipped_network(networks: Mapping[str, nn.Module]) -> SpeechToExpression:
    """Return the network that the engine loads."""
    return cast("SpeechToExpressionWithPhones", networks["reader"]).exp_net


def train_speech_to_expression(
    recipe: SpeechToExpressionRecipe, folder: Path, plan: Plan, commit: str = "unknown"
) -> Path:
    """Train, or resume training, in ``folder`` and write :data:`WEIGHTS_FILE` there; return its path.

    commit: commit of the training code, written to the header of the file.
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
    path = folder / WEIGHTS_FILE
    save_speech_to_expression(shipped_network(networks), path, origin)
    return path


def _mouth_opening(curves: Tensor) -> Tensor:
    """Return the mouth opening (B, T) of curves (B, T, 7).

    It has the terms of :func:`metrics.sync.mouth_opening` whose gradients are never zero.
    """
    return curves[..., _JAW] * (1 - curves[..., _CLOSED]) * (1 - TUCK_CLOSES * curves[..., _TUCK])


def _mouth_width(curves: Tensor) -> Tensor:
    """Return the change of the mouth width (B, T) as in :func:`metrics.sync.mouth_width`."""
    return SPREAD_WIDENS * curves[..., _SPREAD] - PUCKER_NARROWS * curves[..., _PUCKER]


def _correlation_loss(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean of 1 - Pearson's r over the batch, without sequences whose target is constant."""
    a, b = (x - x.mean(1, keepdim=True) for x in (a, b))
    spread = b.square().mean(1)
    r = (a * b).mean(1) / ((a.square().mean(1) + 1e-5) * (spread + 1e-5)).sqrt()
    varies = (spread > 1e-4).to(a.dtype)
    return ((1 - r) * varies).sum() / varies.sum().clamp(min=1)
