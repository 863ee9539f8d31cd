"""The coefficient sequences of the official SadTalker pipeline: blinks, poses, windows and free view.

Pure functions on arrays. What the official code does and users hate is kept only where a name says so.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.geometry.motion import Motion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

EXPRESSION = slice(0, 64)
POSE = slice(64, 70)
CROP = slice(70, 73)
WINDOW_RADIUS = 13
SMOOTHING_FRAMES = 13
SMOOTHING_ORDER = 2
BLINK_SHAPE = (0.5, 0.9, 1.0, 0.9, 0.5)
SHORTEST_GAP, LONGEST_GAP = 10, 70
SHORTEST_CLIP_WITH_BLINK = 22
"""Frames; at 21 the official code fails because its range of gaps is empty, below it never blinks."""
FACE_HEIGHT_UNITS: Final = 1.9
"""Height of the mean face, hairline to chin, in units of the 3DMM's translation."""
ROTATION_SIGNS: Final = np.array([1.0, 1.0, -1.0], np.float32)
"""3DMM angles are right-handed with y up: its roll leans to the viewer's left, Motion's to the right."""
TRANSLATION_SIGNS: Final = np.array([1.0, -1.0, 1.0], np.float32)
"""3DMM translation counts y upwards."""


def place_blinks(frames: int, shape: Sequence[float], next_gap: Callable[[], int]) -> Floats:
    """Lid closing (T, 1) in [0, 1]: a gap, a blink of ``shape``, and so on while a whole blink fits."""
    ratio = np.zeros((frames, 1), dtype=np.float32)
    at = next_gap()
    while at + len(shape) <= frames - 1:
        ratio[at : at + len(shape), 0] = shape
        at += len(shape) + next_gap()
    return ratio


def random_blinks(frames: int, rng: Random) -> Floats:
    """Blinks (T, 1) at random gaps, the draws in the official order."""
    if frames < SHORTEST_CLIP_WITH_BLINK:
        return np.zeros((frames, 1), dtype=np.float32)
    gaps = range(min(SHORTEST_GAP, frames), min(frames // 2, LONGEST_GAP))
    return place_blinks(frames, BLINK_SHAPE, lambda: rng.choice(gaps))


def loop_to_length(rows: Floats, frames: int) -> Floats:
    """Rows (N, D) repeated or cut to (T, D)."""
    return np.take(rows, np.arange(frames) % len(rows), axis=0)


def smooth_poses(poses: Floats) -> Floats:
    """Savitzky-Golay over time of poses (T, 6); fewer than three frames are returned as they are."""
    from scipy.signal import savgol_filter

    frames = len(poses)
    window = SMOOTHING_FRAMES if frames >= SMOOTHING_FRAMES else 2 * ((frames - 1) // 2) + 1
    if window <= SMOOTHING_ORDER:
        return poses
    return np.asarray(savgol_filter(poses, window, SMOOTHING_ORDER, axis=0), dtype=np.float32)


def drive_coefficients(generated: Floats, source: Floats) -> Floats:
    """Driving coefficients (T, 70 or 73) from generated ones (T, 70) and those of the source (70 or 73,).

    The crop values of the source, if it has them, are repeated in every frame.
    """
    crop = np.broadcast_to(source[CROP], (len(generated), len(source) - CROP.start))
    return np.concatenate((generated, crop), axis=1)


def coefficient_windows(coefficients: Floats, frames: Sequence[int]) -> Floats:
    """Windows (len(frames), D, 27) around the given frames of (T, D); the ends repeat."""
    offsets = np.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1)
    index = np.clip(np.asarray(frames)[:, None] + offsets, 0, len(coefficients) - 1)
    return np.ascontiguousarray(coefficients[index].transpose(0, 2, 1))


def still_window(coefficients: Floats) -> Floats:
    """The window (1, D, 27) of a face that does not move, from its coefficients (D,)."""
    return np.repeat(coefficients[None, :, None], 2 * WINDOW_RADIUS + 1, axis=2)


def official_free_view(keyframes_deg: Sequence[float], frames: int) -> NDArray[np.float64]:
    """Angles (T,) in degrees through keyframes at constant speed, as the official code walks them.

    The ends of segments are left out and the last value is held, so the last keyframe itself is never reached.
    Equal neighbours and clips of one frame, on which the official code divides by zero, hold the angle.
    """
    path = [float(keyframes_deg[0])]
    distance = float(np.abs(np.diff(keyframes_deg)).sum())
    if distance > 0 and frames > 1:
        step = distance / (frames - 1)
        segments = [
            np.arange(a, b, step if b > a else -step)
            for a, b in itertools.pairwise(keyframes_deg)
            if a != b
        ]
        path = np.concatenate(segments).tolist()
    path = path[:frames]
    return np.asarray(path + path[-1:] * (frames - len(path)), dtype=np.float64)


def to_motion(coefficients: Floats) -> Motion:
    """Coefficients (T, 70 or more) of the 3DMM as motion; the inverse of :func:`from_motion`."""
    pose = coefficients[:, POSE]
    return Motion(
        np.ascontiguousarray(coefficients[:, EXPRESSION]),
        pose[:, :3] * ROTATION_SIGNS,
        pose[:, 3:] * TRANSLATION_SIGNS / np.float32(FACE_HEIGHT_UNITS),
    )


def from_motion(motion: Motion) -> Floats:
    """Motion as coefficients (T, 70): expression 64, angles 3 (radians), translation 3."""
    translation = motion.translation * TRANSLATION_SIGNS * np.float32(FACE_HEIGHT_UNITS)
    return np.concatenate((motion.expression, motion.rotation * ROTATION_SIGNS, translation), axis=1)
