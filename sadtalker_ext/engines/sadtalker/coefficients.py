"""Coefficient sequences of the official SadTalker pipeline: blinks, poses, windows and free view.

Pure functions on arrays. A row of coefficients has 64 expression coefficients, 3 angles (radians) and 3 translations of
the 3DMM (Deep3DFaceRecon), and for the pasting modes 3 crop values.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.geometry.motion import Motion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from sadtalker_ext.arrays import Float32Array, Float64Array

EXPRESSION: Final = slice(0, 64)
POSE: Final = slice(64, 70)
CROP: Final = slice(70, 73)
"""Columns of a coefficient row."""
WINDOW_RADIUS: Final = 13
"""Frames before and after the current one in the input of MappingNet."""
SMOOTHING_FRAMES: Final = 13
SMOOTHING_ORDER: Final = 2
"""Window and polynomial order of the Savitzky-Golay filter over poses."""
BLINK_SHAPE: Final = (0.5, 0.9, 1.0, 0.9, 0.5)
"""Eyelid closure in consecutive frames of a blink."""
MIN_BLINK_GAP, MAX_BLINK_GAP = 10, 70
"""Frames between two blinks: the range of the official code."""
MIN_CLIP_WITH_BLINK: Final = 22
"""Frames. The official code fails at 21, because its range of gaps is empty, and never blinks below."""
FACE_HEIGHT_UNITS: Final = 1.9
"""Height of the mean face, hairline to chin, in the translation units of the 3DMM."""
ROTATION_SIGNS: Final = np.array([1.0, 1.0, -1.0], np.float32)
"""3DMM angles are right-handed with y up: positive roll tilts to the viewer's left, in Motion to the right."""
TRANSLATION_SIGNS: Final = np.array([1.0, -1.0, 1.0], np.float32)
"""The y axis of the 3DMM points up, that of Motion down."""


def random_blinks(frames: int, rng: Random) -> Float32Array:
    """Return eyelid closure (T, 1) in [0, 1] with blinks at random gaps, drawn in the order of the official code."""
    closure = np.zeros((frames, 1), dtype=np.float32)
    if frames < MIN_CLIP_WITH_BLINK:
        return closure
    gaps = range(min(MIN_BLINK_GAP, frames), min(frames // 2, MAX_BLINK_GAP))
    start = rng.choice(gaps)
    while start + len(BLINK_SHAPE) <= frames - 1:
        closure[start : start + len(BLINK_SHAPE), 0] = BLINK_SHAPE
        start += len(BLINK_SHAPE) + rng.choice(gaps)
    return closure


def loop_to_length(rows: Float32Array, frames: int) -> Float32Array:
    """Repeat or cut rows (N, D) to (T, D)."""
    return np.take(rows, np.arange(frames) % len(rows), axis=0)


def smooth_poses(poses: Float32Array) -> Float32Array:
    """Apply the Savitzky-Golay filter over time to poses (T, 6); fewer than three frames are returned unchanged."""
    from scipy.signal import savgol_filter

    frames = len(poses)
    window = SMOOTHING_FRAMES if frames >= SMOOTHING_FRAMES else 2 * ((frames - 1) // 2) + 1
    if window <= SMOOTHING_ORDER:
        return poses
    return np.asarray(savgol_filter(poses, window, SMOOTHING_ORDER, axis=0), dtype=np.float32)


def drive_coefficients(generated: Float32Array, source: Float32Array) -> Float32Array:
    """Return driving coefficients (T, 70 or 73) from generated ones (T, 70) and those of the source (70 or 73,).

    The crop values of the source, if it has them, are repeated in every frame.
    """
    crop = np.broadcast_to(source[CROP], (len(generated), len(source) - CROP.start))
    return np.concatenate((generated, crop), axis=1)


def coefficient_windows(coefficients: Float32Array, frames: Sequence[int]) -> Float32Array:
    """Return windows (len(frames), D, 27) around the given frames of (T, D); the end rows are repeated."""
    offsets = np.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1)
    index = np.clip(np.asarray(frames)[:, None] + offsets, 0, len(coefficients) - 1)
    return np.ascontiguousarray(coefficients[index].transpose(0, 2, 1))


def still_window(coefficients: Float32Array) -> Float32Array:
    """Return the window (1, D, 27) of a motionless face with coefficients (D,)."""
    return np.repeat(coefficients[None, :, None], 2 * WINDOW_RADIUS + 1, axis=2)


def official_free_view(keyframes_deg: Sequence[float], frames: int) -> Float64Array:
    """Return angles (T,) in degrees through keyframes at constant speed, as the official code computes them.

    Segments exclude their end and the last value is repeated, so the last keyframe itself is never reached. For equal
    neighbours and clips of one frame, where the official code divides by zero, the angle stays constant.
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


def to_motion(coefficients: Float32Array) -> Motion:
    """Convert 3DMM coefficients (T, 70 or more) to motion; the inverse of :func:`from_motion`."""
    pose = coefficients[:, POSE]
    return Motion(
        np.ascontiguousarray(coefficients[:, EXPRESSION]),
        pose[:, :3] * ROTATION_SIGNS,
        pose[:, 3:] * TRANSLATION_SIGNS / np.float32(FACE_HEIGHT_UNITS),
    )


def from_motion(motion: Motion) -> Float32Array:
    """Convert motion to coefficients (T, 70): expression 64, angles 3 (radians), translation 3."""
    translation = motion.translation * TRANSLATION_SIGNS * np.float32(FACE_HEIGHT_UNITS)
    return np.concatenate((motion.expression, motion.rotation * ROTATION_SIGNS, translation), axis=1)
