"""Head motion metrics: diversity, beat alignment and jitter.

Diversity and beat alignment follow SadTalker, section 4.1: "the diversity of generated head motions by the standard
deviation of head motion feature embeddings" and "Beat Align Score as in Bailando" (Siyao et al. 2022, section 4.1).
The features in the paper are the outputs of Hopenet, which are head angles in degrees. Here they are the angles of the
predicted motion or of a tracked video, so the values are comparable with each other, but not with those of the paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Track = NDArray[np.floating[Any]]
    """Values over time, float32 or float64."""
    Frames = NDArray[np.integer[Any]]
    """Frame numbers."""

_BEAT_SIGMA_FRAMES: Final = 3.0
"""Sigma of Bailando."""
_SMOOTHING_S: Final = 0.08
_SMOOTHING_FRAMES: Final = 6
"""Sigma of the Gaussian that smooths the angles, and where it is cut off."""
_MIN_BEAT_DEG_PER_S: Final = 5.0
"""Slower movement has no beats, so that the noise of a tracker does not count."""


def diversity_deg(rotation: Track) -> float:
    """Return the standard deviation over time in degrees, averaged over the angles; ``rotation`` is (T, 3) radians."""
    return float(np.rad2deg(rotation).std(axis=0).mean())


def jitter_deg_per_s3(rotation: Track, frame_rate_hz: float = FRAME_RATE_HZ) -> float:
    """Return the root mean square jerk of the angles in degrees per s^3; 0 with fewer than four frames."""
    if len(rotation) < 4:
        return 0.0
    jerk = np.diff(np.rad2deg(np.asarray(rotation, np.float64)), n=3, axis=0) * frame_rate_hz**3
    return float(np.sqrt(np.mean(jerk**2)))


def kinematic_beats(rotation: Track) -> Frames:
    """Return the frames at which the angular speed has a local minimum, where a movement ends or turns.

    rotation: (T, 3) radians at 25 Hz. As in Bailando's code, the angles are smoothed first (sigma 0.08 s). Movements
    that do not reach 5 degrees per second are ignored.
    """
    if len(rotation) < 5:
        return np.zeros(0, np.int64)
    reach = _SMOOTHING_FRAMES
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (_SMOOTHING_S * FRAME_RATE_HZ)) ** 2)
    padded = np.pad(np.rad2deg(np.asarray(rotation, np.float64)), ((reach, reach), (0, 0)), mode="edge")
    angles = np.stack([np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T], axis=1)
    speed = np.linalg.norm(np.diff(angles, axis=0), axis=1) * FRAME_RATE_HZ
    beats, last = [], 0
    for frame in 1 + np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] <= speed[2:])):
        if speed[last : frame + 1].max() >= _MIN_BEAT_DEG_PER_S:
            beats.append(frame)
            last = frame
    return np.array(beats, np.int64)


def beat_alignment(audio_beats: Frames, motion_beats: Frames) -> float:
    """Return the mean over all audio beats of exp(-d^2 / (2 sigma^2)); d is the distance to the nearest motion beat.

    sigma is 3 frames. The value is 1 if every audio beat has a motion beat, 0 if none has one near it, and nan without
    audio beats.
    """
    if len(audio_beats) == 0:
        return float("nan")
    if len(motion_beats) == 0:
        return 0.0
    distance = np.abs(np.asarray(audio_beats)[:, None] - np.asarray(motion_beats)[None, :]).min(axis=1)
    return float(np.mean(np.exp(-0.5 * (distance / _BEAT_SIGMA_FRAMES) ** 2)))


def speech_beats(emphasis: Track, threshold: float = 0.12) -> NDArray[np.int64]:
    """Return the frames of the stressed syllables: local maxima above ``threshold`` of emphasis (T,) in [0, 1]."""
    inner = emphasis[1:-1]
    peaks = (inner > threshold) & (inner >= emphasis[:-2]) & (inner > emphasis[2:])
    beats: NDArray[np.int64] = 1 + np.flatnonzero(peaks)
    return beats


def fast_share(rotation: Track, above_hz: float = 5.0, frame_rate_hz: float = FRAME_RATE_HZ) -> float:
    """Return the share in [0, 1] of the power of the angular velocity above a frequency.

    Human heads have almost no power above 5 Hz.
    """
    velocity = np.diff(np.asarray(rotation, np.float64), axis=0)
    if len(velocity) < 8:
        return 0.0
    power = np.abs(np.fft.rfft((velocity - velocity.mean(axis=0)) * np.hanning(len(velocity))[:, None], axis=0)) ** 2
    hz = np.fft.rfftfreq(len(velocity), 1.0 / frame_rate_hz)
    total = float(power.sum())
    return float(power[hz > above_hz].sum() / total) if total > 0 else 0.0
