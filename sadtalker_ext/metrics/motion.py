"""Measures of head motion: diversity, beat alignment, jitter.

Diversity and beat alignment follow SadTalker, section 4.1: "the diversity of generated head motions by the standard
deviation of head motion feature embeddings" and "Beat Align Score as in Bailando" (Siyao et al. 2022, section 4.1).
The paper's features are the outputs of Hopenet, that is, head angles in degrees; here they are the angles of
the predicted motion or of a tracked video, so the figures compare with each other, not with the paper's table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Track = NDArray[np.floating[Any]]
    Frames = NDArray[np.integer[Any]]

FRAME_RATE_HZ = 25.0
BEAT_SIGMA_FRAMES = 3.0
"""Bailando's sigma."""
SMOOTHING_S = 0.08
SLOWEST_BEAT_DEG_PER_S = 5.0


def diversity_deg(rotation: Track) -> float:
    """Standard deviation in degrees over time of pitch, yaw and roll, averaged; ``rotation`` is (T, 3) radians."""
    return float(np.rad2deg(rotation).std(axis=0).mean())


def jitter_deg_per_s3(rotation: Track, frame_rate_hz: float = FRAME_RATE_HZ) -> float:
    """Root mean square of the third derivative of the angles, degrees per s^3; 0 below four frames."""
    if len(rotation) < 4:
        return 0.0
    jerk = np.diff(np.rad2deg(np.asarray(rotation, np.float64)), n=3, axis=0) * frame_rate_hz**3
    return float(np.sqrt(np.mean(jerk**2)))


def kinematic_beats(rotation: Track) -> Frames:
    """Frames where the head's angular speed has a local minimum: where a movement ends or turns.

    rotation: (T, 3) radians at 25 Hz. As in Bailando's code the angles are smoothed first (sigma 0.08 s), and a
    movement that never reaches 5 degrees per second is none, so that a tracker's tremble makes no beats.
    """
    if len(rotation) < 5:
        return np.zeros(0, np.int64)
    offsets = np.arange(-6, 7)
    kernel = np.exp(-0.5 * (offsets / (SMOOTHING_S * FRAME_RATE_HZ)) ** 2)
    padded = np.pad(np.rad2deg(np.asarray(rotation, np.float64)), ((6, 6), (0, 0)), mode="edge")
    angles = np.stack([np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T], axis=1)
    speed = np.linalg.norm(np.diff(angles, axis=0), axis=1) * FRAME_RATE_HZ
    beats, last = [], 0
    for frame in 1 + np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] <= speed[2:])):
        if speed[last : frame + 1].max() >= SLOWEST_BEAT_DEG_PER_S:
            beats.append(frame)
            last = frame
    return np.array(beats, np.int64)


def beat_alignment(
    sound_beats: Frames, motion_beats: Frames, sigma_frames: float = BEAT_SIGMA_FRAMES
) -> float:
    """Mean over the beats of the sound of exp(-d^2 / (2 sigma^2)), d frames to the nearest beat of the motion.

    1 is a movement on every beat, 0 none near any; nan where the sound has no beat.
    """
    if len(sound_beats) == 0:
        return float("nan")
    if len(motion_beats) == 0:
        return 0.0
    distance = np.abs(np.asarray(sound_beats)[:, None] - np.asarray(motion_beats)[None, :]).min(axis=1)
    return float(np.mean(np.exp(-0.5 * (distance / sigma_frames) ** 2)))


def speech_beats(emphasis: Track, least: float = 0.12) -> NDArray[np.int64]:
    """Frames of the stressed syllables: local maxima of an emphasis track (T,) in [0, 1]."""
    inner = emphasis[1:-1]
    beats: NDArray[np.int64] = 1 + np.flatnonzero((inner > least) & (inner >= emphasis[:-2]) & (inner > emphasis[2:]))
    return beats


def fast_share(rotation: Track, above_hz: float = 5.0, frame_rate_hz: float = FRAME_RATE_HZ) -> float:
    """Share in [0, 1] of the power of angular velocity above a frequency; people have next to none above 5 Hz."""
    velocity = np.diff(np.asarray(rotation, np.float64), axis=0)
    if len(velocity) < 8:
        return 0.0
    power = np.abs(np.fft.rfft((velocity - velocity.mean(axis=0)) * np.hanning(len(velocity))[:, None], axis=0)) ** 2
    hz = np.fft.rfftfreq(len(velocity), 1.0 / frame_rate_hz)
    total = float(power.sum())
    return float(power[hz > above_hz].sum() / total) if total > 0 else 0.0
