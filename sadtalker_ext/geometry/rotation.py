"""Conversion between Euler angles and rotation matrices, and least-squares similarity transforms.

Axes are those of landmarks: x right, y down, z away from the camera. Signs of angles follow
:class:`sadtalker_ext.geometry.motion.Motion`: positive pitch looks down, positive yaw turns the face to the viewer's
right, positive roll tilts it clockwise in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.arrays import Float64Array

Points = NDArray[np.floating[Any]]


def euler_to_matrix(angles_rad: Float64Array) -> Float64Array:
    """Convert pitch, yaw, roll (..., 3) in radians to rotation matrices (..., 3, 3).

    Yaw is applied first, then pitch, then roll. The matrices rotate column vectors; in the axes above they are
    Rz(roll) Rx(pitch) Ry(-yaw).
    """
    angles = np.asarray(angles_rad, np.float64)
    sin_p, sin_y, sin_r = np.moveaxis(np.sin(angles), -1, 0)
    cos_p, cos_y, cos_r = np.moveaxis(np.cos(angles), -1, 0)
    rows = [
        [cos_r * cos_y + sin_r * sin_p * sin_y, -sin_r * cos_p, -cos_r * sin_y + sin_r * sin_p * cos_y],
        [sin_r * cos_y - cos_r * sin_p * sin_y, cos_r * cos_p, -sin_r * sin_y - cos_r * sin_p * cos_y],
        [cos_p * sin_y, sin_p + 0.0 * sin_y, cos_p * cos_y],
    ]
    matrix: Float64Array = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    return matrix


def matrix_to_euler(matrix: Float64Array) -> Float64Array:
    """Convert rotation matrices (..., 3, 3) to pitch, yaw, roll (..., 3) in radians.

    Pitch is in [-pi/2, pi/2], yaw and roll in [-pi, pi]. At a pitch of exactly +-90 degrees (gimbal lock) roll is 0.
    """
    matrix = np.asarray(matrix, np.float64)
    pitch = np.arcsin(np.clip(matrix[..., 2, 1], -1.0, 1.0))
    locked = np.abs(matrix[..., 2, 1]) > 1.0 - 1e-12
    yaw = np.arctan2(matrix[..., 2, 0], matrix[..., 2, 2])
    roll = np.arctan2(-matrix[..., 0, 1], matrix[..., 1, 1])
    yaw = np.where(locked, np.arctan2(-matrix[..., 0, 2], matrix[..., 0, 0]), yaw)
    angles: Float64Array = np.stack([pitch, yaw, np.where(locked, 0.0, roll)], axis=-1)
    return angles


@dataclass(frozen=True)
class RigidFit:
    """A similarity transform: ``scale * points @ rotation.T + translation``.

    rotation: (3, 3). translation: (3,) in the unit of the target. residuals: (N,) remaining distances, same unit.
    """

    rotation: Float64Array
    translation: Float64Array
    scale: float
    residuals: Float64Array

    def apply(self, points: Float64Array) -> Float64Array:
        """Transform points (N, 3) of the source."""
        placed: Float64Array = self.scale * points @ self.rotation.T + self.translation
        return placed


def fit_rigid(source: Points, target: Points, weights: Float64Array | None = None) -> RigidFit:
    """Fit the similarity transform from ``source`` to ``target``, both (N, 3), by weighted least squares.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    weights = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    weights = weights / weights.sum()
    source_mean, target_mean = weights @ source, weights @ target
    source_offsets, target_offsets = source - source_mean, target - target_mean
    left, singular_values, right = np.linalg.svd((target_offsets * weights[:, None]).T @ source_offsets)
    handedness = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * handedness) @ right
    variance = float(weights @ (source_offsets**2).sum(axis=1))
    scale = float((singular_values * handedness).sum()) / max(variance, 1e-12)
    translation = target_mean - scale * rotation @ source_mean
    residuals = np.linalg.norm(scale * source @ rotation.T + translation - target, axis=1)
    return RigidFit(rotation, translation, scale, residuals)


def fit_rigid_robust(source: Points, target: Points, rounds: int = 4) -> RigidFit:
    """Fit like :func:`fit_rigid`, with Cauchy weights that reduce the influence of outliers."""
    fit = fit_rigid(source, target)
    for _ in range(rounds):
        scale = 1.5 * float(np.median(fit.residuals)) + 1e-9
        fit = fit_rigid(source, target, 1.0 / (1.0 + (fit.residuals / scale) ** 2))
    return fit
