"""The face frame: axes, units and curves of one face, measured from its landmarks.

All lengths are pixels of the picture. Local coordinates of the mouth are ``t`` (along the line from the picture-left
to the picture-right corner) and ``v`` (down, perpendicular to it), with the origin between the lips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.puppet import topology as topo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A function of ``t`` tabulated at equal steps; linear between and constant beyond its ends.

    start, step: pixels. values: (N,) pixels.
    """

    start: float
    step: float
    values: Array

    def __call__(self, t: Array) -> Array:
        """Value at ``t`` (any shape, pixels)."""
        position = np.clip((t - self.start) / self.step, 0.0, len(self.values) - 1.0)
        low = np.minimum(position.astype(np.int64), len(self.values) - 2)
        share = position - low
        value: Array = self.values[low] * (1.0 - share) + self.values[low + 1] * share
        return value


@dataclass(frozen=True)
class Axes:
    """A local right-handed frame in the picture: origin (2,), unit vectors along (2,) and down (2,)."""

    origin: Array
    along: Array
    down: Array

    def local(self, points: Array) -> tuple[Array, Array]:
        """(..., 2) pixels -> (t, v), each (...)."""
        x, y = points[..., 0] - self.origin[0], points[..., 1] - self.origin[1]
        return x * self.along[0] + y * self.along[1], x * self.down[0] + y * self.down[1]


@dataclass(frozen=True)
class MouthFrame:
    """The mouth: local axes, half widths to both corners, lip curves v(t) and lip thicknesses.

    upper, lower: inner edges of the lips, equal where the mouth is closed. gap: largest distance between them.
    """

    axes: Axes
    left_px: float
    right_px: float
    upper: Curve
    lower: Curve
    upper_thickness_px: float
    lower_thickness_px: float
    gap_px: float

    @property
    def width_px(self) -> float:
        """Distance between the mouth corners."""
        return self.left_px + self.right_px

    def normalised(self, t: Array) -> Array:
        """``t`` in half widths: -1 at the picture-left corner, 1 at the picture-right one."""
        return np.where(t < 0.0, t / self.left_px, t / self.right_px)


@dataclass(frozen=True)
class EyeFrame:
    """One eye: local axes with the origin midway between its corners, lid curves v(t), and the iris.

    iris: (t, v, radius). crease_px: how far above the upper lid its skin can be drawn from (brow distance).
    """

    axes: Axes
    half_px: float
    upper: Curve
    lower: Curve
    iris: tuple[float, float, float]
    crease_px: float

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
    brows: Array
    chin: Array


def measure_face(mesh: NDArray[np.float32]) -> FaceGeometry:
    """Measure a face from its (478, 3) mesh in pixels."""
    points = mesh[:, :2].astype(np.float64)
    right, left = points[list(topo.RIGHT_EYE_UPPER)], points[list(topo.LEFT_EYE_UPPER)]
    axes = _axes(points[topo.NOSE_BOTTOM], left[[0, -1]].mean(0) - right[[0, -1]].mean(0))
    height = float((points[topo.CHIN] - points[topo.FOREHEAD]) @ axes.down)
    width = float((points[topo.CHEEK_LEFT] - points[topo.CHEEK_RIGHT]) @ axes.along)
    return FaceGeometry(
        axes=axes,
        height_px=max(height, 8.0),
        width_px=max(width, 6.0),
        mouth=_measure_mouth(points),
        left_eye=_measure_eye(points, (topo.LEFT_EYE_UPPER, topo.LEFT_EYE_LOWER, topo.LEFT_BROW, topo.LEFT_IRIS)),
        right_eye=_measure_eye(points, (topo.RIGHT_EYE_UPPER, topo.RIGHT_EYE_LOWER, topo.RIGHT_BROW, topo.RIGHT_IRIS)),
        brows=np.concatenate([points[list(topo.RIGHT_BROW)], points[list(topo.LEFT_BROW)][::-1]]),
        chin=points[topo.CHIN],
    )


def _axes(origin: Array, along: Array) -> Axes:
    unit = along / max(float(np.hypot(*along)), 1e-6)
    return Axes(origin=origin, along=unit, down=np.array([-unit[1], unit[0]]))


def fit_curve(t: Array, v: Array, ends: tuple[float, float], degree: int = 5) -> Curve:
    """Smooth v(t) through landmark points, exact at both end points, and level beyond them.

    t, v: (N,) with the corners first and last. ends: the range to tabulate, in pixels.
    """
    order = np.argsort(t)
    t, v = t[order], v[order]
    centre, half = (t[0] + t[-1]) / 2.0, max((t[-1] - t[0]) / 2.0, 1e-6)
    x = (t - centre) / half
    weights = np.ones_like(x)
    weights[[0, -1]] = 20.0
    powers = np.arange(min(degree, len(x) - 1) + 1)
    system = (x[:, None] ** powers) * weights[:, None]
    coefficients = np.linalg.lstsq(system, v * weights, rcond=None)[0]
    grid = np.linspace(ends[0], ends[1], 129)
    inside = np.clip((grid - centre) / half, -1.0, 1.0)
    return Curve(ends[0], (ends[1] - ends[0]) / 128.0, (inside[:, None] ** powers) @ coefficients)


def _measure_mouth(points: Array) -> MouthFrame:
    corners = points[list(topo.MOUTH_CORNERS)]
    centre = points[[13, 14]].mean(0)
    along = corners[1] - corners[0]
    axes = _axes(centre, along)
    t_corner, _ = axes.local(corners)
    left, right = max(float(-t_corner[0]), 2.0), max(float(t_corner[1]), 2.0)
    ends = (-2.5 * left, 2.5 * right)

    def chain(indices: tuple[int, ...]) -> Curve:
        chosen = points[list(indices)].copy()
        chosen[0], chosen[-1] = corners[0], corners[1]
        return fit_curve(*axes.local(chosen), ends)

    upper, lower = chain(topo.MOUTH_UPPER_INNER), chain(topo.MOUTH_LOWER_INNER)
    lower = Curve(lower.start, lower.step, np.maximum(lower.values, upper.values))
    _, v_top = axes.local(points[[0]])
    _, v_bottom = axes.local(points[[17]])
    zero = np.zeros(1)
    return MouthFrame(
        axes=axes,
        left_px=left,
        right_px=right,
        upper=upper,
        lower=lower,
        upper_thickness_px=max(float(upper(zero)[0] - v_top[0]), 1.0),
        lower_thickness_px=max(float(v_bottom[0] - lower(zero)[0]), 1.0),
        gap_px=float(np.max(lower.values - upper.values)),
    )


def _measure_eye(points: Array, chains: tuple[tuple[int, ...], ...]) -> EyeFrame:
    upper, lower, brow, iris = (points[list(chain)] for chain in chains)
    outer, inner = upper[0], upper[-1]
    ends_lr = (outer, inner) if outer[0] < inner[0] else (inner, outer)
    axes = _axes((outer + inner) / 2.0, ends_lr[1] - ends_lr[0])
    half = max(float(np.hypot(*(ends_lr[1] - ends_lr[0]))) / 2.0, 2.0)
    ends = (-1.6 * half, 1.6 * half)
    upper_curve, lower_curve = (fit_curve(*axes.local(lid), ends, degree=4) for lid in (upper, lower))
    lower_curve = Curve(lower_curve.start, lower_curve.step, np.maximum(lower_curve.values, upper_curve.values))
    iris_t, iris_v = axes.local(iris[:1])
    radius = float(np.mean(np.hypot(*(iris[1:] - iris[0]).T)))
    _, brow_v = axes.local(brow)
    crease = float(np.min(upper_curve.values) - np.median(brow_v))
    return EyeFrame(
        axes=axes,
        half_px=half,
        upper=upper_curve,
        lower=lower_curve,
        iris=(float(iris_t[0]), float(iris_v[0]), radius),
        crease_px=max(crease, 0.35 * half),
    )
