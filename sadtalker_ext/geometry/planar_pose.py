"""Head rotation from the x and y of landmarks, without their depth.

Depth is the least reliable output of a face model for a single frame: it depends on the mouth and jitters. Here all
frames share the depth of one reference mesh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.geometry.measures import STABLE_POINTS
from sadtalker_ext.geometry.rotation import matrix_to_euler

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

ITERATIONS = 8
UNWEIGHTED_ITERATIONS = 2
"""The first iterations weight all points equally, so that the residuals mean something."""
CAUCHY_SCALE = 1.5
"""Scale of the Cauchy weights in median residuals."""


def rotation_between(mesh: Float32Array, reference: Float32Array) -> tuple[float, float, float]:
    """Return the skull rotation from ``reference`` to ``mesh``: pitch, yaw, roll in radians, signs as in Motion.

    mesh, reference: (478, 3) in pixels; the z of ``mesh`` is ignored. Valid up to about 45 degrees.
    """
    chosen = list(STABLE_POINTS)
    rotation = fit_scaled_rotation(reference[chosen].astype(np.float64), mesh[chosen, :2].astype(np.float64))
    pitch, yaw, roll = matrix_to_euler(rotation)
    return float(pitch), float(yaw), float(roll)


def fit_scaled_rotation(points: Float64Array, image_points: Float64Array) -> Float64Array:
    """Return the rotation (3, 3) with which ``points`` (N, 3) project onto ``image_points`` (N, 2).

    Scale and shift are fitted too. Gauss-Newton under scaled orthographic projection, with Cauchy weights against
    outliers.
    """
    centred = points - points.mean(axis=0)
    rotation = np.eye(3)
    offsets = image_points - image_points.mean(axis=0)
    scale = float(np.sqrt(np.sum(offsets**2) / np.sum(centred[:, :2] ** 2)))
    shift = image_points.mean(axis=0)
    for iteration in range(ITERATIONS):
        rotated = centred @ rotation.T
        residual = image_points - (scale * rotated[:, :2] + shift)
        weights = np.ones(len(image_points))
        if iteration >= UNWEIGHTED_ITERATIONS:
            distance = np.linalg.norm(residual, axis=1)
            weights = 1.0 / (1.0 + (distance / (CAUCHY_SCALE * np.median(distance) + 1e-9)) ** 2)
        step = _gauss_newton_step(rotated, residual, scale, np.sqrt(weights))
        rotation = _rotation_from_vector(step[:3]) @ rotation
        scale *= float(np.exp(step[3]))
        shift = shift + step[4:]
    return rotation


def _gauss_newton_step(
    rotated: Float64Array, residual: Float64Array, scale: float, root_weights: Float64Array
) -> Float64Array:
    """Return the update (6,) that minimises the weighted residual (N, 2): rotation vector, log scale, shift."""
    count = len(rotated)
    x, y, z = rotated.T
    zero, one = np.zeros(count), np.ones(count)
    jacobian_x = np.stack([zero, scale * z, -scale * y, scale * x, one, zero], axis=1)
    jacobian_y = np.stack([-scale * z, zero, scale * x, scale * y, zero, one], axis=1)
    jacobian = np.concatenate([jacobian_x * root_weights[:, None], jacobian_y * root_weights[:, None]])
    target = np.concatenate([residual[:, 0] * root_weights, residual[:, 1] * root_weights])
    step: Float64Array = np.linalg.lstsq(jacobian, target, rcond=None)[0]
    return step


def _rotation_from_vector(vector: Float64Array) -> Float64Array:
    """Convert a rotation vector (3,) in radians to a matrix (3, 3) (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: Float64Array = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
    return rotation
