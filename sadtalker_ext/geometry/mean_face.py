"""A mean face: where points of the mesh must be guessed, and which point mirrors which.

``mean_face.npz`` holds ``mesh`` (478, 3) float32, the symmetric mean of MediaPipe's meshes of a dozen portraits
aligned by similarity (oval one unit high, its box centred on the origin, depth as in
:class:`~sadtalker_ext.geometry.landmarks.Landmarks`), and ``mirror`` (478,) int16, for each point the one on the other
side of the face.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.geometry.landmarks import SUBSET_68, FaceBox

Mesh = NDArray[np.float32]
Array = NDArray[np.float64]
_STIFFNESS = 1e-4


@lru_cache(maxsize=1)
def _tables() -> dict[str, NDArray[Any]]:
    source = resources.files("sadtalker_ext.geometry") / "mean_face.npz"
    with source.open("rb") as file, np.load(file) as tables:
        return {name: tables[name] for name in tables.files}


def mean_face_mesh() -> Mesh:
    """The mean face (478, 3): oval one unit high around the origin."""
    return np.array(_tables()["mesh"], np.float32)


def mirror_points(mesh: Mesh) -> Mesh:
    """A mesh (478, ...) with the points of the face's two sides exchanged; coordinates stay as they are."""
    return np.asarray(mesh[_tables()["mirror"]], np.float32)


def place_in_box(box: FaceBox) -> Mesh:
    """The mean face (478, 3) in pixels, its oval filling ``box`` (a face seen from the front)."""
    mesh = mean_face_mesh().astype(np.float64)
    oval = mesh[:468, :2]
    across = box.width / float(np.ptp(oval[:, 0]))
    scale = np.array([across, box.height, (across + box.height) / 2])
    centre = np.array([box.x + box.width / 2, box.y + box.height / 2, 0.0])
    return np.asarray(mesh * scale + centre, np.float32)


def lift_68(points: NDArray[np.float32]) -> Mesh:
    """The whole mesh (478, 3) from the 68 points (68, 2) of the 300-W markup, all in pixels.

    The mean face is turned as the points say (weak perspective), then bent onto them by a thin-plate spline.
    """
    mesh = mean_face_mesh().astype(np.float64)
    wanted = np.asarray(points[:, :2], np.float64)
    known = mesh[list(SUBSET_68)]
    scale, rotation, shift = _fit_weak_perspective(known, wanted)
    placed = scale * mesh @ rotation.T
    placed[:, :2] += shift
    anchors = placed[list(SUBSET_68), :2]
    unit = scale if scale > 0 else 1.0
    placed[:, :2] += _bend(anchors / unit, (wanted - anchors) / unit, placed[:, :2] / unit) * unit
    placed[:, 2] -= float(np.mean(placed[:468, 2])) - scale * float(np.mean(mesh[:468, 2]))
    return np.asarray(placed, np.float32)


def _fit_weak_perspective(known: Array, wanted: Array) -> tuple[float, Array, Array]:
    """Scale, rotation (3, 3) and shift (2,) that bring (N, 3) points onto (N, 2) pixels seen from far away."""
    known_mean, wanted_mean = known.mean(axis=0), wanted.mean(axis=0)
    affine, *_ = np.linalg.lstsq(known - known_mean, wanted - wanted_mean, rcond=None)
    left, stretch, right = np.linalg.svd(affine.T, full_matrices=False)
    rows = left @ right
    rotation = np.stack([rows[0], rows[1], np.cross(rows[0], rows[1])])
    scale = float(stretch.mean())
    return scale, rotation, wanted_mean - scale * (rotation @ known_mean)[:2]


def _bend(anchors: Array, shifts: Array, points: Array) -> Array:
    """Shifts (M, 2) of ``points`` by the thin-plate spline (Bookstein 1989) that moves ``anchors`` by ``shifts``."""

    def kernel(first: Array, second: Array) -> Array:
        squared = ((first[:, None] - second[None]) ** 2).sum(axis=-1)
        result: Array = squared * np.log(squared + 1e-12)
        return result

    count = len(anchors)
    plane = np.concatenate([np.ones((count, 1)), anchors], axis=1)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = kernel(anchors, anchors) + _STIFFNESS * np.eye(count)
    system[:count, count:], system[count:, :count] = plane, plane.T
    weights = np.linalg.solve(system, np.concatenate([shifts, np.zeros((3, 2))]))
    bent: Array = kernel(points, anchors) @ weights[:count]
    bent += np.concatenate([np.ones((len(points), 1)), points], axis=1) @ weights[count:]
    return bent
