"""Lids, brows and gaze of a speaking person, at 25 frames per second.

Sources. Rate: Bentivoglio et al. (1997), "Analysis of blink rate patterns in normal subjects": 17 blinks a minute
at rest, 26 in conversation, log-normal. Course: Caffier, Erdmann and Ullsperger (2003), "Experimental evaluation of
eye-blink parameters as a drowsiness measure", and VanderWerf et al. (2003), "Eyelid movements": lids close in 60 to
110 ms, open more slowly, 150 to 400 ms in all. Place: Nakano and Kitazawa (2010), "Eyeblink entrainment at
breakpoints of speech": speakers blink at the end of phrases and in pauses. Brows: Flecha-Garcia (2010), "Eyebrow
raises in dialogue and their relation to discourse structure, utterance function and pitch accents": they rise just
before some accents. Gaze: Lee, Badler and Badler (2002), "Eyes Alive": small saccades every one or two seconds,
larger ones away are rare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

FRAME_RATE_HZ = 25.0
MEDIAN_INTERVAL_S = 3.0
"""Median of the log-normal time from one blink to the next; phrase ends and double blinks add to the rate."""
INTERVAL_SPREAD = 0.55
"""Standard deviation of the logarithm of that time."""
INTERVAL_RANGE_S = (0.9, 7.0)
FIRST_BLINK_S = 0.4
"""No blink begins earlier, so the first frame is the source picture."""
PHRASE_END_CHANCE = 0.45
"""Chance that a phrase ends in a blink when the last one is long enough ago."""
REFRACTORY_S = 0.9
CLOSING_S = (0.07, 0.11)
CLOSED_S = (0.03, 0.06)
OPENING_S = (0.14, 0.22)
INCOMPLETE_CHANCE = 0.12
DOUBLE_CHANCE = 0.07
EYE_LAG_S = 0.006
"""Standard deviation of the time between the two eyes of one blink."""
BROW_LEAD_S = 0.06
BROW_GAP_S = 1.2
GAZE_REACH_RAD = 0.6
"""How far the eyes turn at gaze 1 or -1; turns of the head are countered by this much."""
GLANCE_CHANCE = 0.12
"""Chance that a saccade is a real glance away and not a step within the viewer's face."""


class Blink(NamedTuple):
    """One blink: seconds from the start to its beginning, lengths in seconds, and how far it closes (0 to 1)."""

    begin_s: float
    closing_s: float
    closed_s: float
    opening_s: float
    depth: float

    @property
    def end_s(self) -> float:
        """When the lids are open again."""
        return self.begin_s + self.closing_s + self.closed_s + self.opening_s


def blink_tracks(
    frames: int, rng: Generator, scale: float = 1.0, phrase_ends: Sequence[int] | NDArray[np.int64] = ()
) -> NDArray[np.float32]:
    """Coefficients blink_left and blink_right, (T, 2) float32 in [0, 1].

    scale: 1 closes the lids as people do, 0 never; values between close them in part.
    phrase_ends: frames after which the speaker pauses; blinks gather there.
    The generator moves on by the same amount whatever the scale. Frame 0 is always open.
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


def draw_blinks(duration_s: float, rng: Generator, phrase_ends_s: NDArray[np.float64]) -> list[Blink]:
    """Blinks in order of time, none before 0.4 s and none that would still be closed at the end."""
    pulled = np.sort(phrase_ends_s[rng.random(len(phrase_ends_s)) < PHRASE_END_CHANCE])
    pulled = pulled + rng.normal(0.05, 0.1, len(pulled))
    events: list[Blink] = []
    last_s = 0.0
    while True:
        begin_s = last_s + _interval_s(rng) * (rng.uniform(0.3, 1.0) if not events else 1.0)
        waiting = pulled[(pulled > max(last_s + REFRACTORY_S, FIRST_BLINK_S)) & (pulled < begin_s)]
        begin_s = max(float(waiting[0]) if len(waiting) else begin_s, FIRST_BLINK_S)
        event = _draw_blink(begin_s, rng)
        if event.end_s > duration_s:
            return events
        events.append(event)
        if rng.random() < DOUBLE_CHANCE:
            again = _draw_blink(event.end_s + rng.uniform(0.02, 0.12), rng)
            if again.end_s <= duration_s:
                events.append(again)
        last_s = events[-1].begin_s


def _interval_s(rng: Generator) -> float:
    interval_s = MEDIAN_INTERVAL_S * np.exp(INTERVAL_SPREAD * rng.standard_normal())
    return float(np.clip(interval_s, *INTERVAL_RANGE_S))


def _draw_blink(begin_s: float, rng: Generator) -> Blink:
    depth = float(rng.uniform(0.5, 0.85)) if rng.random() < INCOMPLETE_CHANCE else 1.0
    pace = float(rng.uniform(0.85, 1.02))
    closing_s, closed_s, opening_s = (pace * float(rng.uniform(*span)) for span in (CLOSING_S, CLOSED_S, OPENING_S))
    return Blink(begin_s, closing_s, closed_s, opening_s, depth)


def _closure(blink: Blink, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Closure in [0, 1] at some times: a smooth fast fall, a short hold, a slower rise that eases out."""
    closing = np.clip((times_s - blink.begin_s) / blink.closing_s, 0.0, 1.0)
    opening_s = blink.begin_s + blink.closing_s + blink.closed_s
    opening = np.clip((times_s - opening_s) / blink.opening_s, 0.0, 1.0)
    closure: NDArray[np.float64] = blink.depth * _ease(closing) * (1.0 - _ease(opening**0.8))
    return closure


def _ease(progress: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to 1 with least jerk (Flash and Hogan 1985)."""
    return progress**3 * (10.0 - 15.0 * progress + 6.0 * progress**2)


def brow_track(emphasis: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Coefficient brows_up, (T,) float32 in [0, 1], from emphasis (T,) in [0, 1].

    Stronger emphasis raises the brows more surely and further; they rise about 60 ms ahead of the syllable,
    hold over it and come down slowly, and not more than once in 1.2 s.
    """
    frames = len(emphasis)
    times_s = np.arange(frames) / FRAME_RATE_HZ
    track = np.zeros(frames)
    inner = emphasis[1:-1]
    peaks = 1 + np.flatnonzero((inner > 0.3) & (inner >= emphasis[:-2]) & (inner > emphasis[2:]))
    free_s = 0.3
    for peak in peaks:
        chance, height, hold_s = rng.random(), rng.uniform(0.35, 0.8), rng.uniform(0.12, 0.35)
        begin_s = peak / FRAME_RATE_HZ - BROW_LEAD_S - 0.2
        if begin_s < free_s or chance > 0.2 + 0.6 * float(emphasis[peak]):
            continue
        near = slice(max(0, peak - 10), peak + 30)
        rise = _ease(np.clip((times_s[near] - begin_s) / 0.2, 0.0, 1.0))
        fall = _ease(np.clip((times_s[near] - begin_s - 0.2 - hold_s) / 0.45, 0.0, 1.0))
        np.maximum(track[near], height * float(emphasis[peak]) * rise * (1.0 - fall), out=track[near])
        free_s = begin_s + BROW_GAP_S
    return track.astype(np.float32)


def gaze_tracks(
    rotation: NDArray[np.float32], rng: Generator, phrase_starts: Sequence[int] | NDArray[np.int64] = ()
) -> NDArray[np.float32]:
    """Coefficients gaze_x and gaze_y, (T, 2) float32 in [-1, 1], for a head that turns by ``rotation``.

    rotation: (T, 3) pitch, yaw, roll in radians, relative to the source picture. The eyes stay on the viewer: they
    counter most of the turn (vestibulo-ocular reflex) and step by a degree or so within the viewer's face; now and
    then, above all when a phrase begins, they glance aside for half a second. Frame 0 is straight ahead.
    """
    frames = len(rotation)
    aim = np.zeros((frames, 2))
    starts = np.asarray(phrase_starts)
    frame = 0
    while True:
        frame += int(FRAME_RATE_HZ * np.clip(1.1 * np.exp(0.5 * rng.standard_normal()), 0.3, 4.0))
        step = rng.normal(0.0, (0.025, 0.015), 2)
        glance = rng.normal((0.0, 0.05), (0.22, 0.08), 2)
        length = int(FRAME_RATE_HZ * rng.uniform(0.35, 0.8))
        draw = rng.random()
        if frame >= frames:
            break
        opens_phrase = len(starts) > 0 and np.min(np.abs(starts - frame)) < 0.3 * FRAME_RATE_HZ
        aim[frame:] = step
        if draw < GLANCE_CHANCE * (3.0 if opens_phrase else 1.0):
            aim[frame : frame + length] = np.clip(glance, -0.4, 0.4)
            frame += length
    gaze = aim + eye_contact(rotation)
    gaze -= gaze[:1]
    tracks: NDArray[np.float32] = np.clip(gaze, -1.0, 1.0).astype(np.float32)
    return tracks


def eye_contact(rotation: NDArray[np.float32]) -> NDArray[np.float64]:
    """What gaze_x and gaze_y, (T, 2), must be to look on at the viewer while the head turns by (T, 3) radians.

    It counters four fifths of the turn, as people do who look at somebody and not at a point.
    """
    turn: NDArray[np.float64] = np.stack([rotation[:, 1], rotation[:, 0]], axis=1).astype(np.float64)
    return -0.8 * turn / GAZE_REACH_RAD
