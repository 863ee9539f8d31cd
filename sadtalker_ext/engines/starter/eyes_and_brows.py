"""Eyelids, eyebrows and gaze of a speaking person, at 25 frames per second.

Sources. Blink rate: Bentivoglio et al. (1997), "Analysis of blink rate patterns in normal subjects": 17 blinks per
minute at rest, 26 in conversation, log-normal intervals. Course: Caffier, Erdmann and Ullsperger (2003), "Experimental
evaluation of eye-blink parameters as a drowsiness measure", and VanderWerf et al. (2003), "Eyelid movements": lids
close in 60 to 110 ms and open more slowly, 150 to 400 ms in total. Timing: Nakano and Kitazawa (2010), "Eyeblink
entrainment at breakpoints of speech": speakers blink at the end of phrases and in pauses. Eyebrows: Flecha-Garcia
(2010), "Eyebrow raises in dialogue and their relation to discourse structure, utterance function and pitch accents":
they rise just before some accents. Gaze: Lee, Badler and Badler (2002), "Eyes Alive": small saccades every one or two
seconds, large ones are rare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array

MEDIAN_INTERVAL_S: Final = 3.0
"""Median of the log-normal interval between blinks, seconds; phrase ends and double blinks add to the rate."""
INTERVAL_SPREAD: Final = 0.55
"""Standard deviation of the logarithm of the interval."""
INTERVAL_RANGE_S: Final = (0.9, 7.0)
"""Shortest and longest interval, seconds."""
FIRST_BLINK_S: Final = 0.4
"""Earliest start of a blink, seconds, so that the first frame is the source picture."""
PHRASE_END_PROBABILITY: Final = 0.45
"""Probability of a blink at the end of a phrase, if the last blink is at least REFRACTORY_S ago."""
PHRASE_END_DELAY_S: Final = (0.05, 0.1)
"""Mean and standard deviation of the delay of such a blink, seconds."""
REFRACTORY_S: Final = 0.9
"""Shortest time from one blink to one at the end of a phrase, seconds."""
CLOSING_S: Final = (0.07, 0.11)
CLOSED_S: Final = (0.03, 0.06)
OPENING_S: Final = (0.14, 0.22)
"""Ranges of the durations of the three phases of a blink, seconds."""
DURATION_FACTOR: Final = (0.85, 1.02)
"""Range of a factor on all three durations of one blink."""
INCOMPLETE_PROBABILITY: Final = 0.12
INCOMPLETE_DEPTH: Final = (0.5, 0.85)
"""Probability and depth of blinks that do not close completely."""
DOUBLE_PROBABILITY: Final = 0.07
DOUBLE_GAP_S: Final = (0.02, 0.12)
"""Probability of a second blink right after the first, and the pause between them, seconds."""
FIRST_INTERVAL: Final = (0.3, 1.0)
"""Range of a factor on the first interval, so that clips do not all start alike."""
OPENING_EXPONENT: Final = 0.8
"""Makes the opening fast at first and slow at its end."""
EYE_LAG_S: Final = 0.006
"""Standard deviation of the time lag of each eye in a blink, seconds."""
BROW_LEAD_S: Final = 0.06
"""Time by which the eyebrows reach their height before the accent, seconds."""
BROW_GAP_S: Final = 0.75
"""Shortest time between two raises, seconds."""
BROW_RISE_S: Final = 0.18
BROW_FALL_S: Final = 0.32
BROW_HOLD_S: Final = (0.06, 0.3)
"""Durations of a raise, seconds; the hold is drawn from a range."""
BROW_HEIGHT: Final = (0.6, 1.0)
"""Range of the height of a raise at full emphasis."""
BROW_MIN_EMPHASIS: Final = 0.22
"""Emphasis of the weakest accent that may raise the eyebrows."""
BROW_FIRST_S: Final = 0.3
"""Earliest start of a raise, seconds."""
BROW_PROBABILITY: Final = (0.5, 0.5)
"""Probability of a raise: the first value plus the second times the emphasis."""
BROW_WINDOW_FRAMES: Final = (10, 30)
"""Frames before and after an accent that a raise may cover."""
GAZE_REACH_RAD: Final = 0.6
"""Rotation of the eyes at gaze 1 or -1, radians."""
GAZE_COMPENSATION: Final = 0.8
"""Share of a head turn that the eyes compensate when a person looks at another."""
SACCADE_MEDIAN_S: Final = 1.1
SACCADE_SPREAD: Final = 0.5
SACCADE_RANGE_S: Final = (0.3, 4.0)
"""Log-normal interval between saccades: median, standard deviation of the logarithm, and range, seconds."""
SACCADE_STEP: Final = (0.025, 0.015)
"""Standard deviation of gaze_x and gaze_y of a saccade within the viewer's face."""
GLANCE_PROBABILITY: Final = 0.12
"""Probability that a saccade is a glance away from the viewer."""
GLANCE_FACTOR_AT_PHRASE: Final = 3.0
GLANCE_PHRASE_S: Final = 0.3
"""Glances are this many times as likely within this time of the start of a phrase, seconds."""
GLANCE_MEAN, GLANCE_SPREAD = (0.0, 0.05), (0.22, 0.08)
GLANCE_LIMIT: Final = 0.4
GLANCE_S: Final = (0.35, 0.8)
"""Direction of a glance (mean, standard deviation and limit of gaze_x and gaze_y) and its duration, seconds."""


class Blink(NamedTuple):
    """One blink: start and durations in seconds, and depth (0 open to 1 closed)."""

    begin_s: float
    closing_s: float
    closed_s: float
    opening_s: float
    depth: float

    @property
    def end_s(self) -> float:
        """Time at which the lids are open again, seconds."""
        return self.begin_s + self.closing_s + self.closed_s + self.opening_s


def blink_tracks(
    frames: int, rng: Generator, scale: float = 1.0, phrase_ends: Sequence[int] | NDArray[np.int64] = ()
) -> Float32Array:
    """Return the coefficients blink_left and blink_right, (T, 2) float32 in [0, 1].

    scale: blink strength; 1 is natural, 0 disables blinks.
    phrase_ends: frames after which the speaker pauses; blinks are more likely there.
    The number of draws does not depend on ``scale``. The eyes are always open in frame 0.
    """
    events = draw_blinks(frames / FRAME_RATE_HZ, rng, np.asarray(phrase_ends) / FRAME_RATE_HZ)
    lags_s = rng.normal(0.0, EYE_LAG_S, (len(events), 2))
    tracks = np.zeros((frames, 2))
    for event, lag_s in zip(events, lags_s, strict=True):
        near = slice(max(0, int(event.begin_s * FRAME_RATE_HZ) - 1), int(event.end_s * FRAME_RATE_HZ) + 3)
        times_s = np.arange(near.start, min(frames, near.stop)) / FRAME_RATE_HZ
        for eye in (0, 1):
            np.maximum(tracks[near, eye], _closure(event, times_s - lag_s[eye]), out=tracks[near, eye])
    tracks[:1] = 0.0
    return np.clip(tracks * scale, 0.0, 1.0).astype(np.float32)


def draw_blinks(duration_s: float, rng: Generator, phrase_ends_s: Float64Array) -> list[Blink]:
    """Return blinks in temporal order; none starts before FIRST_BLINK_S or ends after the clip."""
    pulled = np.sort(phrase_ends_s[rng.random(len(phrase_ends_s)) < PHRASE_END_PROBABILITY])
    pulled = pulled + rng.normal(*PHRASE_END_DELAY_S, len(pulled))
    events: list[Blink] = []
    last_s = 0.0
    while True:
        begin_s = last_s + _interval_s(rng) * (rng.uniform(*FIRST_INTERVAL) if not events else 1.0)
        waiting = pulled[(pulled > max(last_s + REFRACTORY_S, FIRST_BLINK_S)) & (pulled < begin_s)]
        begin_s = max(float(waiting[0]) if len(waiting) else begin_s, FIRST_BLINK_S)
        event = _draw_blink(begin_s, rng)
        if event.end_s > duration_s:
            return events
        events.append(event)
        if rng.random() < DOUBLE_PROBABILITY:
            again = _draw_blink(event.end_s + rng.uniform(*DOUBLE_GAP_S), rng)
            if again.end_s <= duration_s:
                events.append(again)
        last_s = events[-1].begin_s


def _interval_s(rng: Generator) -> float:
    interval_s = MEDIAN_INTERVAL_S * np.exp(INTERVAL_SPREAD * rng.standard_normal())
    return float(np.clip(interval_s, *INTERVAL_RANGE_S))


def _draw_blink(begin_s: float, rng: Generator) -> Blink:
    depth = float(rng.uniform(*INCOMPLETE_DEPTH)) if rng.random() < INCOMPLETE_PROBABILITY else 1.0
    factor = float(rng.uniform(*DURATION_FACTOR))
    closing_s, closed_s, opening_s = (factor * float(rng.uniform(*span)) for span in (CLOSING_S, CLOSED_S, OPENING_S))
    return Blink(begin_s, closing_s, closed_s, opening_s, depth)


def _closure(blink: Blink, times_s: Float64Array) -> Float64Array:
    """Return the closure in [0, 1] at ``times_s``: fast closing, a short hold, slower opening."""
    closing = np.clip((times_s - blink.begin_s) / blink.closing_s, 0.0, 1.0)
    opening_s = blink.begin_s + blink.closing_s + blink.closed_s
    opening = np.clip((times_s - opening_s) / blink.opening_s, 0.0, 1.0)
    closure: Float64Array = blink.depth * minimum_jerk(closing) * (1.0 - minimum_jerk(opening**OPENING_EXPONENT))
    return closure


def minimum_jerk(progress: Float64Array) -> Float64Array:
    """Return the minimum-jerk course from 0 to 1 (Flash and Hogan 1985)."""
    return progress**3 * (10.0 - 15.0 * progress + 6.0 * progress**2)


def brow_track(emphasis: Float32Array, rng: Generator) -> Float32Array:
    """Return the coefficient brows_up, (T,) float32 in [0, 1], from emphasis (T,) in [0, 1].

    Stronger emphasis raises the eyebrows more often and further. They rise before the accented syllable, hold over it
    and fall slowly.
    """
    frames = len(emphasis)
    times_s = np.arange(frames) / FRAME_RATE_HZ
    track = np.zeros(frames)
    inner = emphasis[1:-1]
    peaks = 1 + np.flatnonzero((inner > BROW_MIN_EMPHASIS) & (inner >= emphasis[:-2]) & (inner > emphasis[2:]))
    free_s = BROW_FIRST_S
    (base, slope), (before, after) = BROW_PROBABILITY, BROW_WINDOW_FRAMES
    for peak in peaks:
        chance, height, hold_s = rng.random(), rng.uniform(*BROW_HEIGHT), rng.uniform(*BROW_HOLD_S)
        begin_s = peak / FRAME_RATE_HZ - BROW_LEAD_S - BROW_RISE_S
        if begin_s < free_s or chance > base + slope * float(emphasis[peak]):
            continue
        near = slice(max(0, peak - before), peak + after)
        rise = minimum_jerk(np.clip((times_s[near] - begin_s) / BROW_RISE_S, 0.0, 1.0))
        fall = minimum_jerk(np.clip((times_s[near] - begin_s - BROW_RISE_S - hold_s) / BROW_FALL_S, 0.0, 1.0))
        np.maximum(track[near], height * float(emphasis[peak]) ** 0.5 * rise * (1.0 - fall), out=track[near])
        free_s = begin_s + BROW_GAP_S
    return track.astype(np.float32)


def gaze_tracks(
    rotation: Float32Array, rng: Generator, phrase_starts: Sequence[int] | NDArray[np.int64] = ()
) -> Float32Array:
    """Return the coefficients gaze_x and gaze_y, (T, 2) float32 in [-1, 1], for a head that turns by ``rotation``.

    rotation: (T, 3) pitch, yaw, roll in radians, relative to the source picture. The gaze stays on the viewer: the eyes
    compensate most of the turn (vestibulo-ocular reflex) and make small saccades within the viewer's face. Sometimes,
    mostly when a phrase begins, they glance aside for about half a second. Frame 0 looks straight ahead.
    """
    frames = len(rotation)
    aim = np.zeros((frames, 2))
    starts = np.asarray(phrase_starts)
    frame = 0
    while True:
        frame += int(FRAME_RATE_HZ * _saccade_interval_s(rng))
        step = rng.normal(0.0, SACCADE_STEP, 2)
        glance = rng.normal(GLANCE_MEAN, GLANCE_SPREAD, 2)
        length = int(FRAME_RATE_HZ * rng.uniform(*GLANCE_S))
        draw = rng.random()
        if frame >= frames:
            break
        opens_phrase = len(starts) > 0 and np.min(np.abs(starts - frame)) < GLANCE_PHRASE_S * FRAME_RATE_HZ
        aim[frame:] = step
        if draw < GLANCE_PROBABILITY * (GLANCE_FACTOR_AT_PHRASE if opens_phrase else 1.0):
            aim[frame : frame + length] = np.clip(glance, -GLANCE_LIMIT, GLANCE_LIMIT)
            frame += length
    gaze = aim + eye_contact(rotation)
    gaze -= gaze[:1]
    tracks: Float32Array = np.clip(gaze, -1.0, 1.0).astype(np.float32)
    return tracks


def _saccade_interval_s(rng: Generator) -> float:
    interval_s = SACCADE_MEDIAN_S * np.exp(SACCADE_SPREAD * rng.standard_normal())
    return float(np.clip(interval_s, *SACCADE_RANGE_S))


def eye_contact(rotation: Float32Array) -> Float64Array:
    """Return gaze_x and gaze_y, (T, 2), that keep the gaze on the viewer while the head turns by (T, 3) radians."""
    turn: Float64Array = np.stack([rotation[:, 1], rotation[:, 0]], axis=1).astype(np.float64)
    return -GAZE_COMPENSATION * turn / GAZE_REACH_RAD
