"""Eyes of drawings, which are often several times larger than those that face landmarks expect.

Drawn skin is flat, so the eye is the connected area around the iris that has another colour.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.curves import Axes, Curve
from sadtalker_ext.puppet.face_geometry import EyeFrame, FaceGeometry, Iris
from sadtalker_ext.puppet.lab_colour import rgb_to_lab

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

_SAMPLES: Final = 28
"""Samples per half eye width of the patch in which an eye is searched."""
_ACROSS: Final = 1.5
_DOWN: Final = 1.9
"""Reach of the patch to both sides and below the landmarks' eye, in its half widths."""
_BROW_SHARE: Final = 0.8
"""Reach of the patch above the landmarks' eye, as a share of the distance to the brow."""
_COLOUR: Final = 16.0
"""Distance from the skin's colour (CIE Lab) above which a sample belongs to lashes and iris; shadows are nearer."""
_STRAND_SAMPLES: Final = 3
_HIGHLIGHT_SAMPLES: Final = 7
"""Sizes, in samples, of strands of hair that are cut off and of highlights that are filled."""
_ROW_WIDTH: Final = 0.35
_COLUMN_HEIGHT: Final = 0.25
"""Share of the widest row and of the highest column that a row and a column of the eye must reach: strands of hair and
lashes are thinner."""
_LARGER: Final = 1.8
"""Eyes are replaced if both are this many times as high as the landmarks say,"""
_TALL: Final = 0.6
"""and if both are this many times as high as wide: the eyes of people are not, and landmarks fit them well."""
_LASH_SHARE: Final = 0.10
"""Thickness of the upper lash line, as a share of the eye's height; it belongs to the lid."""
_MARGIN: Final = 1.12
"""Width of the covered area relative to the eye's: lids reach beyond its outline."""
_BELOW_SHARE: Final = 0.14
"""Distance of the lower lid below the eye, as a share of the eye's height."""
_LID_POWER: Final = 3
"""Exponent of the lids' outline ``1 - |u|^3``: drawn eyes are rounded boxes."""
_IRIS_SHARE: Final = 0.42
"""Radius of the iris as a share of the eye's height."""
_CURVE_REACH: Final = 1.6
_CURVE_STEPS: Final = 128
"""Range of the tabulated lids in half widths of the eye, and its steps."""
_MIN_FOLD: Final = 0.35
"""Smallest distance from the upper lid to the brow, in half eye widths."""
_LID_ASIDE: Final = 0.8
_LID_FROM: Final = 0.25
_LID_SAMPLES: Final = 15
"""Where the skin above an eye is compared with the cheek: to both sides of its middle (half eye widths), from this
distance above the upper lid (openings) to the brow, and the samples in each direction."""
_MIN_LIT: Final = 0.1
"""Share of these samples that has the colour of the cheek, below which the eye is in the shade."""


class _Extent(NamedTuple):
    """Borders of an eye in its axes, pixels."""

    left: float
    right: float
    top: float
    bottom: float


def refine_drawn_eyes(picture: Image, face: FaceGeometry, mesh: Float32Array) -> FaceGeometry:
    """Return ``face`` with the eyes of a drawing (H, W, 3) as large as they are drawn; mesh (478, 3) in pixels."""
    skin = cheek_colour(picture, mesh)
    eyes = (face.left_eye, face.right_eye)
    extents = [_find_eye(picture, eye, skin) for eye in eyes]
    if not all(_is_large(extent, eye) for extent, eye in zip(extents, eyes, strict=True)):
        return face
    found = [extent for extent in extents if extent is not None]
    top = min(extent.top / eye.half_px for extent, eye in zip(found, eyes, strict=True))
    bottom = max(extent.bottom / eye.half_px for extent, eye in zip(found, eyes, strict=True))
    left, right = (
        _box_eye(extent._replace(top=top * eye.half_px, bottom=bottom * eye.half_px), eye)
        for extent, eye in zip(found, eyes, strict=True)
    )
    return replace(face, left_eye=left, right_eye=right)


def cheek_colour(picture: Image, mesh: Float32Array) -> Float64Array:
    """Return the RGB levels (3,) of the skin on the cheeks."""
    cheeks = mesh[list(topo.CHEEK_SKIN), :2].astype(np.float32)
    levels = cv2.remap(picture, cheeks[None, :, 0], cheeks[None, :, 1], cv2.INTER_LINEAR)[0]
    colour: Float64Array = np.median(levels, axis=0).astype(np.float64)
    return colour


def flat_skin_at(picture: Image, eye: EyeFrame, skin: Float64Array | None) -> Float64Array | None:
    """Return the colour ``skin`` (3,) of a drawing, or None where nothing above the eye has it.

    The eye is then in the shade of hair or of a hat, and a lid in the colour of the cheek would shine there.
    """
    if skin is None or eye.drawn:
        return skin
    t, above = np.meshgrid(
        np.linspace(-_LID_ASIDE, _LID_ASIDE, _LID_SAMPLES) * eye.half_px,
        np.linspace(_LID_FROM * eye.opening_px, _BROW_SHARE * eye.crease_px, _LID_SAMPLES),
    )
    where = eye.axes.pixels(t, eye.upper(t) - above).astype(np.float32)
    levels = cv2.remap(picture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return skin if float((skin_distance(levels, skin) < _COLOUR).mean()) > _MIN_LIT else None


def skin_distance(levels: NDArray[np.generic], skin: Float64Array, lightness_weight: float = 1.0) -> Float32Array:
    """Return the distance (h, w) in CIE Lab of RGB levels (h, w, 3) from the colour ``skin`` (3,).

    lightness_weight: factor of the difference in lightness.
    """
    difference = (rgb_to_lab(levels) - rgb_to_lab(skin)) * np.array([lightness_weight, 1.0, 1.0], np.float32)
    return np.asarray(np.linalg.norm(difference, axis=-1), np.float32)


def _is_large(extent: _Extent | None, eye: EyeFrame) -> bool:
    if extent is None:
        return False
    height, width = extent.bottom - extent.top, extent.right - extent.left
    return height > _LARGER * eye.opening_px and height > _TALL * width


def _box_eye(extent: _Extent, eye: EyeFrame) -> EyeFrame:
    """Return an eye whose lids are the rounded box ``extent`` in the axes of the landmarks' ``eye``."""
    height, width = extent.bottom - extent.top, extent.right - extent.left
    half = _MARGIN * width / 2.0
    centre = np.array([(extent.left + extent.right) / 2.0]), np.array([(extent.top + extent.bottom) / 2.0])
    axes = Axes(eye.axes.pixels(*centre)[0], eye.axes.along, eye.axes.down)
    u = np.linspace(-_CURVE_REACH, _CURVE_REACH, _CURVE_STEPS + 1)
    bulge = np.maximum(1.0 - np.abs(u) ** _LID_POWER, 0.0)
    start, step = -_CURVE_REACH * half, 2.0 * _CURVE_REACH * half / _CURVE_STEPS
    brow = float(np.min(eye.upper.values)) - eye.crease_px - float(centre[1][0])
    upper = -(0.5 - _LASH_SHARE) * height
    return EyeFrame(
        axes=axes,
        half_px=half,
        upper=Curve(start, step, upper * bulge),
        lower=Curve(start, step, (0.5 + _BELOW_SHARE) * height * bulge),
        iris=Iris(0.0, 0.0, _IRIS_SHARE * height),
        crease_px=max(upper - brow, _MIN_FOLD * half),
        drawn=True,
    )


def _find_eye(picture: Image, eye: EyeFrame, skin: Float64Array) -> _Extent | None:
    """Return the borders of the drawn eye around the landmarks' one, or None without an area of another colour."""
    top = float(np.min(eye.upper.values)) - _BROW_SHARE * eye.crease_px
    bottom = float(np.max(eye.lower.values)) + _DOWN * eye.half_px
    step = eye.half_px / _SAMPLES
    t, v = np.meshgrid(np.arange(-_ACROSS * eye.half_px, _ACROSS * eye.half_px, step), np.arange(top, bottom, step))
    where = eye.axes.pixels(t, v).astype(np.float32)
    levels = cv2.remap(picture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    other = (skin_distance(levels, skin) > _COLOUR).astype(np.uint8)
    for operation, size in ((cv2.MORPH_OPEN, _STRAND_SAMPLES), (cv2.MORPH_CLOSE, _HIGHLIGHT_SAMPLES)):
        other = np.asarray(cv2.morphologyEx(other, operation, np.ones((size, size), np.uint8)), np.uint8)
    _, labels = cv2.connectedComponents(other)
    near = np.hypot(t - eye.iris.t_px, v - eye.iris.v_px) < eye.iris.radius_px
    found = labels[near & (labels > 0)]
    if len(found) == 0:
        return None
    area = labels == np.bincount(found).argmax()
    columns = _run(area.sum(axis=0), _COLUMN_HEIGHT, int(np.argmin(np.abs(t[0] - eye.iris.t_px))))
    rows = _run(area[:, columns].sum(axis=1), _ROW_WIDTH, int(np.argmin(np.abs(v[:, 0] - eye.iris.v_px))))
    return _Extent(t[0, columns.start], t[0, columns.stop - 1], v[rows.start, 0], v[rows.stop - 1, 0])


def _run(counts: NDArray[np.int64], share: float, at: int) -> slice:
    """Return the longest run around ``at`` of places whose count is at least ``share`` of the largest."""
    low = np.flatnonzero(counts < share * counts.max())
    before, after = low[low < at], low[low > at]
    start = int(before[-1]) + 1 if len(before) else 0
    return slice(start, int(after[0]) if len(after) else len(counts))
