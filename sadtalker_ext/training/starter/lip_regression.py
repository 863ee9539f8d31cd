"""Ridge regression from windows of encoder features to standardised lips, with recordings aligned in time.

Sound and picture of videos from the internet are often apart by up to 0.12 s. Each recording is therefore moved by the
lag at which the prediction of the other speakers' recordings fits it best; the median of all lags remains zero, so
that the timing of real lips is kept. Recordings whose lips are predicted badly, because they are turned away, hardly
move or were tracked badly, count less, and so do the recordings of a speaker who has many of them. Half of the slow
drift of the lips is removed before the fit: it comes from the pose, from smiles and from the tracker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.metrics.sync import best_lag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sadtalker_ext.arrays import Float64Array

DIRECTIONS: Final = 96
"""Principal components that are kept of the output of each layer."""
SLOW_DIRECTIONS: Final = 48
SLOW_SCALE: Final = 2.0
"""Principal components of each layer whose slow average is read, and its scale: larger ones are shrunk less."""
RIDGE: Final = 250.0
"""Weight of the squared coefficients, for features of unit mean square per layer."""
MAX_SHIFT_S: Final = 0.12
ALIGNMENTS: Final = 4
"""Rounds of fitting and moving the recordings; later ones hardly move any."""
FOLDS: Final = 5
SIGNAL_TO_NOISE: Final = (0.2, 2.5)
"""Limits of the ratio of predicted to other variance, with whose square root a recording counts."""
DRIFT_S: Final = 3.0
DRIFT_SHARE: Final = 0.5
"""Half width of the running mean that counts as the drift of the lips, and the share of it that is removed."""


class Score(NamedTuple):
    """Pearson r of predicted and measured opening and width at the best lag, the recordings being aligned.

    lag_s: lag of the opening in the recording as it is, in seconds; positive if the prediction is late.
    """

    opening: float
    width: float
    lag_s: float


class NormalEquations(NamedTuple):
    """Sums of the weighted products of the rows with each other (2, D, D) and with the targets (2, D), per target."""

    matrix: Float64Array
    right: Float64Array

    def solve(self) -> Float64Array:
        """Return the weights (D, 2) of the ridge regression."""
        ridge = RIDGE * np.eye(self.matrix.shape[1])
        columns = [np.linalg.solve(*pair) for pair in zip(self.matrix + ridge, self.right, strict=True)]
        return np.stack(columns, axis=1)


@dataclass
class Example:
    """A recording for the regression.

    rows: (T, D) windows of features. lips: (T, 2) measured. shift_s: the lips are read this much later. weights: of
    each frame in the regressions of opening and width. inputs: (T, E) of LipCorrection, the rows without windows.
    """

    speaker: str
    rows: Float64Array
    lips: Float64Array
    shift_s: float = 0.0
    weights: tuple[float, float] = (1.0, 1.0)
    inputs: Float64Array = field(default_factory=lambda: np.zeros((0, 0)))

    def targets(self) -> Float64Array:
        """Return the lips (T, 2) as they are fitted; nan where they were not measured."""
        return standardize(without_drift(shifted(self.lips, self.shift_s)))

    def normal_equations(self) -> NormalEquations:
        """Return this recording's part of the normal equations."""
        targets = self.targets()
        valid = np.isfinite(targets).all(axis=1)
        rows, weights = self.rows[valid], np.array(self.weights)
        return NormalEquations(weights[:, None, None] * (rows.T @ rows), weights[:, None] * (targets[valid].T @ rows))

    def score(self, weights: Float64Array) -> Score:
        """Compare the prediction of ``weights`` (D, 2) with the lips."""
        return self.compare(self.rows @ weights)

    def compare(self, predicted: Float64Array) -> Score:
        """Compare ``predicted`` (T, 2) with the lips."""
        aligned = shifted(self.lips, self.shift_s)
        opening, width = (_agreement(predicted[:, column], aligned[:, column])[0] for column in (0, 1))
        return Score(opening, width, _agreement(predicted[:, 0], self.lips[:, 0])[1])


def _agreement(predicted: Float64Array, measured: Float64Array) -> tuple[float, float]:
    """Return the highest r over lags and its lag in seconds; missing values of ``measured`` are interpolated."""
    frames = np.arange(len(measured))
    valid = np.isfinite(measured)
    return best_lag(predicted, FRAME_RATE_HZ, np.interp(frames, frames[valid], measured[valid]), FRAME_RATE_HZ)


def windows(features: Float64Array, reach: int) -> Float64Array:
    """Return the features (T, D) of each frame and of ``reach`` frames before and after it: (T, (2 reach + 1) D)."""
    padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
    return np.concatenate([padded[tap : tap + len(features)] for tap in range(2 * reach + 1)], axis=1)


def principal_directions(features: Sequence[Float64Array]) -> Float64Array:
    """Return the directions (D, K) of largest variance, scaled so that the projections have a mean square of one."""
    joined = np.concatenate(features)
    covariance = joined.T @ joined / len(joined)
    _, vectors = np.linalg.eigh(covariance)
    directions: Float64Array = vectors[:, ::-1][:, :DIRECTIONS] / np.sqrt(np.trace(covariance))
    return directions


def without_drift(lips: Float64Array) -> Float64Array:
    """Return the lips (T, 2) without :data:`DRIFT_SHARE` of their mean over :data:`DRIFT_S` to both sides; nan stays.

    In recordings that are shorter than both sides the mean is taken over a half of them.
    """
    frames = np.arange(len(lips))
    half = max(min(round(DRIFT_S * FRAME_RATE_HZ), (len(lips) - 1) // 2 - 1), 1)
    first, after = np.maximum(frames - half, 0), np.minimum(frames + half + 1, len(lips))
    valid = np.isfinite(lips)
    sums = [np.concatenate([np.zeros((1, 2)), np.cumsum(part, axis=0)]) for part in (np.where(valid, lips, 0.0), valid)]
    total, count = (part[after] - part[first] for part in sums)
    kept: Float64Array = lips - DRIFT_SHARE * total / np.maximum(count, 1.0)
    return kept


def standardize(lips: Float64Array) -> Float64Array:
    """Return the lips (T, 2) minus their mean over time, divided by their standard deviation; nan stays."""
    spread: Float64Array = np.nanstd(lips, axis=0)
    standardized: Float64Array = (lips - np.nanmean(lips, axis=0)) / np.maximum(spread, 1e-9)
    return standardized


def shifted(lips: Float64Array, shift_s: float) -> Float64Array:
    """Return the lips (T, 2) read ``shift_s`` later; nan beyond the ends."""
    frames = np.arange(len(lips))
    at = frames + shift_s * FRAME_RATE_HZ
    columns = [np.interp(at, frames, column, left=np.nan, right=np.nan) for column in lips.T]
    return np.stack(columns, axis=1)


def sum_equations(examples: Iterable[Example]) -> NormalEquations:
    """Return the normal equations of all examples; at least one."""
    parts = (example.normal_equations() for example in examples)
    return reduce(lambda total, part: NormalEquations(*map(np.add, total, part)), parts)


def speaker_folds(examples: Mapping[str, Example], seed: int = 0) -> list[list[str]]:
    """Return the names of the examples in :data:`FOLDS` random folds; those of a speaker are in one fold."""
    speakers = sorted({example.speaker for example in examples.values()})
    order = np.random.default_rng(seed).permutation(len(speakers))
    fold_of = {speakers[index]: place % FOLDS for place, index in enumerate(order)}
    return [
        [name for name, example in examples.items() if fold_of[example.speaker] == fold]
        for fold in sorted(set(fold_of.values()))
    ]


def cross_validate(examples: Mapping[str, Example], seed: int = 0) -> dict[str, Score]:
    """Return the score of each example under weights fitted without its speaker, in folds of speakers."""
    folds = speaker_folds(examples, seed)
    parts = [sum_equations(examples[name] for name in fold) for fold in folds]
    scores: dict[str, Score] = {}
    for number, fold in enumerate(folds):
        others = parts[:number] + parts[number + 1 :]
        weights = NormalEquations(*(reduce(np.add, sums) for sums in zip(*others, strict=True))).solve()
        scores |= {name: examples[name].score(weights) for name in fold}
    return scores


def align(examples: Mapping[str, Example]) -> None:
    """Move each example to the lag that fits the prediction of the other speakers; the median shift is zero."""
    for number in range(ALIGNMENTS):
        lags = {name: -score.lag_s for name, score in cross_validate(examples, seed=number).items()}
        middle = float(np.median(list(lags.values())))
        for name, example in examples.items():
            example.shift_s = float(np.clip(lags[name] - middle, -MAX_SHIFT_S, MAX_SHIFT_S))


def weigh(examples: Mapping[str, Example]) -> None:
    """Set the weights of the examples from how well their lips are predicted and how long their speakers speak.

    Both factors are square roots: of the ratio of predicted to other variance, measured without the speaker, and of one
    over the speaker's frames. The mean weight of a frame is one.
    """
    scores = cross_validate(examples)
    frames: dict[str, int] = {}
    for example in examples.values():
        frames[example.speaker] = frames.get(example.speaker, 0) + len(example.lips)
    table = {}
    for name, example in examples.items():
        explained = np.maximum(np.nan_to_num(scores[name][:2]), 0.0) ** 2
        ratio = np.clip(explained / np.maximum(1.0 - explained, 1e-6), *SIGNAL_TO_NOISE)
        table[name] = np.sqrt(ratio / frames[example.speaker])
    total = np.sum([table[name] * len(example.lips) for name, example in examples.items()], axis=0)
    for name, example in examples.items():
        opening, width = table[name] * sum(frames.values()) / total
        example.weights = (float(opening), float(width))
