"""Lip sync metrics: mouth opening and width of a prediction compared with those of a measured speaker.

``mouth_opening`` and ``mouth_width`` give the visible mouth shape of expression coefficients, ``with_opening`` and
``with_width`` the coefficients for a shape; their factors are those of the puppet renderer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.puppet.expression_fields import (
    JAW_DROP,
    JAW_NARROWS,
    LIP_DROP,
    LIP_RAISE,
    TUCK_CLOSES,
    TUCK_LIFT,
    TUCK_RAISE,
    WIDE_NARROWS,
    jaw_is_wide,
)
from sadtalker_ext.puppet.mouth_fields import CORNER_FOLLOWS, PUCKER_NARROWS, SPREAD_WIDENS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array

MAX_LAG_S: Final = 0.16
"""Largest lag that is searched; viewers notice asynchrony from about 0.08 s (ITU-R BT.1359)."""
_LAG_STEPS_PER_S: Final = 100
_CLOSED_SHARE: Final = 0.25
"""The mouth counts as closed below this share of its usual opening, the 80th percentile."""
_USUAL_PERCENTILE: Final = 80
_CLOSURE_WINDOW_S: Final = 0.06
"""A closure of the prediction may differ by this much in time."""
_MIN_RANGE: Final = 1e-9
"""Curves with a smaller range count as constant."""

_COLUMN: Final = {name: index for index, name in enumerate(MOUTH_SHAPES)}


def mouth_opening(mouth: NDArray[np.floating[Any]]) -> Float64Array:
    """Return the opening between the lips (T,) of coefficients (T, 8 or more); 1 is ``jaw_open`` = 1.

    The first columns of ``mouth`` are ``MOUTH_SHAPES``.
    """
    part = {name: np.asarray(mouth[:, index], np.float64) for name, index in _COLUMN.items()}
    lips = LIP_DROP * part["lower_lip_drop"] + LIP_RAISE * part["upper_lip_raise"]
    lips += (TUCK_RAISE - TUCK_LIFT) * part["lip_tuck"]
    opened = part["jaw_open"] + lips / JAW_DROP
    opened = np.maximum(opened, 0.0) * (1.0 - part["lips_closed"])
    opening: Float64Array = opened * (1.0 - TUCK_CLOSES * part["lip_tuck"])
    return opening


def with_opening(mouth: NDArray[np.floating[Any]], opening: NDArray[np.floating[Any]]) -> Float32Array:
    """Return the coefficients (T, 8) with the jaw that opens the lips by ``opening`` (T,) where they are not closed.

    Raised and lowered lips are reduced where they alone would open the lips farther. opening: as in
    :func:`mouth_opening`, without ``lips_closed``.
    """
    changed = np.array(mouth, np.float32)
    jaw, drop, lift, tuck = (
        changed[:, _COLUMN[name]] for name in ("jaw_open", "lower_lip_drop", "upper_lip_raise", "lip_tuck")
    )
    needed = np.maximum(opening / (1.0 - TUCK_CLOSES * tuck) - (TUCK_RAISE - TUCK_LIFT) / JAW_DROP * tuck, 0.0)
    by_lips = (LIP_DROP * drop + LIP_RAISE * lift) / JAW_DROP
    kept = np.clip(needed / np.maximum(by_lips, 1e-6), 0.0, 1.0)
    drop *= kept
    lift *= kept
    jaw[:] = np.clip(needed - kept * by_lips, 0.0, 1.0)
    return changed


def mouth_width(mouth: NDArray[np.floating[Any]], excess_width: float = 0.0) -> Float64Array:
    """Return the mouth width (T,) of coefficients (T, 8 or more) as above; 1 is the width at rest.

    The corners come in as the jaw drops far, more so in a portrait with a wide mouth; excess_width: see
    :attr:`~sadtalker_ext.puppet.face_geometry.MouthFrame.excess_width`.
    """
    spread, pucker = (np.asarray(mouth[:, _COLUMN[name]], np.float64) for name in ("spread", "pucker"))
    spread = spread - _narrowing(mouth, excess_width)
    return 1.0 + CORNER_FOLLOWS * (SPREAD_WIDENS * spread - PUCKER_NARROWS * pucker)


def with_width(
    mouth: NDArray[np.floating[Any]], width: NDArray[np.floating[Any]], excess_width: float = 0.0
) -> Float32Array:
    """Return the coefficients (T, 8) with ``spread`` and ``pucker`` for a mouth of ``width`` (T,), see above.

    What both have in common is kept, as what the lips do besides widening and narrowing.
    """
    changed = np.array(mouth, np.float32)
    spread, pucker = (changed[:, _COLUMN[name]] for name in ("spread", "pucker"))
    common = np.minimum(SPREAD_WIDENS * spread, PUCKER_NARROWS * pucker)
    change = (width - 1.0) / CORNER_FOLLOWS + SPREAD_WIDENS * _narrowing(mouth, excess_width)
    spread[:] = np.clip((common + np.maximum(change, 0.0)) / SPREAD_WIDENS, 0.0, 1.0)
    pucker[:] = np.clip((common + np.maximum(-change, 0.0)) / PUCKER_NARROWS, 0.0, 1.0)
    return changed


def _narrowing(mouth: NDArray[np.floating[Any]], excess_width: float) -> Float64Array:
    """Return how far the corners come in with the jaw (T,), in units of ``spread``."""
    jaw = np.asarray(mouth[:, _COLUMN["jaw_open"]], np.float64)
    return (JAW_NARROWS + WIDE_NARROWS * excess_width) * jaw_is_wide(jaw)


def best_lag(
    predicted: Float64Array, predicted_hz: float, measured: Float64Array, measured_hz: float
) -> tuple[float, float]:
    """Return the highest Pearson r over lags within +-:data:`MAX_LAG_S`, and its lag in seconds.

    Both curves start at the same time. A positive lag means that the prediction is late. r is nan for a constant curve.
    """
    measured_s = np.arange(len(measured)) / measured_hz
    predicted_s = np.arange(len(predicted)) / predicted_hz
    steps = round(MAX_LAG_S * _LAG_STEPS_PER_S)
    best = (float("nan"), 0.0)
    for step in sorted(range(-steps, steps + 1), key=abs):
        lag_s = step / _LAG_STEPS_PER_S
        inside = (measured_s + lag_s >= 0) & (measured_s + lag_s <= predicted_s[-1])
        r = pearson(np.interp(measured_s[inside] + lag_s, predicted_s, predicted), measured[inside])
        if not r <= best[0] and not np.isnan(r):
            best = (r, lag_s)
    return best


def pearson(a: Float64Array, b: Float64Array) -> float:
    """Return Pearson's r of two curves of equal length; nan if one is constant or they have fewer than two values."""
    if len(a) < 2 or np.ptp(a) < _MIN_RANGE or np.ptp(b) < _MIN_RANGE:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def closure_accuracy(
    predicted: Float64Array, predicted_hz: float, measured: Float64Array, measured_hz: float, lag_s: float
) -> float:
    """Return the share of the speaker's closed frames at which the prediction also closes within +-60 ms.

    The mouth is closed below a quarter of its usual opening. nan if the speaker never closes it.
    lag_s: lag of the prediction, see :func:`best_lag`.
    """
    predicted_s = np.arange(len(predicted)) / predicted_hz
    closed = measured < _CLOSED_SHARE * np.percentile(measured, _USUAL_PERCENTILE)
    closed_s = np.flatnonzero(closed) / measured_hz + lag_s
    closed_s = closed_s[(closed_s >= 0) & (closed_s <= predicted_s[-1])]
    if len(closed_s) == 0:
        return float("nan")
    near_s = closed_s[:, None] + np.linspace(-_CLOSURE_WINDOW_S, _CLOSURE_WINDOW_S, 7)
    smallest = np.interp(near_s, predicted_s, predicted).min(1)
    return float((smallest < _CLOSED_SHARE * np.percentile(predicted, _USUAL_PERCENTILE)).mean())
