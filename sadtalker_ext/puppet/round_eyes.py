"""Outlines of large round eyes, as those of dolls and of animals in animated films.

Face landmarks end on the iris of such eyes. A second graph cut, which starts from what the first one found beyond the
landmarks, gives an ellipse around the iris; the eye ends where the picture becomes darker around that ellipse: at the
rim of the eye, behind the white if there is any. The closed path with the largest sum of such steps is found by
dynamic programming in polar coordinates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.curves import Axes, Curve
from sadtalker_ext.puppet.eye_patch import SAMPLES, cut_eye, lab_bytes, sample_eye
from sadtalker_ext.puppet.face_geometry import EyeFrame, FaceGeometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.puppet.eye_patch import EyePatch

_REACH: Final = (2.3, 1.3, 1.6)
"""Reach of the patch to both sides of the eye, above and below the lids, in half eye widths."""
_ITERATIONS: Final = 3
"""Rounds of fitting the colour models and cutting."""
_CERTAIN_WITHIN: Final = 0.1
_PROBABLE_WITHIN, _POSSIBLE_WITHIN = 0.2, 0.9
"""What is certainly eye, probably eye and possibly eye: distances inside and outside of what was found before, in half
eye widths."""
_OPENED_SAMPLES: Final = 5
"""Size, in samples, of strands that are cut off from the eye."""
_DIRECTIONS: Final = 64
_RADII: Final = np.arange(1.0, 1.75, 0.03)
"""Directions in which the rim is searched, and the distances, relative to the ellipse around the iris."""
_STEP_RADII: Final = 2
"""Distance over which the picture becomes darker at a rim, in entries of the radii."""
_TURN: Final = 0.02
"""Penalty of a path for leaving its radius, relative to a step to black."""
_MIN_LIGHTNESS: Final = 20.0
"""Smallest median lightness (0 to 255) to which steps are relative."""
_MARGIN: Final = 1.06
"""Size of the covered area relative to the ellipse at the rim."""
_CURVE_REACH: Final = 1.6
_CURVE_STEPS: Final = 128
"""Range of the tabulated lids in half widths of the eye, and its steps."""
_MIN_FOLD: Final = 0.8
"""Smallest height of the skin above the upper lid, in half eye widths: these characters have no brows near the eye."""


class _Ellipse(NamedTuple):
    """An ellipse in samples of a patch, as OpenCV describes it. degrees: the direction of the first diameter."""

    centre: tuple[float, float]
    diameters: tuple[float, float]
    degrees: float

    @classmethod
    def fit(cls, points: NDArray[np.integer[Any] | np.floating[Any]]) -> _Ellipse:
        """Return the ellipse of least squares through points (N, 2)."""
        (x, y), (first, second), degrees = cv2.fitEllipse(points)
        return cls((x, y), (first, second), degrees)

    def half_sizes(self) -> Float64Array:
        """Return half the width and half the height (2,) of the upright box around the ellipse."""
        turn = np.deg2rad(self.degrees)
        first, second = np.array(self.diameters) / 2.0
        along = np.array([np.cos(turn), np.sin(turn)])
        return np.asarray(np.hypot(first * along, second * along[::-1]), np.float64)


class _Box(NamedTuple):
    """The upright box around an eye in half widths of the landmarks' eye: centre and half sizes, (2,) each."""

    centre: Float64Array
    half: Float64Array


def cover_round_eyes(picture: Image, face: FaceGeometry, found: tuple[EyePatch, EyePatch]) -> FaceGeometry:
    """Return ``face`` with the lids of round eyes.

    found: the surroundings of the left and of the right eye, with what was found to be eye. Both eyes get the height of
    the larger one.
    """
    eyes = (face.left_eye, face.right_eye)
    boxes = [_find_box(picture, eye, patch) for eye, patch in zip(eyes, found, strict=True)]
    top = min(box.centre[1] - box.half[1] for box in boxes)
    bottom = max(box.centre[1] + box.half[1] for box in boxes)
    left, right = (
        _elliptic_eye(
            eye, _Box(np.array([box.centre[0], (top + bottom) / 2.0]), np.array([box.half[0], (bottom - top) / 2.0]))
        )
        for eye, box in zip(eyes, boxes, strict=True)
    )
    return replace(face, left_eye=left, right_eye=right)


def _find_box(picture: Image, eye: EyeFrame, patch: EyePatch) -> _Box:
    """Return the box around the rim of the eye of which ``patch`` contains a part."""
    aside, above, below = _REACH
    u = np.arange(-aside, aside, 1.0 / SAMPLES)
    v = np.arange(patch.upper.min() - above, patch.lower.max() + below, 1.0 / SAMPLES)
    across, down = np.meshgrid(u, v)
    lab = lab_bytes(sample_eye(picture, eye, across, down))
    x, y = ((across - patch.u[0]) * SAMPLES).astype(np.float32), ((down - patch.v[0]) * SAMPLES).astype(np.float32)
    before = cv2.remap(patch.eye.astype(np.uint8), x, y, cv2.INTER_NEAREST)
    core = cv2.fillConvexPoly(np.zeros_like(before), _hull(before), (1,))
    outside = cv2.distanceTransform(1 - core, cv2.DIST_L2, 5) / SAMPLES
    inside = cv2.distanceTransform(core, cv2.DIST_L2, 5) / SAMPLES
    labels = np.full(core.shape, cv2.GC_BGD, np.uint8)
    labels[outside < _POSSIBLE_WITHIN] = cv2.GC_PR_BGD
    labels[outside < _PROBABLE_WITHIN] = cv2.GC_PR_FGD
    labels[inside > _CERTAIN_WITHIN] = cv2.GC_FGD
    eye_now = cut_eye(lab, labels, core > 0, _ITERATIONS).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_OPENED_SAMPLES, _OPENED_SAMPLES))
    iris = _Ellipse.fit(_hull(np.maximum(cv2.morphologyEx(eye_now, cv2.MORPH_OPEN, kernel), core)))
    rim = _Ellipse.fit(_find_rim(lab[..., 0].astype(np.float32), iris))
    return _Box(np.array([u[0], v[0]]) + np.array(rim.centre) / SAMPLES, _MARGIN * rim.half_sizes() / SAMPLES)


def _hull(mask: NDArray[np.generic]) -> NDArray[np.int32]:
    """Return the corners (N, 2) of the convex hull of what is set in ``mask`` (h, w)."""
    return np.asarray(cv2.convexHull(np.argwhere(mask)[:, ::-1].astype(np.int32))[:, 0], np.int32)


def _find_rim(lightness: Float32Array, iris: _Ellipse) -> Float32Array:
    """Return the points (N, 2) around ``iris``, in samples, at which the picture becomes darker outwards."""
    angles = 2.0 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    turn = np.deg2rad(iris.degrees)
    first, second = np.cos(angles) * iris.diameters[0] / 2.0, np.sin(angles) * iris.diameters[1] / 2.0
    x = iris.centre[0] + (np.cos(turn) * first - np.sin(turn) * second)[:, None] * _RADII
    y = iris.centre[1] + (np.sin(turn) * first + np.cos(turn) * second)[:, None] * _RADII
    smooth = cv2.GaussianBlur(lightness, (0, 0), 1.0)
    levels = cv2.remap(
        smooth, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    steps = np.zeros_like(levels, np.float64)
    inner = slice(_STEP_RADII, -_STEP_RADII)
    steps[:, inner] = np.maximum(levels[:, : -2 * _STEP_RADII] - levels[:, 2 * _STEP_RADII :], 0.0)
    at = _closed_path(steps / max(float(np.median(levels)), _MIN_LIGHTNESS))
    each = np.arange(_DIRECTIONS)
    return np.asarray(np.stack([x[each, at], y[each, at]], axis=-1), np.float32)


def _closed_path(scores: Float64Array) -> NDArray[np.int64]:
    """Return, for each row of ``scores`` (N, M), the column of the path with the largest sum, around more than once."""
    rows = np.concatenate([scores] * 3)
    total, back = rows[0].copy(), []
    for row in rows[1:]:
        before = np.pad(total, 1, constant_values=-np.inf)
        choices = np.stack([before[:-2] - _TURN, before[1:-1], before[2:] - _TURN])
        back.append(choices.argmax(axis=0) - 1)
        total = choices.max(axis=0) + row
    path = [int(total.argmax())]
    for step in reversed(back):
        path.append(path[-1] + int(step[path[-1]]))
    return np.array(path[::-1])[len(scores) : 2 * len(scores)]


def _elliptic_eye(eye: EyeFrame, box: _Box) -> EyeFrame:
    """Return an eye whose lids are the ellipse in ``box`` in the axes of the landmarks' ``eye``."""
    half, height = box.half * eye.half_px
    t, v = box.centre * eye.half_px
    axes = Axes(eye.axes.pixels(np.array([t]), np.array([v]))[0], eye.axes.along, eye.axes.down)
    u = np.linspace(-_CURVE_REACH, _CURVE_REACH, _CURVE_STEPS + 1)
    lid = height * np.sqrt(np.maximum(1.0 - u**2, 0.0))
    start, step = -_CURVE_REACH * half, 2.0 * _CURVE_REACH * half / _CURVE_STEPS
    brow = float(np.min(eye.upper.values)) - eye.crease_px - v
    return EyeFrame(
        axes=axes,
        half_px=half,
        upper=Curve(start, step, -lid),
        lower=Curve(start, step, lid),
        iris=eye.iris._replace(t_px=eye.iris.t_px - t, v_px=eye.iris.v_px - v),
        crease_px=max(-height - brow, _MIN_FOLD * half),
        drawn=True,
    )
