"""Camera paths: smooth curves through keyframes, and paths by name."""

from __future__ import annotations

from itertools import zip_longest
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.arrays import smoothstep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sadtalker_ext.arrays import Float64Array


class Leg(NamedTuple):
    """A part of a video: it begins at ``begin``, when the video is expected to end at ``end``; both in one unit.

    final: whether it is the last part, so that ``end`` is exact.
    """

    begin: float
    end: float
    final: bool = True


class CameraPath(NamedTuple):
    """Camera of each frame.

    rotation_deg: (T, 3) pitch, yaw and roll that are added to those of the head. zoom: (T,) magnification, at least 1.
    """

    rotation_deg: Float64Array
    zoom: Float64Array


class _Swing(NamedTuple):
    """A periodic path in degrees: a sine of pitch, yaw and roll, and a cosine of the pitch.

    period_s: of one swing; it is changed so that whole swings fit the video, or half swings if its length becomes known
        only while it is made.
    """

    period_s: float
    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    pitch_cosine: float = 0.0


_SWINGS: Final = {
    "orbit": _Swing(period_s=6.0, yaw=24.0, pitch_cosine=8.0),
    "sway": _Swing(period_s=4.0, yaw=15.0, roll=4.0),
    "nod": _Swing(period_s=3.0, pitch=12.0),
}
"""Within the range of the starter engine also when the head motion of speech is added."""
_DOLLY: Final = "dolly"
_DOLLY_ZOOM: Final = 1.3
"""Magnification at the end of a dolly; more would show the pixels of a small picture."""
_FADE_S: Final = 0.75
_FADE_SHARE: Final = 1 / 6
"""Time in which a swing begins and ends, and its limit as a share of the video."""
_FASTEST_START: Final = 4.0
"""Largest speed at the beginning of a leg, as a multiple of the mean speed on it: faster ones would turn back."""


def course(legs: Sequence[Leg], at: Float64Array, goal: Callable[[float, float], float]) -> Float64Array:
    """Return a value (T,) that rises from 0 to its goal at the end of the video.

    at: (T,) moments of the last leg. goal: called with the value at the beginning of a leg and with what the video is
    still expected to last; returns the value at its end. On each leg the speed begins as on the leg before, and changes
    smoothly so that the goal is reached. On a single leg it is constant.
    """
    value, speed = 0.0, None
    for leg, following in zip_longest(legs, legs[1:]):
        left = leg.end - leg.begin
        rise = goal(value, left) - value
        bend = 0.0 if speed is None else min(speed * left, _FASTEST_START * rise) - rise
        moments = at if following is None else np.array([following.begin])
        t = np.clip((moments - leg.begin) / max(left, np.finfo(float).tiny), 0.0, 1.0)
        values: Float64Array = value + rise * t + bend * t * (1.0 - t) ** 2
        if following is not None:
            value = float(values[0])
            speed = float(rise + bend * (1.0 - t[0]) * (1.0 - 3.0 * t[0])) / left
    return values


def whole_course(_value: float, _left: float) -> float:
    """Return the goal of a course that ends with 1 whenever the video ends."""
    return 1.0


def _swings_to(period_s: float) -> Callable[[float, float], float]:
    """Return the goal of a course in swings: whole swings as planned first, later the half swing that fits best."""

    def goal(swings: float, left_s: float) -> float:
        if swings == 0.0:
            return max(1, round(left_s / period_s))
        return max(round(2.0 * (swings + left_s / period_s)), ceil(2.0 * swings)) / 2.0

    return goal


def named_path(name: str, times_s: Float64Array, legs: Sequence[Leg]) -> CameraPath:
    """Return the path ``name`` at ``times_s`` (T,) of the last of ``legs``, in seconds; it begins and ends at rest."""
    still = CameraPath(np.zeros((len(times_s), 3)), np.ones(len(times_s)))
    if name == _DOLLY:
        return still._replace(zoom=1.0 + (_DOLLY_ZOOM - 1.0) * smoothstep(course(legs, times_s, whole_course)))
    swing, last = _SWINGS[name], legs[-1]
    phase = 2.0 * np.pi * course(legs, times_s, _swings_to(swing.period_s))
    fade_s = min(_FADE_S, _FADE_SHARE * last.end)
    amount = smoothstep(times_s / fade_s)
    if last.final:
        amount = amount * smoothstep((last.end - times_s) / min(fade_s, last.end - last.begin))
    sines = np.sin(phase)[:, None] * np.array([swing.pitch, swing.yaw, swing.roll])
    sines[:, 0] += swing.pitch_cosine * np.cos(phase)
    return still._replace(rotation_deg=amount[:, None] * sines)


def path_through(keyframes_s: Float64Array, values: Float64Array, times_s: Float64Array) -> Float64Array:
    """Return a smooth curve through ``values`` (N,) at ``keyframes_s`` (N,), rising, at the times (T,).

    Cubic pieces that never leave the range between two keyframes and stop at turning points (Fritsch and Butland 1984).
    The curve is at rest at the first and the last keyframe, and constant before and after.
    """
    if len(values) == 1:
        return np.full(len(times_s), float(values[0]))
    steps_s, rises = np.diff(keyframes_s), np.diff(values)
    slopes = np.concatenate([[0.0], _inner_slopes(steps_s, rises / steps_s), [0.0]])
    at = np.clip(times_s, keyframes_s[0], keyframes_s[-1])
    piece = np.clip(np.searchsorted(keyframes_s, at, side="right") - 1, 0, len(rises) - 1)
    step = steps_s[piece]
    t = (at - keyframes_s[piece]) / step
    risen = t * t * (3.0 - 2.0 * t)
    bend = t * (1.0 - t) * step * ((1.0 - t) * slopes[piece] - t * slopes[piece + 1])
    curve: Float64Array = values[piece] + risen * rises[piece] + bend
    return curve


def _inner_slopes(steps_s: Float64Array, sides: Float64Array) -> Float64Array:
    """Return the slopes at the inner keyframes: weighted harmonic means of ``sides``, 0 where the curve turns."""
    before, after = sides[:-1], sides[1:]
    first, second = 2.0 * steps_s[1:] + steps_s[:-1], steps_s[1:] + 2.0 * steps_s[:-1]
    same_sign = before * after > 0.0
    safe_before, safe_after = np.where(same_sign, before, 1.0), np.where(same_sign, after, 1.0)
    means: Float64Array = np.where(same_sign, (first + second) / (first / safe_before + second / safe_after), 0.0)
    return means
