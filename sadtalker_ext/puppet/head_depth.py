"""Depth of a head for every pixel: a thin-plate surface through the face mesh, rounding backwards around the face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.puppet import topology as topo

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array


class _Ring(NamedTuple):
    """The face oval scaled about its centre and moved back by ``setback`` face heights at most."""

    scale: float
    setback: float


_RINGS: Final = (_Ring(1.22, 0.10), _Ring(1.7, 0.16), _Ring(2.6, 0.18))
"""Points outside the face, which have no landmarks: the sides of the head, the hair, and the surroundings."""
_MESH_STEP: Final = 5
"""Every fifth mesh point is used; the surface is smooth, and solving for all of them takes much longer."""
_RING_STEP: Final = 2
"""Every second point of the oval is used in a ring."""
_BACK_PERCENTILE: Final = 90
"""Percentile of the oval's depth that counts as the back of the face; the largest value may be an outlier."""
_BEHIND_FACE: Final = 0.12
"""How far the surface may lie behind the back of the face, in face heights."""
_SMOOTHING: Final = 2e-3
"""Smoothing of the spline, added to the diagonal of its kernel matrix (lengths in face heights)."""
_LOG_FLOOR: Final = 1e-12
"""Added to squared distances (face heights squared) so that the logarithm is finite at distance 0."""


def head_depth(mesh: Float64Array, points: Float64Array, height_px: float) -> Float64Array:
    """Return the depth in pixels at ``points`` (..., 2) for the mesh (478, 3) of a face ``height_px`` tall."""
    inside = mesh[np.arange(0, topo.FACE_POINTS, _MESH_STEP)]
    oval = mesh[list(topo.FACE_OVAL)]
    centre = oval[:, :2].mean(0)
    back = float(np.percentile(oval[:, 2], _BACK_PERCENTILE))
    rings = []
    for scale, setback in _RINGS:
        ring = oval[::_RING_STEP].copy()
        ring[:, :2] = centre + scale * (ring[:, :2] - centre)
        ring[:, 2] = np.maximum(ring[:, 2], np.minimum(ring[:, 2] + setback * height_px, back))
        rings.append(ring)
    known = np.concatenate([inside, oval, *rings])
    flat = points.reshape(-1, 2)
    surface = thin_plate((known[:, :2] - centre) / height_px, known[:, 2] / height_px, (flat - centre) / height_px)
    nearest, farthest = float(mesh[:, 2].min()) / height_px, (back / height_px) + _BEHIND_FACE
    depth: Float64Array = np.clip(surface, nearest, farthest).reshape(points.shape[:-1]) * height_px
    return depth


def thin_plate(known: Float64Array, values: Float64Array, targets: Float64Array) -> Float64Array:
    """Return a smoothing thin-plate spline (Duchon 1977) at the points ``targets`` (M, 2): (M,).

    It passes near ``values`` (N,) at the points ``known`` (N, 2).
    """
    count = len(known)
    plane = np.concatenate([np.ones((count, 1)), known], axis=1)
    terms = plane.shape[1]
    system = np.zeros((count + terms, count + terms))
    system[:count, :count] = _kernel(known, known) + _SMOOTHING * np.eye(count)
    system[:count, count:] = plane
    system[count:, :count] = plane.T
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros(terms)]))
    target_plane = np.concatenate([np.ones((len(targets), 1)), targets], axis=1)
    result: Float64Array = _kernel(targets, known) @ weights[:count] + target_plane @ weights[count:]
    return result


def _kernel(a: Float64Array, b: Float64Array) -> Float64Array:
    """Return ``r^2 log r`` between the points ``a`` (N, 2) and ``b`` (M, 2): (N, M)."""
    # In place: a grid of targets makes arrays of several MB, whose memory costs as much time as the arithmetic.
    squared: Float64Array = a[:, :1] - b[:, 0]
    squared *= squared
    other = a[:, 1:] - b[:, 1]
    other *= other
    squared += other
    np.add(squared, _LOG_FLOOR, out=other)
    np.log(other, out=other)
    squared *= 0.5
    squared *= other
    return squared
