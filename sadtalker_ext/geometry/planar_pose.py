"""Head rotation from where landmarks lie in the picture, without their depth.

Depth is the least certain thing a face model says of a single frame: it follows the mouth and trembles. Here the depth
of one reference serves for all frames, and only x and y of each are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.geometry.measures import STABLE_POINTS
from sadtalker_ext.geometry.rotation import matrix_to_euler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ROUNDS = 8


def rotation_since(mesh: NDArray[np.float32], reference: NDArray[np.float32]) -> tuple[float, float, float]:
    """Pitch, yaw, roll in radians (signs as in Motion) by which the skull turned from ``reference`` to ``mesh``.

    Both (478, 3) in pixels; the z of ``mesh`` is not read. Good up to about half a right angle.
    """
    chosen = list(STABLE_POINTS)
    turn = fit_scaled_rotation(reference[chosen].astype(np.float64), mesh[chosen, :2].astype(np.float64))
    pitch, yaw, roll = matrix_to_euler(turn)
    return float(pitch), float(yaw), float(roll)


def fit_scaled_rotation(points: Array, seen: Array) -> Array:
    """Rotation (3, 3) that, with a scale and a shift, brings (N, 3) points onto (N, 2) places in the picture.

    Gauss-Newton under scaled orthographic projection, with points that disagree trusted less (Cauchy weights).
    """
    centred = points - points.mean(axis=0)
    rotation = np.eye(3)
    scale = float(np.sqrt(np.sum((seen - seen.mean(axis=0)) ** 2) / np.sum(centred[:, :2] ** 2)))
    shift = seen.mean(axis=0)
    for number in range(ROUNDS):
        turned = centred @ rotation.T
        residual = seen - (scale * turned[:, :2] + shift)
        distance = np.linalg.norm(residual, axis=1)
        trust = 1.0 / (1.0 + (distance / (1.5 * np.median(distance) + 1e-9)) ** 2) if number > 1 else np.ones(len(seen))
        step = _step(turned, residual, scale, np.sqrt(trust))
        rotation = _small_rotation(step[:3]) @ rotation
        scale *= float(np.exp(step[3]))
        shift = shift + step[4:]
    return rotation


def _step(turned: Array, residual: Array, scale: float, root_trust: Array) -> Array:
    """Rotation vector (3), logarithm of scale and shift (2) that lessen the residual (N, 2) most."""
    count = len(turned)
    x, y, z = turned.T
    zero, one = np.zeros(count), np.ones(count)
    along_x = np.stack([zero, scale * z, -scale * y, scale * x, one, zero], axis=1)
    along_y = np.stack([-scale * z, zero, scale * x, scale * y, zero, one], axis=1)
    table = np.concatenate([along_x * root_trust[:, None], along_y * root_trust[:, None]])
    wanted = np.concatenate([residual[:, 0] * root_trust, residual[:, 1] * root_trust])
    step: Array = np.linalg.lstsq(table, wanted, rcond=None)[0]
    return step


def _small_rotation(vector: Array) -> Array:
    """Rotation (3, 3) by a vector in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: Array = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross
    return rotation
