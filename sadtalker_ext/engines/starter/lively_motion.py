"""Amount of head motion: from the motion of the network to that of real speakers.

The network was trained on careful motion. Real speakers on video move about twice as far: the mean standard deviations
of 14 of them (4 to 20 s each) are 2.9, 3.9 and 2.5 degrees of pitch, yaw and roll, and 0.039 and 0.047 face heights of
the face's centre. THEval (Quignon et al., CVPR 2026) finds the same lack of head motion in most generated videos.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.audio.prosody import smooth
from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.engines.starter.eyes_and_brows import minimum_jerk
from sadtalker_ext.engines.starter.head_motion import soft_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.audio.prosody import Prosody

ROTATION_GAIN: Final = (2.4, 1.9, 2.2)
TRANSLATION_GAIN: Final = (2.3, 1.5, 1.0)
"""Factors of pitch, yaw, roll and of x, y, z that bring the style "natural" to the amount of real speakers."""
NOD_DROP: Final = 0.4
"""Drop of the head in face heights per radian of pitch: people nod with neck and back. In the same videos the height of
the face and its pitch correlate with 0.79."""
LEAN: Final = (0.044, 0.031)
"""Standard deviation of the place, x and y in face heights, that a speaker leans to."""
LEAN_ROLL: Final = 0.7
"""Roll of a sideways lean, radians per face height."""
LEAN_INTERVAL_S: Final = (1.6, 4.5)
LEAN_MOVE_S: Final = (1.0, 1.8)
"""Ranges of the time between two changes of the lean and of the duration of a change, seconds."""
BROW_LEVEL: Final = 1.0
"""Standard deviation of the level of the brows between accents, before the limits; positive raises, negative lowers
them. The height of the brows of nine speakers on video varies by 0.028 distances of the eyes (standard deviation); a
tracker sees 0.053 of a full raise and 0.023 of a full frown, so that the whole range is needed."""
BROW_OF_PITCH: Final = 0.1
"""Rise of this level per semitone of the pitch: most raises go with a rise of the pitch (Cave et al. 1996, "About the
relationship between eyebrow movements and F0 variations")."""
BROW_PITCH_S: Final = 0.12
"""Standard deviation of the window in which the pitch is averaged, seconds."""
BROW_RANGE: Final = (-0.65, 1.0)
"""Lowest and highest level; a low one, held, looks stern."""
BROW_INTERVAL_S: Final = (0.2, 0.36)
BROW_MOVE_S: Final = (0.12, 0.22)
BROW_SLOWNESS_S: Final = 0.16
"""Ranges of the time between two changes of this level and of the duration of a small change, and what a change by 1
adds to it, seconds."""
IDLE_LIVELINESS: Final = 0.5
"""Share of this that a person shows who is not speaking."""
ROTATION_LIMIT_RAD: Final = (0.2, 0.24, 0.2)
TRANSLATION_LIMIT: Final = (0.16, 0.16, 0.09)
"""Asymptotes of the result, just within what the renderer shows undistorted."""


class _Move(NamedTuple):
    """Movement to ``target`` (D,) in ``move_s`` seconds; the next one begins after ``interval_s``, if that is later."""

    target: Float64Array
    move_s: float
    interval_s: float


def liveliness(prosody: Prosody) -> float:
    """Return how lively a person is who speaks with this prosody: 1, or :data:`IDLE_LIVELINESS` without speech."""
    return 1.0 if len(prosody.phrase_starts) else IDLE_LIVELINESS


def add_liveliness(
    rotation: Float32Array, translation: Float32Array, rng: Generator, amount: float = 1.0
) -> tuple[Float32Array, Float32Array]:
    """Return head motion (T, 3) in radians and (T, 3) in face heights with the amount of real speakers.

    Rotation and translation are scaled, a nod lowers the head, and the speaker leans to another place every few
    seconds. The first frame stays zero. amount: 1 for the whole change, 0 for none.
    """
    lean = amount * lean_track(len(rotation), rng)
    turned = rotation * (1.0 + amount * (np.array(ROTATION_GAIN) - 1.0))
    turned[:, 2] += LEAN_ROLL * lean[:, 0]
    moved = translation * (1.0 + amount * (np.array(TRANSLATION_GAIN) - 1.0))
    moved[:, :2] += lean
    moved[:, 1] += amount * NOD_DROP * turned[:, 0]
    turned = soft_limit(turned, np.array(ROTATION_LIMIT_RAD))
    moved = soft_limit(moved, np.array(TRANSLATION_LIMIT))
    return turned.astype(np.float32), moved.astype(np.float32)


def lean_track(frames: int, rng: Generator) -> Float64Array:
    """Return the place (frames, 2), x and y in face heights, that a speaker leans to; zero in the first frame."""

    def draw(_: Float64Array, __: float) -> _Move:
        target = rng.normal(0.0, LEAN)
        return _Move(target, rng.uniform(*LEAN_MOVE_S), rng.uniform(*LEAN_INTERVAL_S))

    return _join_moves(np.zeros((frames, 2)), draw)


def brow_motion(raises: Float32Array, pitch_st: Float32Array, rng: Generator, amount: float = 1.0) -> Float32Array:
    """Return the coefficients brows_up and brows_down, (T, 2) in [0, 1], of which one is zero in each frame.

    raises: (T,) brows_up at accents. pitch_st: (T,) semitones from the speaker's median. amount: factor of the
    movements between accents. A raise starts from where these have brought the brows.
    """
    level = np.clip(raises + amount * brow_flow(pitch_st, rng), -1.0, 1.0)
    brows: Float32Array = np.stack([np.maximum(level, 0.0), np.maximum(-level, 0.0)], axis=1).astype(np.float32)
    return brows


def brow_flow(pitch_st: Float32Array, rng: Generator) -> Float64Array:
    """Return small movements of the brows' level (T,) that never rest long and follow the pitch (T,) in part.

    The brows of a speaker move all the time, not only at accents; the first frame is zero.
    """
    frames = len(pitch_st)
    lift = BROW_OF_PITCH * smooth(pitch_st.astype(np.float64), BROW_PITCH_S) if frames else np.zeros(0)

    def draw(level: Float64Array, start_s: float) -> _Move:
        pace_s, interval_s = rng.uniform(*BROW_MOVE_S), rng.uniform(*BROW_INTERVAL_S)
        reached = min(round((start_s + pace_s) * FRAME_RATE_HZ), frames - 1)
        target = np.clip(rng.normal(0.0, BROW_LEVEL, 1) + lift[reached], *BROW_RANGE)
        return _Move(target, pace_s + BROW_SLOWNESS_S * abs(float(target[0] - level[0])), interval_s)

    flow: Float64Array = _join_moves(np.zeros((frames, 1)), draw)[:, 0]
    return flow


def _join_moves(track: Float64Array, draw: Callable[[Float64Array, float], _Move]) -> Float64Array:
    """Fill ``track`` (T, D) with minimum-jerk movements from zero on.

    draw: returns the next movement for a place (D,) and the time at which it begins, seconds.
    """
    place, start_s = np.zeros(track.shape[1]), 0.0
    times_s = np.arange(len(track)) / FRAME_RATE_HZ
    while start_s < len(track) / FRAME_RATE_HZ:
        move = draw(place, start_s)
        end_s = start_s + max(move.interval_s, move.move_s)
        near = slice(int(start_s * FRAME_RATE_HZ), int(end_s * FRAME_RATE_HZ) + 1)
        progress = minimum_jerk(np.clip((times_s[near] - start_s) / move.move_s, 0.0, 1.0))
        track[near] = place + progress[:, None] * (move.target - place)
        place, start_s = move.target, end_s
    return track
