"""The seam of a closed mouth: the dark line between the lips, found in the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.curves import Curve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

_COLUMNS: Final = 65
_ROWS: Final = 41
"""Samples of the searched strip along and across the mouth."""
_STRIP_WIDTH: Final = 0.97
"""Reach of the strip to both sides, in half mouth widths: the corners themselves stay."""
_STRIP_REACH: Final = 0.028
"""Reach of the strip above and below the landmarks' mouth line, in face heights: the error of the landmarks."""
_BLUR: Final = 0.004
_MIN_BLUR_PX: Final = 0.6
"""Standard deviation of the blur before the search, in face heights, and its minimum: suppresses noise."""
_MIN_CONTRAST: Final = 4.0
"""Smallest standard deviation of a column, in grey levels, so that noise in a flat column is not amplified."""
_CENTRE_COST: Final = 1.4
"""Cost, in standard deviations of a column's levels, of a seam at the border of the strip."""
_STEP_COST: Final = 0.25
"""Cost, in the same unit, of moving by one row from a column to the next: keeps the seam smooth."""
_SMOOTHING_SAMPLES: Final = 7
"""Length of the Hann window that smooths the path along the mouth."""
_TAPER: Final = 0.12
"""Distance from the corners, in half mouth widths, within which the correction fades to 0."""

_BAND_COLUMNS: Final = 25
_BAND_ROWS: Final = 15
_BAND_WIDTH: Final = 0.6
"""Samples of the bands beside the seam, and their reach to both sides in half mouth widths."""
_BAND_REACH: Final = 0.6
_BAND_LIP: Final = 0.4
"""Height of the sampled band and where the lip's own brightness begins, as shares of the lip's thickness."""
_BAND_END: Final = 0.75
"""The dark band ends at this share of the way from the seam's brightness to the lip's."""
_BAND_CONTRAST: Final = 10.0
"""Difference of both, in grey levels, below which a column has no dark band."""
_MAX_BAND: Final = 0.012
"""Largest height of a band, in face heights."""


def refine_seam(picture: Image, face: FaceGeometry) -> FaceGeometry:
    """Return ``face`` with the seam of a closed mouth moved to the dark line between the lips.

    The line is the cheapest path through a strip of the picture. A face with an open mouth is returned as it is.
    """
    mouth = face.mouth
    if face.mouth_is_open:
        return face
    t = np.linspace(-_STRIP_WIDTH * mouth.left_px, _STRIP_WIDTH * mouth.right_px, _COLUMNS)
    offsets = np.linspace(-_STRIP_REACH * face.height_px, _STRIP_REACH * face.height_px, _ROWS)
    path = _cheapest_path(_seam_cost(picture, face, t, offsets))
    pad, window = _SMOOTHING_SAMPLES // 2, np.hanning(_SMOOTHING_SAMPLES + 2)
    offset = np.convolve(np.pad(offsets[path], pad, mode="edge"), window[1:-1] / window.sum(), "valid")
    taper = np.clip((1.0 - np.abs(mouth.normalised(t))) / _TAPER, 0.0, 1.0)
    grid = mouth.upper.start + mouth.upper.step * np.arange(len(mouth.upper.values))
    base = (mouth.upper.values + mouth.lower.values) / 2.0
    seam = Curve(mouth.upper.start, mouth.upper.step, base + np.interp(grid, t, offset * taper, left=0.0, right=0.0))
    return replace(face, mouth=replace(mouth, upper=seam, lower=seam, gap_px=0.0))


def dark_bands(picture: Image, face: FaceGeometry) -> tuple[float, float]:
    """Return the heights, in face heights, of the dark bands that the seam leaves on the upper and the lower lip.

    They are the shadow in the groove between closed lips, which parting lips do not have.
    """
    mouth = face.mouth
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    t = np.linspace(-_BAND_WIDTH * mouth.left_px, _BAND_WIDTH * mouth.right_px, _BAND_COLUMNS)[None, :]
    share = np.linspace(0.0, _BAND_REACH, _BAND_ROWS)[:, None]
    heights = []
    for edge, thickness_px in ((mouth.upper(t), -mouth.upper_thickness_px), (mouth.lower(t), mouth.lower_thickness_px)):
        where = mouth.axes.pixels(*np.broadcast_arrays(t, edge + share * thickness_px)).astype(np.float32)
        levels = cv2.remap(grey, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        lip = np.median(levels[share[:, 0] >= _BAND_LIP], axis=0)
        dark = np.cumprod(levels < levels[0] + _BAND_END * (lip - levels[0]), axis=0).sum(axis=0)
        rows = float(np.median(np.where(lip - levels[0] > _BAND_CONTRAST, dark, 0)))
        heights.append(min(rows * _BAND_REACH / (_BAND_ROWS - 1) * abs(thickness_px) / face.height_px, _MAX_BAND))
    return heights[0], heights[1]


def _seam_cost(picture: Image, face: FaceGeometry, t: Float64Array, offsets: Float64Array) -> Float64Array:
    """Return the cost (rows, columns) of a seam at ``offsets`` (rows,) from the mouth line: low where it is dark."""
    mouth, unit = face.mouth, face.height_px
    v = ((mouth.upper(t) + mouth.lower(t)) / 2.0)[None, :] + offsets[:, None]
    where = mouth.axes.pixels(t[None, :], v).astype(np.float32)
    sharp = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(sharp, (0, 0), max(_MIN_BLUR_PX, _BLUR * unit))
    strip = cv2.remap(grey, where[..., 0], where[..., 1], cv2.INTER_LINEAR)
    contrast = np.maximum(strip.std(axis=0, keepdims=True), _MIN_CONTRAST)
    far = (offsets[:, None] / (_STRIP_REACH * unit)) ** 2
    cost = (strip - strip.mean(axis=0, keepdims=True)) / contrast + _CENTRE_COST * far
    return np.asarray(cost, np.float64)


def _cheapest_path(cost: Float64Array) -> NDArray[np.int64]:
    """Return the row per column of the path with the least cost that moves at most one row per column.

    Dynamic programming over ``cost`` (rows, columns).
    """
    rows, columns = cost.shape
    total = cost.copy()
    for column in range(1, columns):
        before = np.pad(total[:, column - 1], 1, constant_values=np.inf)
        choices = np.stack([before[:-2] + _STEP_COST, before[1:-1], before[2:] + _STEP_COST])
        total[:, column] += choices.min(axis=0)
    path = np.zeros(columns, np.int64)
    path[-1] = int(np.argmin(total[:, -1]))
    for column in range(columns - 2, -1, -1):
        row = int(path[column + 1])
        nearby = np.arange(max(row - 1, 0), min(row + 2, rows))
        step_cost = total[nearby, column] + _STEP_COST * (nearby != row)
        path[column] = int(nearby[np.argmin(step_cost)])
    return path
