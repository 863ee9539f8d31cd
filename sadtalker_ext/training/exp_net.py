"""Recipe of the starter engine's ExpNet: log-mel speech -> articulation at 25 Hz.

The targets are synthetic speech's coarticulated curves (training/articulation.py). Besides the squared error there are
losses on speed, on the correlation of what a viewer sees (opening and width), on complete closures, and on the phones
themselves, which an extra head reads from the same hidden features and which is not shipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.metrics.sync import mouth_opening, mouth_width, pearson
from sadtalker_ext.models.speech_to_expression import MEL_PER_FRAME, SILENCE_LOG_POWER, Config, SpeechToExpression
from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.training.corpus import UNSEEN_VOICES
from sadtalker_ext.training.features import Features
from sadtalker_ext.training.loop import Phase, Plan
from sadtalker_ext.training.phonemes import ARTICULATED, BILABIALS, SILENCE, SYMBOL_INDEX, SYMBOLS
from sadtalker_ext.training.track_plot import write_track_plot

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLAN: Final = Plan(
    steps=12000, batch_size=12, learning_rate=2e-3, warmup_steps=300, weight_decay=0.02, ema_decay=0.999,
    validate_every=1000, save_every=500, log_every=100,
)  # fmt: skip
"""About an hour on two CPU cores."""
CROP_FRAMES: Final = 200
_SHAPE_WEIGHTS: Final = (6.0, 1.0, 2.0, 1.5, 1.0, 3.0, 3.0)
_JAW, _CLOSED, _PUCKER, _SPREAD, _TUCK = (ARTICULATED.index(name) for name in (
    "jaw_open", "lips_closed", "pucker", "spread", "lip_tuck",
))  # fmt: skip
_BILABIAL: Final = [SYMBOL_INDEX[symbol] for symbol in BILABIALS]


class ReadingNet(nn.Module):
    """The network that ships, and the head that names phones while it learns: (coefficients, logits (B, P, T))."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.exp_net = SpeechToExpression(config)
        self.phones = nn.Conv1d(config.width, len(SYMBOLS), 1)

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """log_mel (B, 80, M) to coefficients (B, T, 7) and phone logits (B, P, T)."""
        hidden = self.exp_net.encode(log_mel)
        return self.exp_net.decode(hidden), self.phones(functional.gelu(hidden))


class ExpNetRecipe:
    """The recipe for :func:`sadtalker_ext.training.loop.train`.

    folder: of features, see training/features.py. hold_out: keep the unseen voices out of training; without it the
    last run may use every voice.
    """

    name = "exp_net"
    phases = (
        Phase(
            "reader",
            {"shape": 10.0, "speed": 2.0, "opening": 0.3, "width": 0.15, "closure": 0.2, "phones": 0.1},
        ),
    )

    def __init__(self, folder: Path, config: Config | None = None, *, hold_out: bool = True) -> None:
        self.config = config or Config()
        self.train_set = [
            part for path in sorted(folder.glob("*-round*.npz"))
            if not (hold_out and _is_unseen(path)) for part in _streams(Features.load(path))
        ]  # fmt: skip
        tests = sorted(folder.glob("*-test.npz"))
        self.unseen = [part for path in tests if _is_unseen(path) for part in _streams(Features.load(path))][:24]
        seen = [part for path in tests if not _is_unseen(path) for part in _streams(Features.load(path))]
        self.seen = seen[:: max(1, len(seen) // 40)]
        if not self.train_set or not (self.seen or self.unseen):
            raise WeightsError(f"{folder} holds no features to train on; make them with: sadtalker train corpus")
        lengths = np.array([len(part.log_mel) for part in self.train_set], np.float64)
        self.odds = np.cumsum(lengths / lengths.sum())
        self.context = SpeechToExpression(self.config).context

    def build(self) -> dict[str, nn.Module]:
        """One network: the reader."""
        return {"reader": ReadingNet(self.config)}

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
        last = max(1, len(stream.log_mel) - MEL_PER_FRAME * CROP_FRAMES)
        start = int(random.integers(last))
        before = MEL_PER_FRAME * self.context
        mel = _padded(stream.log_mel, start - before, MEL_PER_FRAME * (CROP_FRAMES + 2 * self.context))
        rows = np.clip(start + MEL_PER_FRAME * np.arange(CROP_FRAMES), 0, len(stream.curves) - 1)
        target = stream.curves[rows].astype(np.float32)
        return _disturb(mel, random).T.copy(), target, stream.symbols[rows].astype(np.int64)

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See the module; every one is a mean over the batch."""
        predicted, logits = networks[phase.network](batch["log_mel"])
        target = batch["target"]
        weights = target.new_tensor(_SHAPE_WEIGHTS)
        speed = predicted.diff(dim=1) - target.diff(dim=1)
        gates = [_CLOSED, _TUCK]
        probability = predicted[..., gates].clamp(1e-5, 1 - 1e-5)
        closure = -3 * target[..., gates] * probability.log() - (1 - target[..., gates]) * (1 - probability).log()
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


def shipped_part(networks: Mapping[str, nn.Module]) -> SpeechToExpression:
    """The network inside the trained reader that engines load."""
    return cast("ReadingNet", networks["reader"]).exp_net


def predict_stream(network: SpeechToExpression, stream: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(T, 7) predicted and target curves of a whole stream at 25 Hz."""
    frames = (len(stream.log_mel) - 1) // MEL_PER_FRAME + 1
    device = next(network.parameters()).device
    before = MEL_PER_FRAME * network.context
    mel = _padded(stream.log_mel, -before, MEL_PER_FRAME * (frames + 2 * network.context))
    with torch.no_grad():
        predicted = network(torch.from_numpy(mel.T.copy())[None].to(device))[0].cpu().numpy()
    return predicted, stream.curves[::MEL_PER_FRAME].astype(np.float32)


def judge(network: SpeechToExpression, streams: Sequence[Features]) -> dict[str, float]:
    """Correlations of opening and width, closures made, and opening without a voice over the speaking mean."""
    opening_r, width_r, closed, silent, voiceless, speaking = [], [], [], [], [], []
    for stream in streams:
        predicted, target = predict_stream(network, stream)
        symbol = stream.symbols[::MEL_PER_FRAME]
        seen, wanted = (mouth_opening(in_basis(curves)) for curves in (predicted, target))
        is_silent = symbol == SYMBOL_INDEX[SILENCE]
        if is_silent.all():
            voiceless.append(seen.mean())
            continue
        opening_r.append(pearson(seen, wanted))
        width_r.append(pearson(mouth_width(in_basis(predicted)), mouth_width(in_basis(target))))
        closed.append(seen[np.isin(symbol, _BILABIAL) & (target[:, _CLOSED] > 0.99)])
        silent.append(seen[is_silent & (wanted < 0.01)])
        speaking.append(seen[~is_silent])
    mean = float(np.concatenate(speaking).mean()) if speaking else float("nan")
    figures: dict[str, Any]
    figures = {"opening_r": np.mean(opening_r), "width_r": np.mean(width_r), "speaking_opening": mean}
    if closed:
        figures["bilabials_closed"] = (np.concatenate(closed) < 0.15 * mean).mean()
        figures["pause_opening"] = np.concatenate(silent).mean() / mean
    if voiceless:
        figures["voiceless_opening"] = np.mean(voiceless) / mean
    return {name: float(value) for name, value in figures.items()}


def in_basis(curves: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(T, 7) articulation in the order of ARTICULATED -> (T, 8) in the order of MOUTH_SHAPES; smile stays 0."""
    mouth = np.zeros((len(curves), len(MOUTH_SHAPES)), np.float32)
    mouth[:, [MOUTH_SHAPES.index(name) for name in ARTICULATED]] = curves
    return mouth


def _opening(curves: Tensor) -> Tensor:
    """(B, T, 7) -> (B, T), the part of metrics.sync.mouth_opening that has gradients everywhere."""
    return curves[..., _JAW] * (1 - curves[..., _CLOSED]) * (1 - 0.5 * curves[..., _TUCK])


def _width(curves: Tensor) -> Tensor:
    return 0.24 * curves[..., _SPREAD] - 0.36 * curves[..., _PUCKER]


def _disagreement(a: Tensor, b: Tensor) -> Tensor:
    """Mean of 1 - Pearson's r over the batch; sequences whose target is flat do not count."""
    a, b = (x - x.mean(1, keepdim=True) for x in (a, b))
    spread = b.square().mean(1)
    r = (a * b).mean(1) / ((a.square().mean(1) + 1e-5) * (spread + 1e-5)).sqrt()
    alive = (spread > 1e-4).to(a.dtype)
    return ((1 - r) * alive).sum() / alive.sum().clamp(min=1)


def _is_unseen(path: Path) -> bool:
    return path.stem.rsplit("-", 2)[0] in UNSEEN_VOICES


def _streams(features: Features) -> list[Features]:
    starts = [0, *features.ends[:-1].tolist()]
    cuts = [slice(a, int(b)) for a, b in zip(starts, features.ends, strict=True)]
    return [
        Features(features.log_mel[cut], features.curves[cut], features.symbols[cut], np.array([cut.stop - cut.start]))
        for cut in cuts
    ]


def _padded(log_mel: NDArray[np.float16], start: int, count: int) -> NDArray[np.float32]:
    """(count, 80) from row ``start``, which may be negative; silence where there is nothing."""
    piece = np.full((count, log_mel.shape[1]), SILENCE_LOG_POWER, np.float32)
    low, high = max(0, start), min(len(log_mel), start + count)
    piece[low - start : high - start] = log_mel[low:high]
    return piece


def _disturb(mel: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """(M, 80): bands shifted as by a longer or shorter throat, steady noise, lost bands, a little jitter."""
    bands = mel.shape[1]
    if random.random() < 0.6:
        at = np.clip(np.arange(bands) * np.exp(random.normal(0, 0.06)) + random.normal(0, 0.7), 0, bands - 1.001)
        low = at.astype(np.int64)
        share = (at - low).astype(np.float32)
        mel = mel[:, low] * (1 - share) + mel[:, low + 1] * share
    if random.random() < 0.3:
        loud = np.log(np.exp(mel).mean())
        shape = np.interp(np.arange(bands), np.linspace(0, bands - 1, 5), random.normal(0, 1.5, 5))
        mel = np.logaddexp(mel, loud - random.uniform(2, 9) + shape)
    if random.random() < 0.4:
        width = int(random.integers(2, 14))
        first = int(random.integers(bands - width))
        mel = mel.copy()
        mel[:, first : first + width] = SILENCE_LOG_POWER
    return (mel + random.normal(0, random.uniform(0, 0.25), mel.shape)).astype(np.float32)
