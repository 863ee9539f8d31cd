"""Camera paths: smooth curves through keyframes, and paths by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.arrays import smoothstep

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array


class CameraPath(NamedTuple):
    """Camera of each frame.

    rotation_deg: (T, 3) pitch, yaw and roll that are added to those of the head. zoom: (T,) magnification, at least 1.
    """

    rotation_deg: Float64Array
    zoom: Float64Array


class _Swing(NamedTuple):
    """A periodic path in degrees: a sine of pitch, yaw and roll, and a cosine of the pitch.

    period_s: of one swing; it is changed so that whole swings fit the video.
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


def named_path(name: str, times_s: Float64Array, duration_s: float) -> CameraPath:
    """Return the path ``name`` of a video of ``duration_s`` at ``times_s`` (T,); it begins and ends at rest."""
    still = CameraPath(np.zeros((len(times_s), 3)), np.ones(len(times_s)))
    if name == _DOLLY:
        return still._replace(zoom=1.0 + (_DOLLY_ZOOM - 1.0) * smoothstep(times_s / duration_s))
    swing = _SWINGS[name]
    swings = max(1, round(duration_s / swing.period_s))
    phase = 2.0 * np.pi * swings * times_s / duration_s
    fade_s = min(_FADE_S, _FADE_SHARE * duration_s)
    amount = smoothstep(times_s / fade_s) * smoothstep((duration_s - times_s) / fade_s)
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
