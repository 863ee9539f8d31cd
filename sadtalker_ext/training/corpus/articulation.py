"""Lip and jaw curves of a sequence of timed phones, with coarticulation.

Jaw opening, rounding, spreading and lip parting follow the dominance functions of Cohen & Massaro, "Modeling
coarticulation in synthetic visual speech" (1993): the influence of a phone on a shape decays before and after the
phone, and the curve is the weighted mean of all targets. A phone has a small weight for a shape that is not essential
to it, so the lips already round up to 200 ms before a rounded vowel, during the preceding consonants. Lip closures
(p b m) and tucks of the lower lip (f v) are not averaged: they are gates that reach their full value at the phone, like
the constriction gestures in Browman & Goldstein, "Articulatory phonology" (1992).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.training.corpus.phonemes import ARTICULATED, BILABIALS, GESTURES, SILENCE, SYMBOLS, VOWELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array

_REACH_S: Final = 0.5
"""The influence of a phone is ignored beyond this distance, where at most 1e-4 of it is left."""
_SILENCE_EDGE_S: Final = 0.17
"""The mouth starts to open this long before speech and takes this long to come to rest after it."""
_MIN_PAUSE_SHARE: Final = 0.05
"""The shortest pause keeps this share of the weight of silence."""
_PAUSE_JAW: Final = 0.16
_SHORT_PAUSE_S, _LONG_PAUSE_S = 0.20, 0.42
"""In pauses up to the first length the jaw stays open by ``_PAUSE_JAW``; from the second the mouth closes.

The posture between utterances differs from the rest position: Gick, Wilson, Koch and Cook, "Language-specific
articulatory settings: Evidence from inter-utterance rest position" (Phonetica 61, 2004).
"""
_EXPONENT: Final = 1.5
"""Exponent of the distance in the dominance function ``exp(-distance ** 1.5)``."""
_SMOOTHING_S: Final = 0.022
"""Standard deviation of the Gaussian low-pass, about 6 Hz: lips and jaw move no faster."""
_CORE: Final = 0.35
"""Share of the duration of a phone, around its centre, over which it has its full weight."""

_EFFORT_AT_0_DB: Final = 1.05
_EFFORT_PER_DB: Final = 0.035
_LOUDNESS_EFFORT: Final = (0.6, 1.15)
"""Factor of loudness on the targets of a vowel: at the level of the loud phones, change per dB, range."""
_EFFORT_AT_0_S: Final = 0.6
_EFFORT_PER_100_MS: Final = 0.45
_DURATION_EFFORT: Final = (0.7, 1.1)
"""Factor of duration on the targets of a vowel: at zero length, change per 100 ms, range."""


class _DecayTimes(NamedTuple):
    """Time constants of a dominance function before and after the phone, seconds."""

    before_s: float
    after_s: float


_DECAY_TIMES: Final = {
    "jaw_open": _DecayTimes(0.060, 0.060),
    "pucker": _DecayTimes(0.110, 0.080),
    "spread": _DecayTimes(0.080, 0.080),
    "upper_lip_raise": _DecayTimes(0.060, 0.060),
    "lower_lip_drop": _DecayTimes(0.060, 0.060),
}
_CLOSING_S: Final = 0.060
_OPENING_S: Final = 0.055
"""Durations of the transitions into and out of a closure or a tuck."""
_MIN_HOLD_S: Final = 0.050
_STOP_HOLD, _HOLD = 0.75, 0.9
_STOP_CENTRE, _CENTRE = 0.42, 0.5
"""Hold of a closure and its centre, as shares of the phone's duration. Stops (p b) open earlier, at their burst."""

_TARGETS: Final = {
    "jaw_open": np.array([GESTURES[s].jaw for s in SYMBOLS]),
    "pucker": np.array([GESTURES[s].pucker for s in SYMBOLS]),
    "spread": np.array([GESTURES[s].spread for s in SYMBOLS]),
    "upper_lip_raise": np.array([GESTURES[s].upper for s in SYMBOLS]),
    "lower_lip_drop": np.array([GESTURES[s].lower for s in SYMBOLS]),
}
_ROUNDING_WEIGHTS: Final = np.array([GESTURES[s].round_weight for s in SYMBOLS])
_LIP_WEIGHTS: Final = np.array([GESTURES[s].lip_weight for s in SYMBOLS])
_WEIGHTS: Final = {
    "jaw_open": np.array([GESTURES[s].jaw_weight for s in SYMBOLS]),
    "pucker": _ROUNDING_WEIGHTS,
    "spread": _ROUNDING_WEIGHTS,
    "upper_lip_raise": _LIP_WEIGHTS,
    "lower_lip_drop": _LIP_WEIGHTS,
}
_CLOSED: Final = np.array([GESTURES[s].closed for s in SYMBOLS])
_TUCK: Final = np.array([GESTURES[s].tuck for s in SYMBOLS])
_IS_VOWEL: Final = np.array([s in VOWELS for s in SYMBOLS])
_IS_SILENCE: Final = np.array([s == SILENCE for s in SYMBOLS])
_IS_STOP: Final = np.array([s in BILABIALS and s != "m" for s in SYMBOLS])


class Phones(NamedTuple):
    """A sequence of P phones.

    start_s, end_s: (P,) seconds. level_db: (P,) loudness relative to the loud phones of the speaker.
    symbol: (P,) indices into :data:`phonemes.SYMBOLS`.
    """

    start_s: Float64Array
    end_s: Float64Array
    level_db: Float64Array
    symbol: NDArray[np.int64]


def articulation_curves(phones: Phones, count: int, rate_hz: float) -> Float32Array:
    """Return curves (count, 7) in [0, 1]; row k is at ``k / rate_hz`` seconds, columns as in ``ARTICULATED``."""
    times_s = np.arange(count) / rate_hz
    effort = _vowel_effort(phones)
    parts = {name: _smooth(_blend_targets(phones, name, times_s, effort), rate_hz) for name in _DECAY_TIMES}
    parts["lips_closed"] = _gate_curve(phones, _CLOSED, times_s, rate_hz)
    parts["lip_tuck"] = _gate_curve(phones, _TUCK, times_s, rate_hz)
    return np.stack([parts[name] for name in ARTICULATED], 1).astype(np.float32)


def _vowel_effort(phones: Phones) -> Float64Array:
    """Return factors (P,) on the targets of vowels, 0.42 to 1.27; 1 for other phones.

    Louder and longer vowels come closer to their targets (Lindblom 1963).
    """
    loudness = np.clip(_EFFORT_AT_0_DB + _EFFORT_PER_DB * phones.level_db, *_LOUDNESS_EFFORT)
    duration_s = phones.end_s - phones.start_s
    duration = np.clip(_EFFORT_AT_0_S + _EFFORT_PER_100_MS * duration_s / 0.10, *_DURATION_EFFORT)
    return np.where(_IS_VOWEL[phones.symbol], loudness * duration, 1.0)


def _full_weight_spans(phones: Phones) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return the start and end (P,) in seconds between which a phone has its full weight, and a factor on the weight.

    The factor is below 1 for short pauses.
    """
    duration_s = phones.end_s - phones.start_s
    centre_s = (phones.start_s + phones.end_s) / 2
    silent = _IS_SILENCE[phones.symbol]
    half_s = np.where(silent, np.maximum(duration_s / 2 - _SILENCE_EDGE_S, 0.0), duration_s * _CORE / 2)
    pause_share = np.clip(duration_s / (2 * _SILENCE_EDGE_S), _MIN_PAUSE_SHARE, 1.0)
    return centre_s - half_s, centre_s + half_s, np.where(silent, pause_share, 1.0)


def _pause_jaw_targets(pause_s: Float64Array) -> Float64Array:
    """Return the jaw opening in pauses of these lengths."""
    share: Float64Array = np.clip((_LONG_PAUSE_S - pause_s) / (_LONG_PAUSE_S - _SHORT_PAUSE_S), 0.0, 1.0)
    return _PAUSE_JAW * share


def _blend_targets(phones: Phones, name: str, times_s: Float64Array, effort: Float64Array) -> Float64Array:
    """Return the mean (count,) of the targets for the shape ``name``, weighted by their dominance functions."""
    target = _TARGETS[name][phones.symbol] * (effort if name != "pucker" else 1.0)
    if name == "jaw_open":
        target = np.where(_IS_SILENCE[phones.symbol], _pause_jaw_targets(phones.end_s - phones.start_s), target)
    begin_s, end_s, share = _full_weight_spans(phones)
    weight = _WEIGHTS[name][phones.symbol] * share
    decay = _DECAY_TIMES[name]
    total, weighted = np.full(len(times_s), 1e-9), np.zeros(len(times_s))
    first = np.searchsorted(times_s, begin_s - _REACH_S)
    last = np.searchsorted(times_s, end_s + _REACH_S)
    for index in range(len(target)):
        near = slice(first[index], last[index])
        distance = np.maximum(begin_s[index] - times_s[near], 0) / decay.before_s
        distance = np.maximum(distance, (times_s[near] - end_s[index]) / decay.after_s)
        dominance = weight[index] * np.exp(-(distance**_EXPONENT))
        total[near] += dominance
        weighted[near] += dominance * target[index]
    curve: Float64Array = weighted / total
    return curve


def _smooth(curve: Float64Array, rate_hz: float) -> Float64Array:
    """Return the curve without movement faster than about 6 Hz."""
    reach = math.ceil(3 * _SMOOTHING_S * rate_hz)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (_SMOOTHING_S * rate_hz)) ** 2)
    return np.convolve(np.pad(curve, reach, mode="edge"), kernel / kernel.sum(), "valid")


def _gate_curve(phones: Phones, amounts: Float64Array, times_s: Float64Array, rate_hz: float) -> Float64Array:
    """Return a curve (count,) that reaches ``amounts[symbol]`` at each phone that has one, with smooth transitions."""
    curve = np.zeros(len(times_s))
    for index in np.flatnonzero(amounts[phones.symbol] > 0):
        symbol = phones.symbol[index]
        is_stop = _IS_STOP[symbol]
        start_s, duration_s = phones.start_s[index], phones.end_s[index] - phones.start_s[index]
        hold_s = max(_MIN_HOLD_S, duration_s * (_STOP_HOLD if is_stop else _HOLD))
        centre_s = start_s + duration_s * (_STOP_CENTRE if is_stop else _CENTRE)
        closed_s, opens_s = centre_s - hold_s / 2, centre_s + hold_s / 2
        low = max(0, int((closed_s - _CLOSING_S) * rate_hz))
        near = slice(low, max(low, int((opens_s + _OPENING_S) * rate_hz) + 2))
        closing = 1 - (closed_s - times_s[near]) / _CLOSING_S
        opening = 1 - (times_s[near] - opens_s) / _OPENING_S
        gate = amounts[symbol] * smoothstep(np.minimum(closing, opening))
        curve[near] = np.maximum(curve[near], gate)
    return curve
