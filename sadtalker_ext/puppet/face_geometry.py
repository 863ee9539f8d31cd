"""Axes, units and curves of one face, measured from its landmarks.

All lengths are pixels of the picture. Local coordinates of the mouth are ``t`` (along the line from the picture-left
to the picture-right corner) and ``v`` (down, perpendicular to it), with the origin between the lips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.curves import Axes, Curve, fit_curve, make_axes

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

OPEN_SOURCE_GAP: Final = 0.012
"""A portrait whose lips are farther apart than this, in face heights, has an open mouth."""
_MIN_FACE_HEIGHT_PX: Final = 8.0
_MIN_FACE_WIDTH_PX: Final = 6.0
_MIN_HALF_WIDTH_PX: Final = 2.0
"""Smallest distance from the middle to a corner of a mouth or an eye."""
_MIN_LIP_PX: Final = 1.0
"""Smallest thickness of a lip. These minima keep divisions finite for tiny and strongly turned faces."""
_MOUTH_CURVE_REACH: Final = 2.5
"""Range in which lip curves are tabulated, in half mouth widths from the middle; the fields of the
cheeks read them too."""
_EYE_CURVE_REACH: Final = 1.6
"""Range in which lid curves are tabulated, in half eye widths from the middle; the eye box is 1.35 wide."""
_LIP_DEGREE: Final = 5
_LID_DEGREE: Final = 4
"""Degrees of the polynomials fitted to the 11 points of a lip and the 9 points of a lid."""
_NEUTRAL_MOUTH_WIDTH: Final = 0.82
"""Width of a relaxed mouth, as a share of the distance between the eyes' middles (median of tracked portraits)."""
_MAX_EXCESS_WIDTH: Final = 0.4
"""Largest excess width; more comes from misplaced landmarks."""
_MIN_CREASE: Final = 0.35
"""Smallest distance from the upper lid to the brow, in half eye widths, where the brow lies close to the eye."""


@dataclass(frozen=True)
class MouthFrame:
    """The mouth: local axes, half widths to both corners, lip curves v(t) and lip thicknesses.

    upper, lower: inner edges of the lips, equal where the mouth is closed. gap_px: largest distance between them.
    excess_width: how much wider than a relaxed mouth it is, as a share of the relaxed width; a broad smile has 0.25.
    """

    axes: Axes
    left_px: float
    right_px: float
    upper: Curve
    lower: Curve
    upper_thickness_px: float
    lower_thickness_px: float
    gap_px: float
    excess_width: float

    @property
    def width_px(self) -> float:
        """Distance between the mouth corners."""
        return self.left_px + self.right_px

    def normalised(self, t: Float64Array) -> Float64Array:
        """Return ``t`` in half widths: -1 at the picture-left corner, 1 at the picture-right one."""
        return np.where(t < 0.0, t / self.left_px, t / self.right_px)


class Iris(NamedTuple):
    """Centre of an iris in its eye's axes, and its radius."""

    t_px: float
    v_px: float
    radius_px: float


@dataclass(frozen=True)
class EyeFrame:
    """One eye: local axes with the origin midway between its corners, lid curves v(t), and the iris.

    crease_px: distance from the upper lid up to the brow, whose skin can cover the closing eye. drawn: whether it is a
    large eye of a drawing, whose lids are flat skin instead of stretched one. outer: direction of the outer corner
    along the axes, -1 or 1; 0 where that corner does not move in a blink.
    """

    axes: Axes
    half_px: float
    upper: Curve
    lower: Curve
    iris: Iris
    crease_px: float
    drawn: bool = False
    outer: float = 0.0

    @property
    def opening_px(self) -> float:
        """Largest distance between the lids."""
        return float(np.max(self.lower.values - self.upper.values))


@dataclass(frozen=True)
class FaceGeometry:
    """Measures of one face. height_px is from the hairline to the chin along the face's own vertical axis."""

    axes: Axes
    height_px: float
    width_px: float
    mouth: MouthFrame
    left_eye: EyeFrame
    right_eye: EyeFrame
    brows: Float64Array
    chin: Float64Array

    @property
    def mouth_is_open(self) -> bool:
        """Whether the lips are apart in the portrait."""
        return self.mouth.gap_px > OPEN_SOURCE_GAP * self.height_px


class _EyeChains(NamedTuple):
    """Mesh indices of one eye."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    brow: tuple[int, ...]
    iris: tuple[int, ...]


_LEFT_EYE: Final = _EyeChains(topo.LEFT_EYE_UPPER, topo.LEFT_EYE_LOWER, topo.LEFT_BROW, topo.LEFT_IRIS)
_RIGHT_EYE: Final = _EyeChains(topo.RIGHT_EYE_UPPER, topo.RIGHT_EYE_LOWER, topo.RIGHT_BROW, topo.RIGHT_IRIS)


def measure_face(mesh: Float32Array) -> FaceGeometry:
    """Return the measures of a face from its mesh (478, 3) in pixels."""
    points = mesh[:, :2].astype(np.float64)
    right, left = points[list(topo.RIGHT_EYE_UPPER)], points[list(topo.LEFT_EYE_UPPER)]
    axes = make_axes(points[topo.NOSE_BOTTOM], left[[0, -1]].mean(0) - right[[0, -1]].mean(0))
    height = float((points[topo.CHIN] - points[topo.FOREHEAD]) @ axes.down)
    width = float((points[topo.CHEEK_LEFT] - points[topo.CHEEK_RIGHT]) @ axes.along)
    return FaceGeometry(
        axes=axes,
        height_px=max(height, _MIN_FACE_HEIGHT_PX),
        width_px=max(width, _MIN_FACE_WIDTH_PX),
        mouth=measure_mouth(points, topo.MOUTH_UPPER_INNER, topo.MOUTH_LOWER_INNER),
        left_eye=_measure_eye(points, _LEFT_EYE),
        right_eye=_measure_eye(points, _RIGHT_EYE),
        brows=np.concatenate([points[list(topo.RIGHT_BROW)], points[list(topo.LEFT_BROW)][::-1]]),
        chin=points[topo.CHIN],
    )


def measure_mouth(points: Float64Array, upper_chain: tuple[int, ...], lower_chain: tuple[int, ...]) -> MouthFrame:
    """Return the mouth of a mesh (478, 2) whose opening lies between two chains of points."""
    corners = points[list(topo.MOUTH_CORNERS)]
    middles = [chain[topo.MIDDLE] for chain in (upper_chain, lower_chain)]
    axes = make_axes(points[middles].mean(0), corners[1] - corners[0])
    t_corner, _ = axes.local(corners)
    left = max(float(-t_corner[0]), _MIN_HALF_WIDTH_PX)
    right = max(float(t_corner[1]), _MIN_HALF_WIDTH_PX)
    ends = (-_MOUTH_CURVE_REACH * left, _MOUTH_CURVE_REACH * right)

    def fit_lip(chain: tuple[int, ...]) -> Curve:
        lip = points[list(chain)].copy()
        lip[0], lip[-1] = corners[0], corners[1]
        return fit_curve(*axes.local(lip), ends, _LIP_DEGREE)

    upper = fit_lip(upper_chain)
    lower = fit_lip(lower_chain).not_above(upper)
    _, v_top = axes.local(points[[topo.MOUTH_UPPER_OUTER[topo.MIDDLE]]])
    _, v_bottom = axes.local(points[[topo.MOUTH_LOWER_OUTER[topo.MIDDLE]]])
    zero = np.zeros(1)
    return MouthFrame(
        axes=axes,
        left_px=left,
        right_px=right,
        upper=upper,
        lower=lower,
        upper_thickness_px=max(float(upper(zero)[0] - v_top[0]), _MIN_LIP_PX),
        lower_thickness_px=max(float(v_bottom[0] - lower(zero)[0]), _MIN_LIP_PX),
        gap_px=float(np.max(lower.values - upper.values)),
        excess_width=_excess_width(points, left + right),
    )


def _excess_width(points: Float64Array, width_px: float) -> float:
    """Return how much wider a mouth of ``width_px`` is than a relaxed one between the eyes of the mesh (478, 2)."""
    right, left = (points[[chain[0], chain[-1]]].mean(0) for chain in (topo.RIGHT_EYE_UPPER, topo.LEFT_EYE_UPPER))
    relaxed = max(_NEUTRAL_MOUTH_WIDTH * float(np.hypot(*(left - right))), _MIN_HALF_WIDTH_PX)
    return float(np.clip(width_px / relaxed - 1.0, 0.0, _MAX_EXCESS_WIDTH))


def _measure_eye(points: Float64Array, chains: _EyeChains) -> EyeFrame:
    upper, lower, brow, iris = (points[list(chain)] for chain in chains)
    outer, inner = upper[0], upper[-1]
    left, right = (outer, inner) if outer[0] < inner[0] else (inner, outer)
    axes = make_axes((outer + inner) / 2.0, right - left)
    half = max(float(np.hypot(*(right - left))) / 2.0, _MIN_HALF_WIDTH_PX)
    ends = (-_EYE_CURVE_REACH * half, _EYE_CURVE_REACH * half)
    upper_lid, lower_lid = (fit_curve(*axes.local(lid), ends, _LID_DEGREE) for lid in (upper, lower))
    iris_t, iris_v = axes.local(iris[:1])
    radius = float(np.mean(np.hypot(*(iris[1:] - iris[0]).T)))
    _, brow_v = axes.local(brow)
    crease = float(np.min(upper_lid.values) - np.median(brow_v))
    return EyeFrame(
        axes=axes,
        half_px=half,
        upper=upper_lid,
        lower=lower_lid.not_above(upper_lid),
        iris=Iris(float(iris_t[0]), float(iris_v[0]), radius),
        crease_px=max(crease, _MIN_CREASE * half),
        outer=-1.0 if outer[0] < inner[0] else 1.0,
    )
