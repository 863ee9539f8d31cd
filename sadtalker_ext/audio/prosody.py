"""Prosody of speech at the frame rate of the video: what head, brows and lids follow.

Only the 25 Hz tracks are kept, so memory hardly grows with the length of the sound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.audio.pitch import FrameTracks, measure_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_RATE_HZ = 25.0
VOICED = 0.55
"""Autocorrelation from which a frame counts as voiced."""
QUIETEST_VOICE_DB = -75.0
DYNAMIC_RANGE_DB = 30.0
"""From the loudest syllables down to what still counts as speech."""
FLOOR_MARGIN_DB = 6.0
NEAR_FRAMES = 4
"""Loud frames so near to a voiced one belong to its phrase."""
PAUSE_S = 0.28
"""A shorter gap is a stop consonant or a hesitation, not a phrase boundary (Goldman-Eisler's 0.25 s)."""
SHORTEST_PHRASE_S = 0.2
SYLLABLE_S = 0.16
"""Two peaks of loudness closer than this belong to one syllable."""


@dataclass(frozen=True)
class Prosody:
    """Loudness, pitch and phrasing at 25 Hz; every track is (T,) float32.

    energy: loudness in [0, 1]; 0 is silence or background, 1 the speaker's loudest syllables.
    speech: how surely somebody speaks, in [0, 1], smooth in time.
    pitch_st: semitones above the speaker's median, in [-12, 12]; carried through unvoiced frames, 0 in silence.
    emphasis: in [0, 1]; a bump of about 0.2 s on each syllable that stands out in loudness and pitch.
    phrase_starts, phrase_ends: (P,) int, first frame of each phrase and the first frame after it.
    """

    energy: NDArray[np.float32]
    speech: NDArray[np.float32]
    pitch_st: NDArray[np.float32]
    emphasis: NDArray[np.float32]
    phrase_starts: NDArray[np.int64]
    phrase_ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.energy)


def read_prosody(blocks: Iterable[NDArray[np.float32]], frames: int | None = None) -> Prosody:
    """Prosody of consecutive blocks of mono 16 kHz samples in [-1, 1].

    ``frames`` fixes the number of video frames; without it every begun 40 ms of sound is one frame.
    The result does not depend on where the blocks are cut.
    """
    tracks = measure_frames(blocks, frames)
    voiced = _voiced(tracks)
    phrases = _phrases(tracks, voiced)
    active = np.zeros(len(voiced), bool)
    for start, end in phrases:
        active[start:end] = True
    speech = np.clip(smooth(active.astype(np.float64), 0.05), 0.0, 1.0)
    energy = _energy(tracks, active) * speech
    pitch_st = _pitch_st(tracks, voiced & active) * speech
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


def smooth(track: NDArray[np.float64], sigma_s: float) -> NDArray[np.float64]:
    """Gaussian smoothing of a (T,) track, edge values continued; ``sigma_s`` in seconds at 25 Hz."""
    sigma = sigma_s * FRAME_RATE_HZ
    reach = max(1, int(np.ceil(3.0 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    smoothed: NDArray[np.float64] = np.convolve(np.pad(track, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
    return smoothed


def _level_range(level_db: NDArray[np.float32]) -> tuple[float, float]:
    """Level where speech begins and level of the loudest syllables, in dB of full scale."""
    floor, peak = np.percentile(level_db, [5.0, 97.0])
    low = max(float(peak) - DYNAMIC_RANGE_DB, QUIETEST_VOICE_DB)
    if peak - floor < DYNAMIC_RANGE_DB:
        low = max(low, float(floor) + min(FLOOR_MARGIN_DB, 0.3 * float(peak - floor)))
    return low, max(float(peak), low + 6.0)


def _voiced(tracks: FrameTracks) -> NDArray[np.bool_]:
    """Voiced frames (T,): periodic, loud enough, and not alone."""
    low, _ = _level_range(tracks.level_db)
    voiced = (tracks.voicing > VOICED) & (tracks.level_db > low)
    padded = np.pad(voiced, 1)
    accompanied: NDArray[np.bool_] = voiced & (padded[:-2] | padded[2:])
    return accompanied


def _phrases(tracks: FrameTracks, voiced: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first frame, first frame after) of each stretch of speech without a pause."""
    low, _ = _level_range(tracks.level_db)
    near_voice = np.convolve(np.pad(voiced, NEAR_FRAMES), np.ones(2 * NEAR_FRAMES + 1), mode="valid") > 0
    runs = _runs(near_voice & (tracks.level_db > low))
    pause = round(PAUSE_S * FRAME_RATE_HZ)
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < pause:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    shortest = round(SHORTEST_PHRASE_S * FRAME_RATE_HZ)
    return [(start, end) for start, end in joined if end - start >= shortest]


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(np.int8), 1)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _energy(tracks: FrameTracks, active: NDArray[np.bool_]) -> NDArray[np.float64]:
    low, _ = _level_range(tracks.level_db)
    loud = tracks.level_db[active]
    high = max(float(np.percentile(loud, 95.0)) if len(loud) else low, low + 6.0)
    energy: NDArray[np.float64] = np.clip((tracks.level_db - low) / (high - low), 0.0, 1.0).astype(np.float64)
    return energy


def _pitch_st(tracks: FrameTracks, voiced: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Semitones (T,) above the median of the voiced frames; octave errors folded, gaps bridged."""
    if voiced.sum() < 3:
        return np.zeros(len(voiced))
    semitones = 12.0 * np.log2(tracks.pitch_hz.astype(np.float64))
    values = semitones[voiced] - np.median(semitones[voiced])
    values = np.where(values > 9.0, values - 12.0, np.where(values < -9.0, values + 12.0, values))
    padded = np.pad(values, 2, mode="edge")
    values = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    bridged = np.interp(np.arange(len(voiced)), np.flatnonzero(voiced), values)
    return smooth(np.clip(bridged, -12.0, 12.0), 0.04)


def prosody_features(prosody: Prosody) -> NDArray[np.float32]:
    """The tracks a motion network reads, (T, 6) float32 of order one.

    Columns: energy, speech, pitch in half octaves, emphasis, and a bump of about half a second on each begin
    and each end of a phrase.
    """
    times = np.arange(len(prosody))[:, None]
    width = 0.2 * FRAME_RATE_HZ
    bumps = []
    for edges in (prosody.phrase_starts, prosody.phrase_ends):
        track = np.zeros(len(prosody))
        for edge in edges:
            near = slice(max(0, int(edge) - 20), int(edge) + 21)
            np.maximum(track[near], np.exp(-0.5 * ((times[near, 0] - edge) / width) ** 2), out=track[near])
        bumps.append(track)
    tracks = (prosody.energy, prosody.speech, prosody.pitch_st / 6.0, prosody.emphasis, *bumps)
    features: NDArray[np.float32] = np.stack(tracks, axis=1).astype(np.float32)
    return features


def emphasis_track(energy: NDArray[np.float64], pitch_st: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bumps (T,) in [0, 1] on the syllables that stand out from the second around them.

    energy: (T,) in [0, 1]; pitch_st: (T,) semitones, as in :class:`Prosody`.
    """
    loudness = smooth(energy, 0.05)
    rise = np.clip((loudness - smooth(energy, 0.6)) / 0.4, -1.0, 1.0)
    accent = np.clip((pitch_st - smooth(pitch_st, 0.6)) / 4.0, -1.0, 1.0)
    prominence = np.clip(0.65 * rise + 0.5 * smooth(accent, 0.05), 0.0, 1.0)
    reach = round(SYLLABLE_S * FRAME_RATE_HZ)
    padded = np.pad(loudness, reach)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    peaks = np.flatnonzero((loudness >= highest) & (loudness > 0.25) & (prominence > 0.12))
    track = np.zeros(len(energy))
    offsets = np.arange(-8, 9)
    for peak in peaks:
        inside = peak + offsets
        keep = (inside >= 0) & (inside < len(track))
        bump = prominence[peak] * np.exp(-0.5 * (offsets / 2.0) ** 2)
        track[inside[keep]] = np.maximum(track[inside[keep]], bump[keep])
    return track
