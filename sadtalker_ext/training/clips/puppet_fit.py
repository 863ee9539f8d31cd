"""The neutral face of a tracked clip, and the coefficients of the clip relative to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.coefficients import EXPRESSION, from_motion
from sadtalker_ext.engines.sadtalker.puppet_coefficients import clip_coefficients, portrait_rotation
from sadtalker_ext.engines.starter.mesh_motion import (
    COLUMNS,
    POINTS,
    MeshFitter,
    NeutralFace,
    align_skull,
    fit_pose,
)
from sadtalker_ext.geometry.landmarks import Landmarks
from sadtalker_ext.geometry.measures import eye_opening, mouth_opening
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.puppet import topology as topo

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array

EYE_CORNERS: Final = (33, 133, 362, 263)
"""Mesh points of the corners of the right and left eye, outer right first, outer left last."""
OPEN_EYE_QUANTILE: Final = 0.8
"""Quantile of the eye openings of a video that counts as the open eye."""
CLOSED_MOUTH_QUANTILE: Final = 0.05
"""Quantile of the mouth openings of a video that counts as the closed mouth."""
NEUTRAL_SHARE: Final = 0.04
MIN_NEUTRAL_FRAMES: Final = 3
"""The neutral face is the mean of this part of the frames, aligned with each other."""
MOUTH_TOLERANCE: Final = 0.05
TURN_TOLERANCE_RAD: Final = 0.15
EYE_TOLERANCE: Final = 0.15
BROW_TOLERANCE: Final = 0.05
"""Deviations that count equally when the most neutral frames are selected."""


def find_neutral(meshes: Float32Array) -> NeutralFace:
    """Return the most neutral face in meshes (T, 478, 3): mouth closed, eyes open, brows relaxed, head frontal."""
    faces = [Landmarks.from_mesh(mesh, "track") for mesh in meshes]
    eyes = np.array([(eye_opening(face, "right"), eye_opening(face, "left")) for face in faces])
    open_eyes = np.maximum(np.quantile(eyes, OPEN_EYE_QUANTILE, axis=0), 1e-3)
    mouth = np.array([mouth_opening(face) for face in faces])
    turned = np.array([np.linalg.norm(portrait_rotation(mesh)[:2]) for mesh in meshes])
    brows = np.array([_brow_height(mesh) for mesh in meshes])
    strain = (
        np.maximum(mouth - np.quantile(mouth, CLOSED_MOUTH_QUANTILE), 0.0) / MOUTH_TOLERANCE
        + turned / TURN_TOLERANCE_RAD
        + np.abs(1.0 - (eyes / open_eyes).mean(axis=1)) / EYE_TOLERANCE
        + np.abs(brows - np.median(brows)) / BROW_TOLERANCE
    )
    count = max(MIN_NEUTRAL_FRAMES, round(NEUTRAL_SHARE * len(meshes)))
    best = np.argsort(strain, kind="stable")[:count]
    chosen = [align_skull(meshes[index], meshes[best[0]]) for index in best]
    return NeutralFace(np.mean(chosen, axis=0).astype(np.float32), (float(open_eyes[0]), float(open_eyes[1])))


class PuppetFitter(MeshFitter):
    """Measures shapes of the puppet in upright faces, and the rotation of the skull, relative to a neutral face.

    :class:`MeshFitter` finds what makes the renderer resemble a face; there, shapes make up for a head that turns
    unlike the renderer's. The translation is that with which the renderer resembles the face. The shape that raises the
    whole mouth is left out, because networks do not predict it, and because the jaw would move less with it.
    """

    held = ("mouth_raise",)

    def fit(self, meshes: Float32Array) -> Motion:
        """Return motion (T, 15) of tracked meshes (T, 478, 3); rotation and translation start at the neutral face."""
        upright = np.stack([align_skull(mesh, self.neutral.mesh) for mesh in meshes]).astype(np.float32)
        motion = super().fit(upright)
        pose = [self._fit_pose(mesh, shapes) for mesh, shapes in zip(meshes, motion.expression, strict=True)]
        rotation, translation = (np.array(part, np.float32) for part in zip(*pose, strict=True))
        return motion.replace(rotation=rotation, translation=translation)

    def _fit_pose(self, mesh: Float32Array, expression: Float32Array) -> tuple[Float64Array, Float64Array]:
        """Return rotation (3,) of the skull and translation (3,) of the renderer's head."""
        rotation, translation = self.measure_pose(mesh)
        start = np.concatenate([expression[list(COLUMNS)], rotation, translation])
        found = fit_pose(self.model, mesh[list(POINTS), :2].astype(np.float64), start)
        return rotation, found[-3:]

    def measure_coefficients(self, meshes: Float32Array, crop: Float32Array) -> Float32Array:
        """Return coefficients (T, 73) of tracked meshes (T, 478, 3); crop: (3,) of the clip."""
        rotation, translation = portrait_rotation(self.neutral.mesh)[None], np.zeros((1, 3), np.float32)
        source = from_motion(Motion(np.zeros((1, EXPRESSION.stop), np.float32), rotation, translation))[0]
        return clip_coefficients(self.fit(meshes), np.concatenate((source, crop)))


def _brow_height(mesh: Float32Array) -> float:
    """Return the height of the brows above the eyes in eye distances."""
    brows = mesh[[*topo.RIGHT_BROW, *topo.LEFT_BROW]].mean(axis=0)
    corners = mesh[list(EYE_CORNERS)]
    distance = max(float(np.linalg.norm(corners[0] - corners[3])), 1e-6)
    return float(np.linalg.norm(brows - corners.mean(axis=0))) / distance
