"""Lip sync error: distance and confidence of SyncNet's features of lips and sound (LSE-D, LSE-C).

The definitions are those of joonson/syncnet_python and of Wav2Lip's evaluation (Prajwal et al. 2020): each window of
the picture is compared with the windows of the sound up to 15 frames earlier and later. At the shift with the smallest
mean distance, that distance is LSE-D; the median over the shifts minus it is LSE-C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

MAX_SHIFT_FRAMES: Final = 15
EPSILON: Final = 1e-6
"""Added to each difference, as ``torch.nn.functional.pairwise_distance`` does."""
SMOOTHED: Final = 13
"""Frames of the median that smooths the face box."""
CROP_SCALE: Final = 0.4
"""Margin of the crop to the left, right and below, relative to half of the longer side of the face box."""


class LipSyncError(NamedTuple):
    """Distance and confidence of the features of lips and sound.

    distance: LSE-D, lower is better. confidence: LSE-C, higher is better. offset: shift in frames with the smallest
    distance; 0 is in sync, positive if the sound is earlier than the picture.
    """

    distance: float
    confidence: float
    offset: int


class CropBox(NamedTuple):
    """Square around a face: first row and column, and sides; it may reach beyond the picture."""

    top: int
    left: int
    height: int
    width: int


def lip_sync_error(faces: Float32Array, sounds: Float32Array, max_shift: int = MAX_SHIFT_FRAMES) -> LipSyncError:
    """Return the error of features (N, D) of faces and of sound; sound before the start and after the end is zero."""
    means = shift_distances(faces, sounds, max_shift).mean(axis=0)
    best = int(means.argmin())
    # The middle of an odd number of values, as torch.median gives it.
    return LipSyncError(float(means[best]), float(np.median(means) - means[best]), max_shift - best)


def shift_distances(faces: Float32Array, sounds: Float32Array, max_shift: int = MAX_SHIFT_FRAMES) -> Float64Array:
    """Return the distances (N, 2 * max_shift + 1) of each face from the sound ``max_shift`` frames earlier to later."""
    padded = np.pad(np.asarray(sounds, np.float64), ((max_shift, max_shift), (0, 0)))
    exact = np.asarray(faces, np.float64)
    columns = [
        np.linalg.norm(exact - padded[shift : shift + len(exact)] + EPSILON, axis=1)
        for shift in range(2 * max_shift + 1)
    ]
    return np.stack(columns, axis=1)


def crop_boxes(boxes: Float64Array) -> list[CropBox]:
    """Return the crops that SyncNet's pipeline cuts for face boxes (T, 4): left, top, right, bottom in pixels.

    Size and centre are smoothed over time; near the ends the median includes zeros, as in the authors' code.
    """
    sizes = np.maximum(boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]) / 2
    half, x, y = (running_median(values) for values in (sizes, *(boxes[:, :2] + boxes[:, 2:]).T / 2))
    crops = []
    for size, across, down in zip(half, x, y, strict=True):
        border = int(size * (1 + 2 * CROP_SCALE))  # of the padded picture, in which the limits are truncated
        middle_x, middle_y = across + border, down + border
        top, bottom = int(middle_y - size), int(middle_y + size * (1 + 2 * CROP_SCALE))
        left, right = int(middle_x - size * (1 + CROP_SCALE)), int(middle_x + size * (1 + CROP_SCALE))
        crops.append(CropBox(top - border, left - border, bottom - top, right - left))
    return crops


def running_median(values: Float64Array) -> Float64Array:
    """Return the median (T,) of 13 values around each value (T,); values beyond the ends count as 0."""
    reach = SMOOTHED // 2
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, (reach, reach)), SMOOTHED)
    medians: Float64Array = np.median(windows, axis=1)
    return medians
