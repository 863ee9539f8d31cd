"""The mean face mesh, its mirror map, and the full mesh estimated from 68 points or from a box.

``mean_face.npz`` holds ``mesh`` (478, 3) float32, the symmetric mean of MediaPipe's meshes of a dozen portraits
aligned by similarity transforms (oval one unit high, its box centred on the origin, depth as in
:class:`~sadtalker_ext.geometry.landmarks.Landmarks`), and ``mirror`` (478,) int16, the index of each point's
counterpart on the other side of the face.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.arrays import Float32Array, Float64Array
from sadtalker_ext.geometry.landmarks import FACE_POINTS, SUBSET_68, FaceBox

_STIFFNESS = 1e-4
"""Smoothing of the spline in units of the face height: landmark noise must not bend the mesh."""


@lru_cache(maxsize=1)
def _tables() -> dict[str, NDArray[Any]]:
    source = resources.files("sadtalker_ext.geometry") / "mean_face.npz"
    with source.open("rb") as file, np.load(file) as tables:
        return {name: tables[name] for name in tables.files}


def mean_face_mesh() -> Float32Array:
    """Return the mean face (478, 3): oval one unit high, centred on the origin."""
    return np.array(_tables()["mesh"], np.float32)


def mirror_points(mesh: Float32Array) -> Float32Array:
    """Return a mesh (478, ...) with left and right points exchanged; coordinates do not change."""
    return np.asarray(mesh[_tables()["mirror"]], np.float32)


def place_in_box(box: FaceBox) -> Float32Array:
    """Return the mean face (478, 3) in pixels, seen from the front, with its oval filling ``box``."""
    mesh = mean_face_mesh().astype(np.float64)
    oval = mesh[:FACE_POINTS, :2]
    across = box.width / float(np.ptp(oval[:, 0]))
    scale = np.array([across, box.height, (across + box.height) / 2])
    centre = np.array([box.x + box.width / 2, box.y + box.height / 2, 0.0])
    return np.asarray(mesh * scale + centre, np.float32)


def lift_68(points: Float32Array) -> Float32Array:
    """Estimate the full mesh (478, 3) from the 68 points (68, 2) of the 300-W markup, both in pixels.

    The mean face is posed to fit the points (weak perspective), then deformed onto them by a thin-plate spline.
    """
    mesh = mean_face_mesh().astype(np.float64)
    targets = np.asarray(points[:, :2], np.float64)
    known = mesh[list(SUBSET_68)]
    scale, rotation, shift = _fit_weak_perspective(known, targets)
    placed = scale * mesh @ rotation.T
    placed[:, :2] += shift
    anchors = placed[list(SUBSET_68), :2]
    unit = scale if scale > 0 else 1.0
    placed[:, :2] += _spline_shifts(anchors / unit, (targets - anchors) / unit, placed[:, :2] / unit) * unit
    placed[:, 2] -= float(np.mean(placed[:FACE_POINTS, 2])) - scale * float(np.mean(mesh[:FACE_POINTS, 2]))
    return np.asarray(placed, np.float32)


def _fit_weak_perspective(known: Float64Array, targets: Float64Array) -> tuple[float, Float64Array, Float64Array]:
    """Return scale, rotation (3, 3) and shift (2,) that project (N, 3) points onto (N, 2) pixels (orthographic)."""
    known_mean, target_mean = known.mean(axis=0), targets.mean(axis=0)
    affine, *_ = np.linalg.lstsq(known - known_mean, targets - target_mean, rcond=None)
    left, stretch, right = np.linalg.svd(affine.T, full_matrices=False)
    rows = left @ right
    rotation = np.stack([rows[0], rows[1], np.cross(rows[0], rows[1])])
    scale = float(stretch.mean())
    return scale, rotation, target_mean - scale * (rotation @ known_mean)[:2]


def _spline_shifts(anchors: Float64Array, shifts: Float64Array, points: Float64Array) -> Float64Array:
    """Return the shifts (M, 2) of ``points`` by the thin-plate spline that moves ``anchors`` by ``shifts``.

    Source: Bookstein, "Principal warps", 1989. Own code: kornia's spline has no smoothing term. The test compares with
    scipy.interpolate.RBFInterpolator.
    """

    def kernel(first: Float64Array, second: Float64Array) -> Float64Array:
        squared = ((first[:, None] - second[None]) ** 2).sum(axis=-1)
        result: Float64Array = squared * np.log(squared + 1e-12)
        return result

    count = len(anchors)
    plane = np.concatenate([np.ones((count, 1)), anchors], axis=1)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = kernel(anchors, anchors) + _STIFFNESS * np.eye(count)
    system[:count, count:], system[count:, :count] = plane, plane.T
    weights = np.linalg.solve(system, np.concatenate([shifts, np.zeros((3, 2))]))
    bent: Float64Array = kernel(points, anchors) @ weights[:count]
    bent += np.concatenate([np.ones((len(points), 1)), points], axis=1) @ weights[count:]
    return bent
