"""From phones with times to the curves of the lips and the jaw, with coarticulation.

Jaw, rounding, spreading and lip parting follow the dominance functions of Cohen & Massaro, "Modeling coarticulation in
synthetic visual speech" (1993): every phone pulls towards its target with a strength that falls off before and after
it, and the curve is the weighted mean. A shape a phone does not care about has a small weight, so a rounded vowel
shows up to 200 ms early in the consonants before it (look-ahead). Closures (p b m) and tucks (f v) do not compromise:
they are gates that are complete at the phone, as constriction gestures are in Browman & Goldstein, "Articulatory
phonology" (1992).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.training.corpus.phonemes import ARTICULATED, BILABIALS, GESTURES, SILENCE, SYMBOLS, VOWELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH_S: Final = 0.5
_SILENCE_EDGE_S: Final = 0.17
"""The mouth opens this long before speech and takes this long to come to rest after it."""
_READY_JAW: Final = 0.16
_READY_S, _RESTING_S = 0.20, 0.42
"""In pauses up to the first length the lips stay parted, ready to go on; from the second the mouth comes to rest.

The posture between utterances is not that of rest: Gick, Wilson, Koch and Cook, "Language-specific articulatory
settings: Evidence from inter-utterance rest position" (Phonetica 61, 2004).
"""
_EXPONENT: Final = 1.5
_SLUGGISH_S: Final = 0.022
_CORE: Final = 0.35
"""Share of a phone's duration around its centre over which it pulls with full strength."""


class _Pull(NamedTuple):
    """Time constants in seconds of a dominance function, before and after the phone."""

    before_s: float
    after_s: float


_PULLS: Final = {
    "jaw_open": _Pull(0.060, 0.060),
    "pucker": _Pull(0.110, 0.080),
    "spread": _Pull(0.080, 0.080),
    "upper_lip_raise": _Pull(0.060, 0.060),
    "lower_lip_drop": _Pull(0.060, 0.060),
}
_CLOSING_S: Final = 0.060
_OPENING_S: Final = 0.055
_SHORTEST_HOLD_S: Final = 0.050

_TARGETS: Final = {
    "jaw_open": np.array([GESTURES[s].jaw for s in SYMBOLS]),
    "pucker": np.array([GESTURES[s].pucker for s in SYMBOLS]),
    "spread": np.array([GESTURES[s].spread for s in SYMBOLS]),
    "upper_lip_raise": np.array([GESTURES[s].upper for s in SYMBOLS]),
    "lower_lip_drop": np.array([GESTURES[s].lower for s in SYMBOLS]),
}
_ROUNDING: Final = np.array([GESTURES[s].round_weight for s in SYMBOLS])
_LIPS: Final = np.array([GESTURES[s].lip_weight for s in SYMBOLS])
_WEIGHTS: Final = {
    "jaw_open": np.array([GESTURES[s].jaw_weight for s in SYMBOLS]),
    "pucker": _ROUNDING,
    "spread": _ROUNDING,
    "upper_lip_raise": _LIPS,
    "lower_lip_drop": _LIPS,
}
_CLOSED: Final = np.array([GESTURES[s].closed for s in SYMBOLS])
_TUCK: Final = np.array([GESTURES[s].tuck for s in SYMBOLS])
_IS_VOWEL: Final = np.array([s in VOWELS for s in SYMBOLS])
_IS_SILENCE: Final = np.array([s == SILENCE for s in SYMBOLS])
_IS_STOP: Final = np.array([s in BILABIALS and s != "m" for s in SYMBOLS])


class Phones(NamedTuple):
    """start_s, end_s, level_db (P,): time and loudness relative to the speaker's loud phones; symbol (P,) indices."""

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    level_db: NDArray[np.float64]
    symbol: NDArray[np.int64]


def curves(phones: Phones, count: int, rate_hz: float) -> NDArray[np.float32]:
    """(count, 7) in 0..1, columns :data:`phonemes.ARTICULATED`, row k at k / rate_hz seconds."""
    times = np.arange(count) / rate_hz
    effort = _effort(phones)
    parts = {name: _sluggish(_dominance(phones, name, times, effort), rate_hz) for name in _PULLS}
    parts["lips_closed"] = _gate(phones, _CLOSED, times, rate_hz)
    parts["lip_tuck"] = _gate(phones, _TUCK, times, rate_hz)
    return np.stack([parts[name] for name in ARTICULATED], 1).astype(np.float32)


def _effort(phones: Phones) -> NDArray[np.float64]:
    """Factor on a vowel's targets, 0.45..1.15: louder and longer vowels are articulated further (Lindblom 1963)."""
    loud = np.clip(1.05 + 0.035 * phones.level_db, 0.6, 1.15)
    long = np.clip(0.6 + 0.45 * (phones.end_s - phones.start_s) / 0.10, 0.7, 1.1)
    return np.where(_IS_VOWEL[phones.symbol], loud * long, 1.0)


def _cores(phones: Phones) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Where each phone pulls fully (from, to), and how much of its weight it has (short pauses have less)."""
    length = phones.end_s - phones.start_s
    centre = (phones.start_s + phones.end_s) / 2
    silent = _IS_SILENCE[phones.symbol]
    half = np.where(silent, np.maximum(length / 2 - _SILENCE_EDGE_S, 0.0), length * _CORE / 2)
    share = np.where(silent, np.clip(length / (2 * _SILENCE_EDGE_S), 0.05, 1.0), 1.0)
    return centre - half, centre + half, share


def _ready_jaw(pause_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the jaw stays open in pauses of these lengths."""
    share: NDArray[np.float64] = np.clip((_RESTING_S - pause_s) / (_RESTING_S - _READY_S), 0.0, 1.0)
    return _READY_JAW * share


def _dominance(
    phones: Phones, name: str, times: NDArray[np.float64], effort: NDArray[np.float64]
) -> NDArray[np.float64]:
    target = _TARGETS[name][phones.symbol] * (effort if name != "pucker" else 1.0)
    if name == "jaw_open":
        target = np.where(_IS_SILENCE[phones.symbol], _ready_jaw(phones.end_s - phones.start_s), target)
    begins, ends, share = _cores(phones)
    weight = _WEIGHTS[name][phones.symbol] * share
    pull = _PULLS[name]
    total, pulled = np.full(len(times), 1e-9), np.zeros(len(times))
    first = np.searchsorted(times, begins - _REACH_S)
    last = np.searchsorted(times, ends + _REACH_S)
    for index in range(len(target)):
        here = slice(first[index], last[index])
        distance_s = np.maximum(begins[index] - times[here], 0) / pull.before_s
        distance_s = np.maximum(distance_s, (times[here] - ends[index]) / pull.after_s)
        strength = weight[index] * np.exp(-(distance_s**_EXPONENT))
        total[here] += strength
        pulled[here] += strength * target[index]
    curve: NDArray[np.float64] = pulled / total
    return curve


def _sluggish(curve: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    """The curve as tissue follows it: without what moves faster than about 6 Hz."""
    reach = math.ceil(3 * _SLUGGISH_S * rate_hz)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (_SLUGGISH_S * rate_hz)) ** 2)
    return np.convolve(np.pad(curve, reach, mode="edge"), kernel / kernel.sum(), "valid")


def _gate(
    phones: Phones, amounts: NDArray[np.float64], times: NDArray[np.float64], rate_hz: float
) -> NDArray[np.float64]:
    """Complete at each phone with an amount, reached and left along smooth steps; stops let go at their burst."""
    curve = np.zeros(len(times))
    for index in np.flatnonzero(amounts[phones.symbol] > 0):
        symbol = phones.symbol[index]
        start_s, end_s = phones.start_s[index], phones.end_s[index]
        hold_s = max(_SHORTEST_HOLD_S, (end_s - start_s) * (0.75 if _IS_STOP[symbol] else 0.9))
        middle_s = start_s + (end_s - start_s) * (0.42 if _IS_STOP[symbol] else 0.5)
        begin_s, stop_s = middle_s - hold_s / 2, middle_s + hold_s / 2
        low = max(0, int((begin_s - _CLOSING_S) * rate_hz))
        here = slice(low, max(low, int((stop_s + _OPENING_S) * rate_hz) + 2))
        rise = np.clip(1 - (begin_s - times[here]) / _CLOSING_S, 0, 1)
        fall = np.clip(1 - (times[here] - stop_s) / _OPENING_S, 0, 1)
        step = np.minimum(rise, fall)
        curve[here] = np.maximum(curve[here], amounts[symbol] * step * step * (3 - 2 * step))
    return curve
