"""Grids of displacement and their inverses.

A warp is kept on a coarse grid whose nodes sit at the centres of square cells, so that a plain linear resize brings it
to full resolution exactly. Points are (x, y) pixels with whole numbers at pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array32 = NDArray[np.float32]

_MIN_DETERMINANT = 0.12


@dataclass(frozen=True)
class Grid:
    """Cells of ``cell`` pixels; the first covers pixels x0..x0+cell-1, y0..y0+cell-1. rows x columns cells."""

    x0: int
    y0: int
    cell: int
    rows: int
    columns: int

    def nodes(self, margin: int = 0) -> Array32:
        """Node positions (rows + 2 margin, columns + 2 margin, 2), with ``margin`` extra cells on every side."""
        half = (self.cell - 1) / 2.0
        x = self.x0 + half + self.cell * np.arange(-margin, self.columns + margin, dtype=np.float32)
        y = self.y0 + half + self.cell * np.arange(-margin, self.rows + margin, dtype=np.float32)
        nodes: Array32 = np.stack(np.meshgrid(x, y), axis=-1)
        return nodes

    def widened(self, cells: int) -> Grid:
        """The same cells with ``cells`` more on every side."""
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

    def sample(self, values: Array32, points: Array32) -> Array32:
        """Node values (rows, columns, C <= 4) at ``points`` (h, w, 2), linear, constant beyond the border nodes."""
        half = (self.cell - 1) / 2.0
        x = (points[..., 0] - (self.x0 + half)) / self.cell
        y = (points[..., 1] - (self.y0 + half)) / self.cell
        found = cv2.remap(
            values, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(found, np.float32)

    def window_of(self, points: Array32) -> tuple[slice, slice] | None:
        """The rows and columns of ``points`` (h, w, 2) that hold every point on this grid, or None."""
        x, y = points[..., 0] - self.x0, points[..., 1] - self.y0
        inside = (x > -1.0) & (x < self.width) & (y > -1.0) & (y < self.height)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if len(rows) == 0:
            return None
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def cover(box: tuple[float, float, float, float], nodes: int) -> Grid:
    """The grid over ``box`` (left, top, right, bottom pixels) with about ``nodes`` cells along its longer side."""
    left, top, right, bottom = np.floor(box[0]), np.floor(box[1]), np.ceil(box[2]), np.ceil(box[3])
    cell = max(1, int(np.ceil(max(right - left, bottom - top) / nodes)))
    columns = max(1, int(np.ceil((right - left + 1) / cell)))
    rows = max(1, int(np.ceil((bottom - top + 1) / cell)))
    return Grid(int(left), int(top), cell, rows, columns)


@dataclass(frozen=True)
class Displacement:
    """A smooth forward displacement on a grid: p goes to p + shift(p). shift: (rows, columns, 2) pixels."""

    grid: Grid
    shift: Array32
    slope: Array32

    @classmethod
    def on(cls, grid: Grid, shift: Array32) -> Displacement:
        """Keep ``shift`` with its derivatives (dx/dx, dx/dy, dy/dx, dy/dy) for the inversion."""
        scale = 1.0 / (8.0 * grid.cell)
        along = cv2.Sobel(shift, cv2.CV_32F, 1, 0, ksize=3, scale=scale, borderType=cv2.BORDER_REPLICATE)
        down = cv2.Sobel(shift, cv2.CV_32F, 0, 1, ksize=3, scale=scale, borderType=cv2.BORDER_REPLICATE)
        slope = np.stack([along[..., 0], down[..., 0], along[..., 1], down[..., 1]], axis=-1)
        return cls(grid, shift, slope)

    def forward(self, points: Array32) -> Array32:
        """Where ``points`` (h, w, 2) go."""
        return points + self.grid.sample(self.shift, points)

    def backward(self, points: Array32, steps: int = 2) -> Array32:
        """Where ``points`` (h, w, 2) came from: Newton's method on p + shift(p) = point."""
        source = points - self.grid.sample(self.shift, points)
        for _ in range(steps):
            rest = source + self.grid.sample(self.shift, source) - points
            slope = self.grid.sample(self.slope, source)
            a, b, c, d = slope[..., 0] + 1.0, slope[..., 1], slope[..., 2], slope[..., 3] + 1.0
            determinant = np.maximum(a * d - b * c, _MIN_DETERMINANT)
            x = (d * rest[..., 0] - b * rest[..., 1]) / determinant
            y = (a * rest[..., 1] - c * rest[..., 0]) / determinant
            source = source - np.stack([x, y], axis=-1)
        return source.astype(np.float32)
