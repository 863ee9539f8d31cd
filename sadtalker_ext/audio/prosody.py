"""Prosody of speech at the frame rate of the video, the input of head, brow and eyelid motion.

Only tracks at 25 Hz are kept, so memory hardly grows with the length of the audio.

Own code: librosa.onset detects onsets of energy in any sound; phrases and emphasis need voicing and pitch, and
importing librosa would delay the first frame (see :mod:`sadtalker_ext.audio.pitch`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.arrays import Float32Array, Float64Array, Samples, true_runs
from sadtalker_ext.audio.pitch import FrameTracks, measure_frames
from sadtalker_ext.constants import FRAME_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

VOICED = 0.55
"""Autocorrelation from which a frame counts as voiced."""
MIN_SPEECH_DB = -75.0
"""Lower frames are never speech, dB of full scale."""
DYNAMIC_RANGE_DB = 30.0
"""Range of speech below the loudest syllables."""
MIN_RANGE_DB = 6.0
"""Smallest range between the start of speech and the loudest syllables."""
FLOOR_MARGIN_DB = 6.0
"""Speech starts at least this far above the background, or :data:`FLOOR_MARGIN_SHARE` of the range if that is less."""
FLOOR_MARGIN_SHARE = 0.3
FLOOR_PERCENTILE, PEAK_PERCENTILE, LOUD_PERCENTILE = 5.0, 97.0, 95.0
"""Percentiles of the level: background, loudest syllables of the clip, and loudest frames of speech."""
NEAR_FRAMES = 4
"""Loud frames this close to a voiced one belong to its phrase."""
PAUSE_S = 0.28
"""A shorter gap is a stop consonant or a hesitation, not a phrase boundary (Goldman-Eisler's 0.25 s)."""
MIN_PHRASE_S = 0.2
SYLLABLE_S = 0.16
"""Loudness peaks closer than this belong to one syllable."""
SPEECH_SMOOTHING_S = 0.05
MIN_VOICED_FRAMES = 3
"""Fewer voiced frames have no reliable median pitch."""
MAX_OCTAVE_ERROR_ST = 9.0
"""Semitones from the median beyond which the pitch is an octave error and moved by an octave."""
OCTAVE_ST = 12.0
PITCH_MEDIAN_FRAMES = 5
PITCH_SMOOTHING_S = 0.04
PITCH_UNIT_ST = 6.0
"""Unit of the pitch feature: half an octave."""
PHRASE_BUMP_S = 0.2
"""Standard deviation of the bump at each start and end of a phrase."""
PHRASE_BUMP_REACH_FRAMES = 20
SYLLABLE_SMOOTHING_S, CONTEXT_SMOOTHING_S = 0.05, 0.6
"""Standard deviations of the loudness of a syllable and of its surroundings."""
RISE_UNIT, ACCENT_UNIT_ST = 0.4, 4.0
"""Rise of loudness and of pitch (semitones) above the surroundings that count as full emphasis."""
RISE_WEIGHT, ACCENT_WEIGHT = 0.65, 0.5
MIN_LOUDNESS, MIN_PROMINENCE = 0.25, 0.12
"""Syllables below either have no emphasis."""
EMPHASIS_SIGMA_FRAMES, EMPHASIS_REACH_FRAMES = 2.0, 8
"""Shape of the bump on an emphasised syllable."""


@dataclass(frozen=True)
class Prosody:
    """Loudness, pitch and phrasing at 25 Hz; every track is (T,) float32.

    energy: loudness in [0, 1]; 0 is silence or background, 1 the loudest syllables of the speaker.
    speech: speech activity in [0, 1], smooth in time.
    pitch_st: semitones relative to the median of the speaker, in [-12, 12]; interpolated in unvoiced frames, 0 in
    silence.
    emphasis: in [0, 1]; a bump of about 0.2 s on each syllable that is louder or higher than its surroundings.
    phrase_starts, phrase_ends: (P,) int, first frame of each phrase and first frame after it.
    """

    energy: Float32Array
    speech: Float32Array
    pitch_st: Float32Array
    emphasis: Float32Array
    phrase_starts: NDArray[np.int64]
    phrase_ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.energy)


def measure_prosody(blocks: Iterable[Samples], frames: int | None = None) -> Prosody:
    """Measure the prosody of consecutive blocks of mono 16 kHz samples in [-1, 1].

    frames: number of video frames; by default one for every started 40 ms. The result does not depend on the block
    size.
    """
    tracks = measure_frames(blocks, frames)
    voiced = _detect_voiced(tracks)
    phrases = _find_phrases(tracks, voiced)
    active = np.zeros(len(voiced), bool)
    for start, end in phrases:
        active[start:end] = True
    speech = np.clip(smooth(active.astype(np.float64), SPEECH_SMOOTHING_S), 0.0, 1.0)
    energy = _scale_level(tracks, active) * speech
    pitch_st = _relative_pitch_st(tracks, voiced & active) * speech
    emphasis = emphasis_track(energy, pitch_st)
    edges = np.array(phrases, np.int64).reshape(-1, 2)
    return Prosody(
        energy=energy.astype(np.float32),
        speech=speech.astype(np.float32),
        pitch_st=pitch_st.astype(np.float32),
        emphasis=emphasis.astype(np.float32),
        phrase_starts=edges[:, 0],
        phrase_ends=edges[:, 1],
    )


def smooth(track: Float64Array, sigma_s: float) -> Float64Array:
    """Smooth a track (T,) at 25 Hz with a Gaussian of ``sigma_s`` seconds; edge values are repeated."""
    sigma = sigma_s * FRAME_RATE_HZ
    reach = max(1, int(np.ceil(3.0 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    smoothed: Float64Array = np.convolve(np.pad(track, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
    return smoothed


def _speech_threshold_db(level_db: Float32Array) -> float:
    """Return the level from which a frame is speech, in dB of full scale."""
    floor, peak = np.percentile(level_db, [FLOOR_PERCENTILE, PEAK_PERCENTILE])
    low = max(float(peak) - DYNAMIC_RANGE_DB, MIN_SPEECH_DB)
    if peak - floor < DYNAMIC_RANGE_DB:
        low = max(low, float(floor) + min(FLOOR_MARGIN_DB, FLOOR_MARGIN_SHARE * float(peak - floor)))
    return low


def _detect_voiced(tracks: FrameTracks) -> NDArray[np.bool_]:
    """Return which frames (T,) are voiced: periodic, loud enough and next to another voiced frame."""
    low = _speech_threshold_db(tracks.level_db)
    voiced = (tracks.voicing > VOICED) & (tracks.level_db > low)
    padded = np.pad(voiced, 1)
    with_neighbour: NDArray[np.bool_] = voiced & (padded[:-2] | padded[2:])
    return with_neighbour


def _find_phrases(tracks: FrameTracks, voiced: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first frame, first frame after) of each phrase, speech without a pause."""
    low = _speech_threshold_db(tracks.level_db)
    near_voice = np.convolve(np.pad(voiced, NEAR_FRAMES), np.ones(2 * NEAR_FRAMES + 1), mode="valid") > 0
    speaks = near_voice & (tracks.level_db > low)
    return joined_runs(speaks, round(PAUSE_S * FRAME_RATE_HZ), round(MIN_PHRASE_S * FRAME_RATE_HZ))


def joined_runs(flags: NDArray[np.bool_], pause: float, shortest: float) -> list[tuple[int, int]]:
    """Return (first, first after) of each run of true flags, joined over gaps below ``pause``, of ``shortest`` or more.

    pause, shortest: in flags.
    """
    joined: list[tuple[int, int]] = []
    for start, end in true_runs(flags):
        if joined and start - joined[-1][1] < pause:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [(start, end) for start, end in joined if end - start >= shortest]


def _scale_level(tracks: FrameTracks, active: NDArray[np.bool_]) -> Float64Array:
    """Return the loudness (T,) in [0, 1] relative to the active frames."""
    low = _speech_threshold_db(tracks.level_db)
    loud = tracks.level_db[active]
    high = max(float(np.percentile(loud, LOUD_PERCENTILE)) if len(loud) else low, low + MIN_RANGE_DB)
    energy: Float64Array = np.clip((tracks.level_db - low) / (high - low), 0.0, 1.0).astype(np.float64)
    return energy


def _relative_pitch_st(tracks: FrameTracks, voiced: NDArray[np.bool_]) -> Float64Array:
    """Return semitones (T,) relative to the median of the voiced frames, without octave errors and gaps."""
    if voiced.sum() < MIN_VOICED_FRAMES:
        return np.zeros(len(voiced))
    semitones = OCTAVE_ST * np.log2(tracks.pitch_hz.astype(np.float64))
    values = semitones[voiced] - np.median(semitones[voiced])
    values = np.where(values > MAX_OCTAVE_ERROR_ST, values - OCTAVE_ST, values)
    values = np.where(values < -MAX_OCTAVE_ERROR_ST, values + OCTAVE_ST, values)
    padded = np.pad(values, PITCH_MEDIAN_FRAMES // 2, mode="edge")
    values = np.median(np.lib.stride_tricks.sliding_window_view(padded, PITCH_MEDIAN_FRAMES), axis=1)
    interpolated = np.interp(np.arange(len(voiced)), np.flatnonzero(voiced), values)
    return smooth(np.clip(interpolated, -OCTAVE_ST, OCTAVE_ST), PITCH_SMOOTHING_S)


def prosody_features(prosody: Prosody) -> Float32Array:
    """Return the prosody features (T, 6) float32 of a motion network, of order one.

    Columns: energy, speech, pitch in half octaves, emphasis, and bumps of about half a second at each start and each
    end of a phrase.
    """
    times = np.arange(len(prosody))[:, None]
    width = PHRASE_BUMP_S * FRAME_RATE_HZ
    bumps = []
    for edges in (prosody.phrase_starts, prosody.phrase_ends):
        track = np.zeros(len(prosody))
        for edge in edges:
            near = slice(max(0, int(edge) - PHRASE_BUMP_REACH_FRAMES), int(edge) + PHRASE_BUMP_REACH_FRAMES + 1)
            np.maximum(track[near], np.exp(-0.5 * ((times[near, 0] - edge) / width) ** 2), out=track[near])
        bumps.append(track)
    tracks = (prosody.energy, prosody.speech, prosody.pitch_st / PITCH_UNIT_ST, prosody.emphasis, *bumps)
    features: Float32Array = np.stack(tracks, axis=1).astype(np.float32)
    return features


def emphasis_track(energy: Float64Array, pitch_st: Float64Array) -> Float64Array:
    """Return bumps (T,) in [0, 1] on syllables that are louder or higher than the second around them.

    energy: (T,) in [0, 1]; pitch_st: (T,) semitones, as in :class:`Prosody`.
    """
    loudness = smooth(energy, SYLLABLE_SMOOTHING_S)
    rise = np.clip((loudness - smooth(energy, CONTEXT_SMOOTHING_S)) / RISE_UNIT, -1.0, 1.0)
    accent = np.clip((pitch_st - smooth(pitch_st, CONTEXT_SMOOTHING_S)) / ACCENT_UNIT_ST, -1.0, 1.0)
    prominence = np.clip(RISE_WEIGHT * rise + ACCENT_WEIGHT * smooth(accent, SYLLABLE_SMOOTHING_S), 0.0, 1.0)
    reach = round(SYLLABLE_S * FRAME_RATE_HZ)
    padded = np.pad(loudness, reach)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    peaks = np.flatnonzero((loudness >= highest) & (loudness > MIN_LOUDNESS) & (prominence > MIN_PROMINENCE))
    track = np.zeros(len(energy))
    offsets = np.arange(-EMPHASIS_REACH_FRAMES, EMPHASIS_REACH_FRAMES + 1)
    for peak in peaks:
        inside = peak + offsets
        keep = (inside >= 0) & (inside < len(track))
        bump = prominence[peak] * np.exp(-0.5 * (offsets / EMPHASIS_SIGMA_FRAMES) ** 2)
        track[inside[keep]] = np.maximum(track[inside[keep]], bump[keep])
    return track
