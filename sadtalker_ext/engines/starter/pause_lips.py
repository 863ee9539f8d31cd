"""Lips in the pauses of speech: they follow LipMotion around each phrase, and part for a breath before one.

Measured in the pauses of 101 recordings of 54 speakers (the inner lips' distance over that of the outer eye corners):
from 0.45 to 0.15 s before a phrase the lips are 0.064 apart in the median of the speakers, 0.022 and 0.087 in the
quartiles, and they close for its first sound; after the last phrase a quarter of the speakers keep them 0.03 to 0.05
apart for about 0.3 s. How far they part depends on the sound of the pause, which LipMotion reads: it predicts 0.075 in
the median. A breath therefore only parts the lips where this prediction is small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.audio.prosody import PAUSE_S, joined_runs, smooth
from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.engines.starter.eyes_and_brows import minimum_jerk
from sadtalker_ext.engines.starter.lip_response import LipResponse
from sadtalker_ext.engines.starter.lip_tuck import tucked_opening
from sadtalker_ext.metrics.sync import mouth_opening, mouth_width, with_opening
from sadtalker_ext.puppet.basis import MOUTH_SHAPES

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

SPEECH_SMOOTHING_S: Final = 0.08
"""Standard deviation of the window in which the recognised opening is averaged, seconds."""
SPEECH_OPENING: Final = 0.12
"""Averaged opening of SpeechToExpression from which somebody speaks. With it, pauses agree best with those that Silero
VAD finds in 150 recordings (F 0.80; 0.71 for pauses of loudness and pitch, which noise and reverberation hide)."""
MIN_PHRASE_S: Final = 0.3
"""Shorter phrases do not count: at the end of a recording they are mostly noise, seconds."""
BEFORE_PHRASE_S, AFTER_PHRASE_S = 0.6, 0.4
"""Time before and after a phrase in which the lips follow LipMotion, seconds."""
FADE_S: Final = 0.24
"""Time in which this begins and ends, seconds."""
BREATH_OPENING: Final = (0.055, 0.12)
"""Range of the distance of the lips in a breath, in distances of the outer eye corners: the upper half of real
speakers. A larger one, 0.085 to 0.14, lowers r of the opening; a narrower one, 0.05 to 0.08, moves the lips in pauses
less than THEval's real speakers do. A wide range makes breaths as different as those of people."""
BREATH_KEPT: Final = (0.8, 1.0)
"""Range of the share of this distance that is left at the end of a breath."""
BREATH_S: Final = (0.45, 0.65)
"""Range of the duration of a breath; a shorter pause shortens it, seconds."""
LONG_PAUSE_S: Final = 0.9
LONGEST_BREATH: Final = 1.6
"""In pauses of more than this time, seconds, breaths take longer in proportion, up to this factor."""
MIN_BREATH_S: Final = 0.25
"""Shorter breaths are left out, seconds."""
REST_S: Final = 0.1
"""Time from the end of a phrase to the earliest start of a breath, seconds."""
PARTING_S, MEETING_S = 0.22, 0.15
"""Longest time in which the lips part for a breath, and in which they meet for the phrase, seconds. With longer times,
the distance varies less in pauses, and r of the opening is lower."""
UNLIKELY_BREATH, LIKELY_BREATH = -0.025, 0.04
"""Distance of the lips that LipMotion predicts, as above, at which a breath is left out, and from which on it is
complete."""


def add_pause_lips(
    mouth: Float32Array, spoken: Float32Array, predicted: Float32Array, response: LipResponse | None = None
) -> Float32Array:
    """Return mouth coefficients (T, 8), in the order of MOUTH_SHAPES, with the lips parted in pauses of speech.

    spoken: (T,) opening recognised as speech, see ``mouth_motion.spoken_opening``. predicted: (T,) distance of the lips
    that LipMotion predicts, in distances of the outer eye corners. response: how the portrait's lips move. Closed lips
    stay closed, and nothing changes without speech.
    """
    phrases = spoken_phrases(spoken)
    if not phrases:
        return mouth
    likely = np.clip((predicted - UNLIKELY_BREATH) / (LIKELY_BREATH - UNLIKELY_BREATH), 0.0, 1.0)
    apart = np.maximum(predicted * nearness(phrases, len(mouth)), breath_track(phrases, len(mouth)) * likely)
    response = response or LipResponse()
    width = mouth_width(mouth, response.excess_width).astype(np.float32)
    opening = response.opening_for(apart.astype(np.float32), width)
    opening = tucked_opening(opening, mouth[:, MOUTH_SHAPES.index("lip_tuck")])
    unclosed = mouth.copy()
    unclosed[:, MOUTH_SHAPES.index("lips_closed")] = 0.0
    wider = opening > mouth_opening(unclosed)
    parted = mouth.copy()
    parted[wider] = with_opening(mouth[wider], opening[wider])
    return parted


def spoken_phrases(spoken: Float32Array) -> list[tuple[int, int]]:
    """Return (first frame, first frame after) of each phrase, speech without a pause. spoken: as above."""
    if len(spoken) == 0:
        return []
    speaks = smooth(spoken.astype(np.float64), SPEECH_SMOOTHING_S) > SPEECH_OPENING
    return joined_runs(speaks, PAUSE_S * FRAME_RATE_HZ, MIN_PHRASE_S * FRAME_RATE_HZ)


def nearness(phrases: list[tuple[int, int]], frames: int) -> Float64Array:
    """Return (frames,) in [0, 1]: 1 in pauses near a phrase, 0 far from it and further inside."""
    track = np.zeros(frames)
    for start, end in phrases:
        start_s, end_s = start / FRAME_RATE_HZ, end / FRAME_RATE_HZ
        for first_s, last_s in (
            (start_s - BEFORE_PHRASE_S, start_s + FADE_S),
            (end_s - FADE_S, end_s + AFTER_PHRASE_S),
        ):
            times_s, rows = _times_within(first_s, last_s, frames)
            np.maximum(track[rows], _bump(times_s, (first_s, last_s), (FADE_S, FADE_S)), out=track[rows])
    return track


def breath_track(phrases: list[tuple[int, int]], frames: int) -> Float64Array:
    """Return the distance of the lips (frames,) in breaths before ``phrases``, in distances of the eye corners.

    The mouth depends on the voice only: the random numbers of a breath depend on the place of its phrase.
    """
    track = np.zeros(frames)
    earliest_s = 0.0
    for start, end in phrases:
        random, phrase_s = np.random.default_rng([start, end]), start / FRAME_RATE_HZ
        distance, kept, length_s = (float(random.uniform(*span)) for span in (BREATH_OPENING, BREATH_KEPT, BREATH_S))
        length_s *= float(np.clip((phrase_s - earliest_s) / LONG_PAUSE_S, 1.0, LONGEST_BREATH))
        begin_s = max(phrase_s - length_s, earliest_s)
        earliest_s = end / FRAME_RATE_HZ + REST_S
        length_s = phrase_s - begin_s
        if length_s < MIN_BREATH_S:
            continue
        times_s, rows = _times_within(begin_s, phrase_s, frames)
        fades_s = (min(PARTING_S, 0.5 * length_s), min(MEETING_S, 0.5 * length_s))
        level = distance * (1.0 - (1.0 - kept) * (times_s - begin_s) / length_s)
        np.maximum(track[rows], level * _bump(times_s, (begin_s, phrase_s), fades_s), out=track[rows])
    return track


def _times_within(first_s: float, last_s: float, frames: int) -> tuple[Float64Array, slice]:
    """Return the times of the frames from ``first_s`` to ``last_s``, seconds, and their rows."""
    rows = slice(max(0, int(np.ceil(first_s * FRAME_RATE_HZ))), min(frames, int(last_s * FRAME_RATE_HZ) + 1))
    return np.arange(rows.start, rows.stop) / FRAME_RATE_HZ, rows


def _bump(times_s: Float64Array, span_s: tuple[float, float], fades_s: tuple[float, float]) -> Float64Array:
    """Return values in [0, 1] at ``times_s`` that rise from the start of a span and fall to 0 until its end."""
    rise = minimum_jerk(np.clip((times_s - span_s[0]) / fades_s[0], 0.0, 1.0))
    fall = minimum_jerk(np.clip((span_s[1] - times_s) / fades_s[1], 0.0, 1.0))
    return rise * fall
