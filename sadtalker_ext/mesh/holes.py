"""Caps for the holes of a mesh: each border but the longest is closed by a hollow behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array

_DEPTH: Final = 0.6
"""Depth of a hollow, in widths of its border."""
_FOLLOW: Final = (1.0, 0.0)
"""Share of the border's motion that the border itself and the middle of the hollow follow."""


class Caps(NamedTuple):
    """Hollows that close holes.

    points: (N, 3). triangles: (M, 3). follows: (N,) vertex of the mesh whose motion each point takes a share of.
    """

    points: Float64Array
    triangles: NDArray[np.int64]
    follows: NDArray[np.int64]
    shares: Float32Array


def hole_caps(points: Float64Array, triangles: NDArray[np.int64]) -> Caps:
    """Return the hollows behind all holes of a mesh (N, 3) whose triangles run counterclockwise; z is to the viewer."""
    borders = sorted(border_loops(triangles), key=lambda loop: _length(points[loop]))[:-1]
    every: list[Float64Array] = [np.zeros((0, 3))]
    faces: list[NDArray[np.int64]] = [np.zeros((0, 3), np.int64)]
    follows: list[int] = []
    shares: list[float] = []
    start = 0
    for loop in borders:
        rim = points[loop]
        back = _DEPTH * float(np.ptp(rim, axis=0).max())
        middle = rim.mean(axis=0) - np.array([0.0, 0.0, back])
        every += [rim, middle[None]]
        here = np.arange(len(loop))
        centre = np.full(len(loop), len(loop))
        faces.append(start + np.stack([np.roll(here, -1), here, centre], axis=1))
        follows += [*loop, loop[0]]
        shares += [_FOLLOW[0]] * len(loop) + [_FOLLOW[1]]
        start += len(loop) + 1
    return Caps(np.concatenate(every), np.concatenate(faces), np.array(follows, np.int64), np.array(shares, np.float32))


def border_loops(triangles: NDArray[np.int64]) -> list[list[int]]:
    """Return the borders of a mesh as closed loops of vertices, in the direction of the triangles' edges."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    forward = {(int(a), int(b)) for a, b in edges}
    after = {a: b for a, b in forward if (b, a) not in forward}
    loops = []
    while after:
        start, following = next(iter(after.items()))
        loop = [start]
        while following != start and following in after:
            del after[loop[-1]]
            loop.append(following)
            following = after[following]
        after.pop(loop[-1], None)
        if len(loop) > 2 and following == start:
            loops.append(loop)
    return loops


def _length(loop: Float64Array) -> float:
    return float(np.linalg.norm(loop - np.roll(loop, 1, axis=0), axis=1).sum())
