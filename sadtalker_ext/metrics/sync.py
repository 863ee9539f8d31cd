"""Lips against a measured speaker: how far the mouth opens and how wide it is, and when.

``mouth_opening`` and ``mouth_width`` say in one place what a viewer sees of the coefficients; the factors are those of
the puppet's renderer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.puppet.expression_fields import JAW_DROP, LIP_DROP, LIP_RAISE, TUCK_CLOSES, TUCK_LIFT, TUCK_RAISE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Curve = NDArray[np.float64]

LARGEST_LAG_S: Final = 0.16
"""Sound and picture are compared at shifts up to this; people notice asynchrony from about 0.08 s (ITU-R BT.1359)."""
_SPREAD_WIDENS: Final = 0.24
_PUCKER_NARROWS: Final = 0.36
_STEPS_PER_S: Final = 100
_CLOSED_BELOW: Final = 0.25

_COLUMN: Final = {name: index for index, name in enumerate(MOUTH_SHAPES)}


def mouth_opening(mouth: NDArray[np.floating[Any]]) -> Curve:
    """(T, 8 or more) coefficients in the basis' order -> (T,) opening between the lips; 1 is jaw_open = 1."""
    part = {name: np.asarray(mouth[:, index], np.float64) for name, index in _COLUMN.items()}
    lips = LIP_DROP * part["lower_lip_drop"] + LIP_RAISE * part["upper_lip_raise"]
    lips += (TUCK_RAISE - TUCK_LIFT) * part["lip_tuck"]
    opened = part["jaw_open"] + lips / JAW_DROP
    opening: Curve = np.maximum(opened, 0.0) * (1.0 - part["lips_closed"]) * (1.0 - TUCK_CLOSES * part["lip_tuck"])
    return opening


def mouth_width(mouth: NDArray[np.floating[Any]]) -> Curve:
    """(T, 8 or more) coefficients in the basis' order -> (T,) mouth width; 1 is the width at rest."""
    spread, pucker = (np.asarray(mouth[:, _COLUMN[name]], np.float64) for name in ("spread", "pucker"))
    return 1.0 + _SPREAD_WIDENS * spread - _PUCKER_NARROWS * pucker


def best_lag(predicted: Curve, predicted_hz: float, measured: Curve, measured_hz: float) -> tuple[float, float]:
    """(r, lag in s): the highest Pearson r over shifts within +-:data:`LARGEST_LAG_S`; nan r for a flat curve.

    Both curves start at the same moment. The lag is how much later the prediction moves.
    """
    times = np.arange(len(measured)) / measured_hz
    known = np.arange(len(predicted)) / predicted_hz
    steps = round(LARGEST_LAG_S * _STEPS_PER_S)
    found = (float("nan"), 0.0)
    for step in sorted(range(-steps, steps + 1), key=abs):
        lag_s = step / _STEPS_PER_S
        inside = (times + lag_s >= 0) & (times + lag_s <= known[-1])
        r = pearson(np.interp(times[inside] + lag_s, known, predicted), measured[inside])
        if not r <= found[0] and not np.isnan(r):
            found = (r, lag_s)
    return found


def pearson(a: Curve, b: Curve) -> float:
    """Pearson's r of two curves of equal length; nan where one is flat or shorter than two."""
    if len(a) < 2 or np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def closure_accuracy(
    predicted: Curve, predicted_hz: float, measured: Curve, measured_hz: float, lag_s: float
) -> float:
    """Share of the speaker's closures (below a quarter of the usual opening) that the prediction also has, +-60 ms."""
    known = np.arange(len(predicted)) / predicted_hz
    closed = measured < _CLOSED_BELOW * np.percentile(measured, 80)
    moments = np.flatnonzero(closed) / measured_hz + lag_s
    moments = moments[(moments >= 0) & (moments <= known[-1])]
    if len(moments) == 0:
        return float("nan")
    around = moments[:, None] + np.linspace(-0.06, 0.06, 7)
    lowest = np.interp(around, known, predicted).min(1)
    return float((lowest < _CLOSED_BELOW * np.percentile(predicted, 80)).mean())
