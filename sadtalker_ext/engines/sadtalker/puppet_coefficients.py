"""Motion of the starter engine in the columns of the 3DMM coefficients.

Used by SadTalker networks that are trained without the Basel Face Model. The first columns of the expression are the
shapes of the geometric renderer in their order, the others are zero; angles and translation keep the signs and units
of the 3DMM. The expression and translation of a portrait are zero, since the shapes are relative to the picture; its
angles are those of the head in the picture. The crop values are those of the portrait in every frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.coefficients import CROP, EXPRESSION, POSE, from_motion
from sadtalker_ext.geometry.five_point_alignment import align_transform, flip_y
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.planar_pose import rotation_between
from sadtalker_ext.puppet.basis import SHAPES

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array

SHAPE_COLUMNS: Final = slice(0, len(SHAPES))
"""Columns of the coefficients that contain the shapes."""


def portrait_rotation(mesh: Float32Array) -> Float32Array:
    """Return pitch, yaw, roll (3,) in radians of a face (478, 3) relative to the mean face; signs as in Motion."""
    return np.array(rotation_between(mesh, mean_face_mesh()), np.float32)


def portrait_coefficients(mesh: Float32Array, landmarks68: Float32Array, size_px: int) -> Float32Array:
    """Return the coefficients (73,) of a motionless portrait.

    mesh: (478, 3) of the face, in any pixels. landmarks68: (68, 2) in the animated square of ``size_px``.
    """
    source = Motion(
        np.zeros((1, EXPRESSION.stop), np.float32), portrait_rotation(mesh)[None], np.zeros((1, 3), np.float32)
    )
    transform = align_transform(flip_y(landmarks68, size_px), size_px, size_px)
    crop = np.array([transform.scale, transform.x_px, transform.y_px], np.float32)
    return np.concatenate((from_motion(source)[0], crop))


def clip_coefficients(motion: Motion, source: Float32Array) -> Float32Array:
    """Return coefficients (T, 73) of starter motion with T rows, relative to a portrait with coefficients (73,)."""
    expression = np.zeros((len(motion), EXPRESSION.stop), np.float32)
    expression[:, SHAPE_COLUMNS] = motion.expression
    moved = from_motion(motion.replace(expression=expression))
    moved[:, POSE] += source[POSE]
    crop = np.repeat(source[None, CROP], len(motion), axis=0)
    return np.concatenate((moved, crop), axis=1).astype(np.float32)
