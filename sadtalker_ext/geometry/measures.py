"""Head pose, mouth opening and width, and eye opening, measured from face landmarks.

Lengths are divided by the 3D distance between the outer eye corners, which hardly changes with head rotation or with
movements of mouth, lids and gaze.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from sadtalker_ext.arrays import Float64Array
from sadtalker_ext.geometry.landmarks import Landmarks
from sadtalker_ext.geometry.rotation import RigidFit, fit_rigid_robust, matrix_to_euler

STABLE_POINTS = (
    # bridge and root of the nose
    6, 168, 197, 195, 5, 4, 122, 351, 196, 419, 193, 417,
    # inner and outer eye corners
    33, 133, 362, 263,
    # forehead
    10, 151, 9, 8, 67, 109, 338, 297, 69, 299, 104, 333, 103, 332, 54, 284, 21, 251,
    # temples and cheek bones
    127, 356, 162, 389, 234, 454, 116, 345, 227, 447, 117, 346, 143, 372,
)  # fmt: skip
"""Mesh points that move with the skull only, not with mouth, jaw, lids or brows."""

_OUTER_CORNERS = (33, 263)
_MOUTH_CORNERS = (61, 291)
_INNER_LIPS = ((13, 14), (82, 87), (312, 317))
_LIDS = {
    "right": ((159, 145), (158, 153), (160, 144)),
    "left": ((386, 374), (385, 380), (387, 373)),
}
_FOREHEAD, _NOSE_BASE = 10, 2
_EYE_CORNERS = {"right": (33, 133), "left": (362, 263)}


def head_fit(landmarks: Landmarks, reference: Landmarks) -> RigidFit:
    """Return the similarity transform from the skull in ``reference`` to the skull in ``landmarks``, in pixels."""
    chosen = list(STABLE_POINTS)
    return fit_rigid_robust(reference.mesh[chosen], landmarks.mesh[chosen])


def head_pose(landmarks: Landmarks, reference: Landmarks) -> tuple[float, float, float]:
    """Return the head rotation relative to ``reference``: pitch, yaw, roll in radians, signs as in Motion."""
    pitch, yaw, roll = matrix_to_euler(head_fit(landmarks, reference).rotation)
    return float(pitch), float(yaw), float(roll)


def mouth_opening(landmarks: Landmarks) -> float:
    """Return the vertical gap between the inner lips, divided by the distance of the outer eye corners.

    The gap is measured along the vertical of the face and averaged over three pairs of points around the middle. 0 is
    closed (noise may make it slightly negative); a wide-open mouth is about 0.5.
    """
    mesh = landmarks.mesh.astype(np.float64)
    gaps = [float((mesh[lower] - mesh[upper]) @ _down(mesh)) for upper, lower in _INNER_LIPS]
    return float(np.mean(gaps)) / _unit(mesh)


def mouth_width(landmarks: Landmarks) -> float:
    """Return the distance of the mouth corners, divided by that of the outer eye corners; about 0.55 at rest."""
    mesh = landmarks.mesh.astype(np.float64)
    return _distance(mesh, _MOUTH_CORNERS) / _unit(mesh)


def eye_opening(landmarks: Landmarks, side: Literal["left", "right"]) -> float:
    """Return the gap between the lids of the subject's ``side`` eye, divided by the eye width.

    About 0.3 for an open eye and 0.05 to 0.15 for a closed one. Narrow or painted eyes measure 0.2 when open, so
    compare with the same face at rest.
    """
    mesh = landmarks.mesh.astype(np.float64)
    gap = float(np.mean([_distance(mesh, pair) for pair in _LIDS[side]]))
    return gap / max(_distance(mesh, _EYE_CORNERS[side]), 1e-6)


def _distance(mesh: Float64Array, pair: tuple[int, int]) -> float:
    return float(np.linalg.norm(mesh[pair[0]] - mesh[pair[1]]))


def _unit(mesh: Float64Array) -> float:
    """Return the distance of the outer eye corners."""
    return max(_distance(mesh, _OUTER_CORNERS), 1e-6)


def _down(mesh: Float64Array) -> Float64Array:
    """Return the unit vector (3,) from forehead to nose base, perpendicular to the line through the eyes."""
    across = mesh[_OUTER_CORNERS[1]] - mesh[_OUTER_CORNERS[0]]
    across = across / max(float(np.linalg.norm(across)), 1e-6)
    down = mesh[_NOSE_BASE] - mesh[_FOREHEAD]
    down = down - (down @ across) * across
    unit: Float64Array = down / max(float(np.linalg.norm(down)), 1e-6)
    return unit
