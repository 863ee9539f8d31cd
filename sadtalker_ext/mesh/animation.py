"""Motion of a face mesh: weights of the morph targets, and the pose of the head as a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.mesh.face_mesh import FACE_HEIGHT_M
from sadtalker_ext.mesh.targets import target_weights

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.puppet.rig import Rig


@dataclass(frozen=True)
class MeshAnimation:
    """Motion of a mesh at ``rate_hz`` frames per second.

    weights: (T, K) of the morph targets. rotations: (T, 4) unit quaternions x, y, z, w of the head. translations:
    (T, 3) metres. Axes as in :class:`~sadtalker_ext.mesh.face_mesh.FaceMesh`.
    """

    weights: Float32Array
    rotations: Float32Array
    translations: Float32Array
    rate_hz: float

    def __len__(self) -> int:
        return len(self.weights)


def animate_mesh(rig: Rig, motion: Motion, rate_hz: float) -> MeshAnimation:
    """Return the motion of the mesh of ``rig`` for motion in the shapes of the expression basis, at any angles."""
    return MeshAnimation(
        target_weights(rig, motion.expression),
        head_quaternions(motion.rotation.astype(np.float64)),
        head_translations(motion.translation.astype(np.float64)),
        rate_hz,
    )


def head_translations(translation: Float64Array) -> Float32Array:
    """Return metres (T, 3) in the axes of the mesh for face heights (T, 3): right, down and towards the viewer."""
    metres: Float32Array = (translation * (FACE_HEIGHT_M * np.array([1.0, -1.0, 1.0]))).astype(np.float32)
    return metres


def head_quaternions(rotation: Float64Array) -> Float32Array:
    """Return unit quaternions (T, 4) x, y, z, w for pitch, yaw and roll (T, 3) in radians; the yaw is first."""
    half = 0.5 * rotation
    (sin_p, sin_y, sin_r), (cos_p, cos_y, cos_r) = np.sin(half).T, np.cos(half).T
    sin_r = -sin_r  # positive roll is clockwise, in these axes a negative angle about z
    x, y, z, w = sin_p * cos_y, cos_p * sin_y, sin_p * sin_y, cos_p * cos_y
    turned = np.stack(
        [
            cos_r * x - sin_r * y,
            cos_r * y + sin_r * x,
            cos_r * z + sin_r * w,
            cos_r * w - sin_r * z,
        ],
        axis=1,
    )
    return shortest_way(turned)


def shortest_way(quaternions: Float64Array) -> Float32Array:
    """Return the same rotations (T, 4), each with the sign that is nearest to the previous one.

    Linear interpolation between neighbours then takes the short way.
    """
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(axis=1) < 0.0, -1.0, 1.0)
    signs = np.concatenate([[1.0], np.cumprod(flips)])
    near: Float32Array = (quaternions * signs[:, None]).astype(np.float32)
    return near
