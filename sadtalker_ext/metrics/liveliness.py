"""Liveliness of a talking head: four measures of THEval (Quignon et al., CVPR 2026), from landmarks.

Definitions follow the public scripts of THEval (github.com/Newbyl/THEval, Apache-2.0), which name no units. Frames
without a face are left out. Two details differ: the scripts read head angles from FaceXFormer and the face box from
RetinaFace, here both come from the face mesh.

Each value has a closeness to real people, ``1 - |value - real| / real``, with the mean of THEval's 5011 real videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from sadtalker_ext.arrays import true_runs
from sadtalker_ext.geometry.landmarks import LIPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array

FRAME_SIDE: Final = 256.0
"""The scripts for lips squeeze every frame to a square of this side before they measure pixels."""
LEFT_BROW: Final = (276, 282, 283, 285, 293, 295, 296, 300, 334, 336)
RIGHT_BROW: Final = (46, 52, 53, 55, 63, 65, 66, 70, 105, 107)
LEFT_EYE: Final = (249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466)
RIGHT_EYE: Final = (7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246)
UPPER_LIP: Final = (191, 80, 81, 82, 13, 312, 311, 310)
LOWER_LIP: Final = (95, 88, 178, 87, 14, 317, 402, 318)
OUTER_EYE_CORNERS: Final = (33, 263)
MIN_SILENCE_S: Final = 0.3
"""Shorter pauses do not count as silence."""


class HumanStatistics(NamedTuple):
    """Means over the real videos of THEval, from its file examples/gt_metrics.csv."""

    lip_dynamics: float = 1.716603
    head_motion: float = 18.46757
    eyebrows: float = 0.006777
    silent_lips: float = 0.0263


HUMAN_STATISTICS: Final = HumanStatistics()


def closeness(value: float, real: float) -> float:
    """Return ``1 - |value - real| / real``: 1 is equal, 0 is as far as no motion at all."""
    return 1.0 - abs(value - real) / abs(real)


def lip_shape(mesh: Float32Array, size_px: tuple[int, int]) -> Float64Array:
    """Return the distances (780,) between all pairs of lip points, in pixels of a frame squeezed to 256 x 256.

    mesh: (478, 3) pixels. size_px: (width, height) of the frame.
    """
    points = _squeezed(mesh[sorted(LIPS)], size_px)
    first, second = np.triu_indices(len(points), 1)
    distances: Float64Array = np.linalg.norm(points[first] - points[second], axis=1)
    return distances


def lip_dynamics(shapes: NDArray[np.floating[Any]]) -> float:
    """Return the standard deviation over time of each lip distance, averaged over the distances; shapes (T, 780).

    Source: Naturalness/lip_dynamics.py.
    """
    return float(np.mean(np.std(shapes, axis=0)))


def head_motion_dynamics(rotation_deg: Float64Array, centres_px: Float64Array) -> float:
    """Return ``sqrt(s * v + t)`` of the head's angles (T, 3) in degrees and the centre of the face box (T, 2), pixels.

    s: standard deviation of an angle. v: variance of its change from frame to frame. t: variance of a coordinate of the
    centre. Each is averaged over its columns. t is in squared pixels and by far the largest, so the value is about the
    standard deviation of the head's place in pixels, and depends on the size of the picture.

    Source: Naturalness/head_motion_dynamics.py.
    """
    spread = float(np.std(rotation_deg, axis=0).mean())
    changes = np.diff(rotation_deg, axis=0)
    unsteadiness = float(np.var(changes, axis=0).mean()) if len(changes) > 1 else 0.0
    travel = float(np.var(centres_px, axis=0).mean()) if len(centres_px) > 1 else 0.0
    return float(np.sqrt(spread * unsteadiness + travel))


def brow_heights(mesh: Float32Array) -> Float64Array:
    """Return the distance (2,) between the centres of brow and eye, left and right, over that between both eyes."""
    left_eye, right_eye, left_brow, right_brow = (
        mesh[list(points), :2].astype(np.float64).mean(axis=0)
        for points in (LEFT_EYE, RIGHT_EYE, LEFT_BROW, RIGHT_BROW)
    )
    heights = np.array([np.linalg.norm(left_brow - left_eye), np.linalg.norm(right_brow - right_eye)])
    relative: Float64Array = heights / max(float(np.linalg.norm(left_eye - right_eye)), 1e-9)
    return relative


def eyebrow_dynamics(heights: Float64Array) -> float:
    """Return the mean absolute change of brow heights (T, 2) from frame to frame; 0 with fewer than two frames.

    Source: Naturalness/eyebrow_dynamics.py.
    """
    return float(np.abs(np.diff(heights, axis=0)).mean()) if len(heights) > 1 else 0.0


def lip_gap(mesh: Float32Array, size_px: tuple[int, int]) -> float:
    """Return the mean vertical gap between the inner lips over the distance of the outer eye corners.

    Both are measured in the frame squeezed to a square. mesh: (478, 3) pixels. size_px: (width, height).
    """
    upper, lower = (_squeezed(mesh[list(points)], size_px)[:, 1] for points in (UPPER_LIP, LOWER_LIP))
    right, left = _squeezed(mesh[list(OUTER_EYE_CORNERS)], size_px)
    return float(np.abs(upper - lower).mean() / max(float(np.linalg.norm(left - right)), 1e-9))


def silent_lip_stability(gaps: Sequence[float] | Float64Array) -> float:
    """Return the median distance of the lip gaps in silence from their mean; nan with fewer than two.

    Source: Synchronization/silent_lip_stability.py.
    """
    if len(gaps) < 2:
        return float("nan")
    values = np.asarray(gaps, np.float64)
    return float(np.median(np.abs(values - values.mean())))


def silent_frames(speech_s: Sequence[tuple[float, float]], rate_hz: float, frames: int) -> NDArray[np.bool_]:
    """Return whether each frame (frames,) belongs to a pause of at least :data:`MIN_SILENCE_S`.

    speech_s: start and end of each stretch of speech, seconds.
    """
    silent = np.ones(frames, bool)
    for start_s, end_s in speech_s:
        silent[int(start_s * rate_hz) : int(end_s * rate_hz) + 1] = False
    for start, end in true_runs(silent):
        if end - start < MIN_SILENCE_S * rate_hz:
            silent[start:end] = False
    return silent


def _squeezed(points: Float32Array, size_px: tuple[int, int]) -> Float64Array:
    squeezed: Float64Array = points[:, :2].astype(np.float64) * (FRAME_SIDE / np.array(size_px, np.float64))
    return squeezed
