"""Local axes in the picture and tabulated curves through landmarks. Lengths are pixels of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array

_MIN_LENGTH_PX: Final = 1e-6
"""Smallest length by which a direction or the argument of a curve is divided."""
_END_WEIGHT: Final = 20.0
"""Weight of a curve's end points relative to the inner ones, so that both curves of a pair meet at the corners."""
_CURVE_STEPS: Final = 128
"""Steps of a tabulated curve; linear look-up between them follows a polynomial of degree 5 closely."""


@dataclass(frozen=True)
class Axes:
    """A local frame in the picture: origin (2,), unit vectors along (2,) and down (2,)."""

    origin: Float64Array
    along: Float64Array
    down: Float64Array

    def local(self, points: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return the local coordinates (t, v), each (...), of pixels (..., 2)."""
        x, y = points[..., 0] - self.origin[0], points[..., 1] - self.origin[1]
        return x * self.along[0] + y * self.along[1], x * self.down[0] + y * self.down[1]

    def pixels(self, t: Float64Array, v: Float64Array) -> Float64Array:
        """Return the pixels (..., 2) at local coordinates ``t`` and ``v``, which broadcast."""
        points: Float64Array = self.origin + t[..., None] * self.along + v[..., None] * self.down
        return points


@dataclass(frozen=True)
class Curve:
    """A function of ``t`` tabulated at equal steps; linear between and constant beyond its ends.

    start, step: pixels. values: (N,) pixels.
    """

    start: float
    step: float
    values: Float64Array

    def __call__(self, t: Float64Array) -> Float64Array:
        """Return the value at ``t`` (any shape, pixels)."""
        steps = self.start + self.step * np.arange(len(self.values))
        value: Float64Array = np.interp(t, steps, self.values)
        return value

    def not_above(self, other: Curve) -> Curve:
        """Return this curve, moved down to ``other`` (with the same steps) where it lies above."""
        return Curve(self.start, self.step, np.maximum(self.values, other.values))


def make_axes(origin: Float64Array, along: Float64Array) -> Axes:
    """Return axes at ``origin`` (2,) whose first direction is that of the vector ``along`` (2,) of any length."""
    unit = along / max(float(np.hypot(*along)), _MIN_LENGTH_PX)
    return Axes(origin=origin, along=unit, down=np.array([-unit[1], unit[0]]))


def fit_curve(t: Float64Array, v: Float64Array, ends: tuple[float, float], degree: int) -> Curve:
    """Return a polynomial v(t) through landmarks, close to both end points and level beyond them.

    t, v: (N,) pixels, the corners first and last. ends: range to tabulate. degree: at most N - 1 is used.
    """
    order = np.argsort(t)
    t, v = t[order], v[order]
    centre, half = (t[0] + t[-1]) / 2.0, max((t[-1] - t[0]) / 2.0, _MIN_LENGTH_PX)
    x = (t - centre) / half
    weights = np.ones_like(x)
    weights[[0, -1]] = _END_WEIGHT
    powers = np.arange(min(degree, len(x) - 1) + 1)
    system = (x[:, None] ** powers) * weights[:, None]
    coefficients = np.linalg.lstsq(system, v * weights, rcond=None)[0]
    grid = np.linspace(ends[0], ends[1], _CURVE_STEPS + 1)
    inside = np.clip((grid - centre) / half, -1.0, 1.0)
    return Curve(ends[0], (ends[1] - ends[0]) / _CURVE_STEPS, (inside[:, None] ** powers) @ coefficients)
