"""Grids of displacements and their inversion.

A warp is stored on a coarse grid whose nodes are the centres of square cells, so that a plain linear resize brings it
to full resolution exactly. Points are (x, y) pixels; whole numbers are pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import cv2
import numpy as np

from sadtalker_ext.arrays import smoothstep

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

Window: TypeAlias = tuple[slice, slice]
"""Rows and columns of an array."""

_MIN_DETERMINANT: Final = 0.12
"""Smallest determinant of a displacement's Jacobian in Newton's method, so that strong compression cannot overshoot."""
_SOBEL_SUM: Final = 8.0
"""A 3 x 3 Sobel kernel returns 8 times the derivative per cell."""
_SQUEEZED_FROM: Final = np.float32(1.5)
_SQUEEZED_WHOLE: Final = np.float32(3.0)
"""Source pixels per pixel from which and at which a blurred texture is needed."""
_STRETCHED_FROM: Final = np.float32(1.1)
_STRETCHED_WHOLE: Final = np.float32(1.6)
"""Pixels per source pixel from which and at which a denser texture is needed."""
_NEWTON_STEPS: Final = 2
"""Steps after the first guess; the error that remains is below about 2 % of the displacement."""


class Box(NamedTuple):
    """Upright rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, points: Float32Array | Float64Array, pad_px: float = 0.0) -> Box:
        """Return the box around ``points`` (N, 2) with ``pad_px`` on every side."""
        low, high = points.min(0) - pad_px, points.max(0) + pad_px
        return cls(float(low[0]), float(low[1]), float(high[0]), float(high[1]))

    def clipped(self, width: int, height: int) -> Box:
        """Return the part inside a picture of ``width`` x ``height`` pixels."""
        left, top = max(self.left, 0.0), max(self.top, 0.0)
        return Box(left, top, min(self.right, width - 1.0), min(self.bottom, height - 1.0))


@dataclass(frozen=True)
class Grid:
    """Cells of ``cell`` pixels; the first covers pixels x0..x0+cell-1, y0..y0+cell-1. rows x columns cells."""

    x0: int
    y0: int
    cell: int
    rows: int
    columns: int

    @classmethod
    def cover(cls, box: Box, nodes: int) -> Grid:
        """Return the grid over ``box`` with about ``nodes`` cells along its longer side."""
        left, top, right, bottom = np.floor(box.left), np.floor(box.top), np.ceil(box.right), np.ceil(box.bottom)
        cell = max(1, int(np.ceil(max(right - left, bottom - top) / nodes)))
        columns = max(1, int(np.ceil((right - left + 1) / cell)))
        rows = max(1, int(np.ceil((bottom - top + 1) / cell)))
        return cls(int(left), int(top), cell, rows, columns)

    def nodes(self, margin: int = 0) -> Float32Array:
        """Return node positions (rows + 2 margin, columns + 2 margin, 2), with ``margin`` extra cells on every side."""
        half = (self.cell - 1) / 2.0
        x = self.x0 + half + self.cell * np.arange(-margin, self.columns + margin, dtype=np.float32)
        y = self.y0 + half + self.cell * np.arange(-margin, self.rows + margin, dtype=np.float32)
        nodes = np.empty((len(y), len(x), 2), np.float32)
        nodes[..., 0], nodes[..., 1] = x, y[:, None]
        return nodes

    def widened(self, cells: int) -> Grid:
        """Return the same cells with ``cells`` more on every side."""
        x0, y0 = self.x0 - cells * self.cell, self.y0 - cells * self.cell
        return Grid(x0, y0, self.cell, self.rows + 2 * cells, self.columns + 2 * cells)

    @property
    def width(self) -> int:
        """Pixels covered across."""
        return self.columns * self.cell

    @property
    def height(self) -> int:
        """Pixels covered down."""
        return self.rows * self.cell

    def sample(self, values: Float32Array, points: Float32Array) -> Float32Array:
        """Return node values (rows, columns, C <= 4) at ``points`` (h, w, 2).

        Linear between nodes, constant beyond the border nodes.
        """
        return look_up(values, *self.positions(points))

    def positions(self, points: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return the columns and rows (h, w) of ``points`` (h, w, 2), whole numbers at nodes."""
        half = (self.cell - 1) / 2.0
        x, y = cv2.split(points)
        x -= self.x0 + half
        y -= self.y0 + half
        x /= self.cell
        y /= self.cell
        return np.asarray(x, np.float32), np.asarray(y, np.float32)

    def window_of(self, points: Float32Array) -> Window | None:
        """Return the rows and columns that contain every one of ``points`` (h, w, 2) on this grid, or None."""
        x, y = points[..., 0] - self.x0, points[..., 1] - self.y0
        inside = (x > -1.0) & (x < self.width) & (y > -1.0) & (y < self.height)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if len(rows) == 0:
            return None
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def pixel_windows(self, height: int, width: int) -> tuple[Window, Window]:
        """Return the window of a picture of this size that the grid covers, and that window in the grid's pixels."""
        top, left = max(self.y0, 0), max(self.x0, 0)
        bottom, right = max(min(self.y0 + self.height, height), top), max(min(self.x0 + self.width, width), left)
        in_picture = (slice(top, bottom), slice(left, right))
        in_grid = (slice(top - self.y0, bottom - self.y0), slice(left - self.x0, right - self.x0))
        return in_picture, in_grid


def look_up(values: Float32Array, x: Float32Array, y: Float32Array) -> Float32Array:
    """Return node values (rows, columns, C <= 4) at columns ``x`` and rows ``y``, as :meth:`Grid.sample` does."""
    return np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def squeezed_footprints(source: Float32Array, cell: int) -> tuple[Float32Array, Float32Array]:
    """Return where ``source`` (rows, columns, 2) squeezes pixels, and the longer side of what a pixel shows there.

    source: where nodes ``cell`` pixels apart come from. Both are given at the nodes: a share (rows, columns), from 0
    where pixels are squeezed little to 1 where by 3 times, and vectors (rows, columns, 2) in source pixels.
    """
    scale = 1.0 / (_SOBEL_SUM * cell)
    along, down = (cv2.Sobel(source, cv2.CV_32F, *order, ksize=3, scale=scale) for order in ((1, 0), (0, 1)))
    across, upright = ((part**2).sum(axis=-1) for part in (along, down))
    longest = np.sqrt(np.maximum(across, upright))
    share = smoothstep((np.asarray(longest, np.float32) - _SQUEEZED_FROM) / (_SQUEEZED_WHOLE - _SQUEEZED_FROM))
    return share, np.where((across > upright)[..., None], along, down).astype(np.float32)


def stretched_share(source: Float32Array, cell: int) -> Float32Array:
    """Return (rows, columns) from 0 where ``source`` (rows, columns, 2) stretches areas little to 1 where by 1.6 times.

    source: where nodes ``cell`` pixels apart come from.
    """
    stretch = np.float32(1.0) / np.maximum(determinant_of(source, cell), _MIN_DETERMINANT)
    return smoothstep((stretch - _STRETCHED_FROM) / (_STRETCHED_WHOLE - _STRETCHED_FROM))


def determinant_of(points: Float32Array, cell: int) -> Float32Array:
    """Return the area (rows, columns) onto which a unit of area is mapped by nodes ``cell`` pixels apart to ``points``.

    points: (rows, columns, 2).
    """
    scale = 1.0 / (_SOBEL_SUM * cell)
    along, down = (cv2.Sobel(points, cv2.CV_32F, *order, ksize=3, scale=scale) for order in ((1, 0), (0, 1)))
    return np.asarray(np.abs(along[..., 0] * down[..., 1] - along[..., 1] * down[..., 0]), np.float32)


@dataclass(frozen=True)
class Displacement:
    """A smooth forward displacement on a grid: p moves to p + shift(p).

    shift: (rows, columns, 2) pixels. slope: (rows, columns, 4), its derivatives dx/dx, dx/dy, dy/dx and dy/dy. seen:
    (rows, columns), share of each node that other parts do not hide, or None where all are seen.
    """

    grid: Grid
    shift: Float32Array
    slope: Float32Array
    seen: Float32Array | None = None

    @classmethod
    def on(cls, grid: Grid, shift: Float32Array) -> Displacement:
        """Return the displacement with the derivatives that the inversion needs."""
        scale = 1.0 / (_SOBEL_SUM * grid.cell)
        along = cv2.Sobel(shift, cv2.CV_32F, 1, 0, ksize=3, scale=scale, borderType=cv2.BORDER_REPLICATE)
        down = cv2.Sobel(shift, cv2.CV_32F, 0, 1, ksize=3, scale=scale, borderType=cv2.BORDER_REPLICATE)
        slope = np.stack([np.asarray(along, np.float32), np.asarray(down, np.float32)], axis=-1)
        return cls(grid, shift, slope.reshape(*shift.shape[:2], 4))

    def seen_at(self, points: Float32Array) -> Float32Array:
        """Return which share of ``points`` (h, w, 2), as they were before the displacement, is seen: (h, w)."""
        return np.ones(points.shape[:2], np.float32) if self.seen is None else self.grid.sample(self.seen, points)

    def forward(self, points: Float32Array) -> Float32Array:
        """Return where ``points`` (h, w, 2) move to."""
        return points + self.grid.sample(self.shift, points)

    def backward(self, points: Float32Array) -> Float32Array:
        """Return where ``points`` (h, w, 2) came from, by Newton's method on p + shift(p) = point."""
        return self.improve(points - self.grid.sample(self.shift, points), points, _NEWTON_STEPS)

    def improve(self, source: Float32Array, points: Float32Array, steps: int = 1) -> Float32Array:
        """Return ``source``, a guess of where ``points`` (h, w, 2) came from, after ``steps`` of Newton's method.

        The array of the guess is overwritten.
        """
        for _ in range(steps):
            positions = self.grid.positions(source)
            rest = look_up(self.shift, *positions)
            rest += source
            rest -= points
            a, b, c, d = cv2.split(look_up(self.slope, *positions))
            a += 1.0
            d += 1.0
            determinant = np.maximum(a * d - b * c, _MIN_DETERMINANT)
            x, y = cv2.split(rest)
            source[..., 0] -= (d * x - b * y) / determinant
            source[..., 1] -= (a * y - c * x) / determinant
        return source
