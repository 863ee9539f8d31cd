"""Head rotations and rigid fits.

Axes are those of landmarks: x right, y down, z away from the camera. Angles follow
:class:`sadtalker_ext.geometry.motion.Motion`: positive pitch looks down, positive yaw turns the face to the viewer's
right, positive roll leans it clockwise as seen in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Points = NDArray[np.floating[Any]]


def euler_to_matrix(angles_rad: Array) -> Array:
    """(..., 3) pitch, yaw, roll in radians -> (..., 3, 3): yaw is applied first, then pitch, then roll.

    The matrix turns column vectors. In the axes above it is Rz(roll) Rx(pitch) Ry(-yaw).
    """
    angles = np.asarray(angles_rad, np.float64)
    sin_p, sin_y, sin_r = np.moveaxis(np.sin(angles), -1, 0)
    cos_p, cos_y, cos_r = np.moveaxis(np.cos(angles), -1, 0)
    rows = [
        [cos_r * cos_y + sin_r * sin_p * sin_y, -sin_r * cos_p, -cos_r * sin_y + sin_r * sin_p * cos_y],
        [sin_r * cos_y - cos_r * sin_p * sin_y, cos_r * cos_p, -sin_r * sin_y - cos_r * sin_p * cos_y],
        [cos_p * sin_y, sin_p + 0.0 * sin_y, cos_p * cos_y],
    ]
    matrix: Array = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    return matrix


def matrix_to_euler(matrix: Array) -> Array:
    """(..., 3, 3) rotation -> (..., 3) pitch in [-pi/2, pi/2], yaw and roll in [-pi, pi], radians.

    At a pitch of exactly +-90 degrees, where yaw and roll turn about one axis, roll is 0.
    """
    matrix = np.asarray(matrix, np.float64)
    pitch = np.arcsin(np.clip(matrix[..., 2, 1], -1.0, 1.0))
    locked = np.abs(matrix[..., 2, 1]) > 1.0 - 1e-12
    yaw = np.arctan2(matrix[..., 2, 0], matrix[..., 2, 2])
    roll = np.arctan2(-matrix[..., 0, 1], matrix[..., 1, 1])
    yaw = np.where(locked, np.arctan2(-matrix[..., 0, 2], matrix[..., 0, 0]), yaw)
    angles: Array = np.stack([pitch, yaw, np.where(locked, 0.0, roll)], axis=-1)
    return angles


@dataclass(frozen=True)
class RigidFit:
    """A similarity: ``scale * points @ rotation.T + translation``.

    rotation: (3, 3). translation: (3,) in the target's unit. residuals: (N,) distances left, in the target's unit.
    """

    rotation: Array
    translation: Array
    scale: float
    residuals: Array

    def apply(self, points: Array) -> Array:
        """(N, 3) points of the source placed in the target."""
        placed: Array = self.scale * points @ self.rotation.T + self.translation
        return placed


def fit_rigid(source: Points, target: Points, weights: Array | None = None) -> RigidFit:
    """The similarity that brings (N, 3) ``source`` closest to ``target`` in weighted least squares.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    share = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    share = share / share.sum()
    source_mean, target_mean = share @ source, share @ target
    from_mean, to_mean = source - source_mean, target - target_mean
    left, stretch, right = np.linalg.svd((to_mean * share[:, None]).T @ from_mean)
    handedness = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * handedness) @ right
    spread = float(share @ (from_mean**2).sum(axis=1))
    scale = float((stretch * handedness).sum()) / max(spread, 1e-12)
    translation = target_mean - scale * rotation @ source_mean
    residuals = np.linalg.norm(scale * source @ rotation.T + translation - target, axis=1)
    return RigidFit(rotation, translation, scale, residuals)


def fit_rigid_robust(source: Points, target: Points, rounds: int = 4) -> RigidFit:
    """:func:`fit_rigid` with points that disagree with the rest trusted less (Cauchy weights)."""
    fit = fit_rigid(source, target)
    for _ in range(rounds):
        typical = 1.5 * float(np.median(fit.residuals)) + 1e-9
        fit = fit_rigid(source, target, 1.0 / (1.0 + (fit.residuals / typical) ** 2))
    return fit
