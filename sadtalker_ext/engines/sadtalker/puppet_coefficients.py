"""The puppet's motion in the places of the 3DMM coefficients, for SadTalker networks trained without the Basel model.

Columns 0 to 14 of the expression are the puppet's shapes in their order, the other 49 are zero; angles and translation
keep the 3DMM's signs and units. A portrait's own expression is zero, as the shapes count from the picture itself, and
so is its translation; its angles are those of the head in the picture. The crop values are the portrait's and stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker import coefficients as rows
from sadtalker_ext.geometry.five_point_alignment import align_transform, flip_y
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.planar_pose import rotation_since
from sadtalker_ext.puppet.basis import SHAPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SHAPE_COLUMNS: Final = slice(0, len(SHAPES))
"""Columns of the coefficients that hold the puppet's shapes."""


def portrait_rotation(mesh: Floats) -> Floats:
    """Pitch, yaw, roll (3,) in radians (signs as in Motion) of a face (478, 3) against the mean face from the front."""
    return np.array(rotation_since(mesh, mean_face_mesh()), np.float32)


def portrait_coefficients(mesh: Floats, landmarks68: Floats, size_px: int) -> Floats:
    """Coefficients (73,) of a portrait that does not move.

    mesh: (478, 3) of the face, in any pixels. landmarks68: (68, 2) in the square of ``size_px`` that is animated.
    """
    own = Motion(
        np.zeros((1, rows.EXPRESSION.stop), np.float32), portrait_rotation(mesh)[None], np.zeros((1, 3), np.float32)
    )
    transform = align_transform(flip_y(landmarks68, size_px), size_px, size_px)
    crop = np.array([transform.scale, transform.x_px, transform.y_px], np.float32)
    return np.concatenate((rows.from_motion(own)[0], crop))


def clip_coefficients(motion: Motion, source: Floats) -> Floats:
    """Coefficients (T, 73) of the puppet's motion (T, 15 shapes), which counts from a portrait of ``source`` (73,)."""
    expression = np.zeros((len(motion), rows.EXPRESSION.stop), np.float32)
    expression[:, SHAPE_COLUMNS] = motion.expression
    moved = rows.from_motion(motion.replace(expression=expression))
    moved[:, rows.POSE] += source[rows.POSE]
    crop = np.repeat(source[None, rows.CROP], len(motion), axis=0)
    return np.concatenate((moved, crop), axis=1).astype(np.float32)


def puppet_motion(coefficients: Floats, source: Floats) -> Motion:
    """The inverse of :func:`clip_coefficients`: the puppet's motion (T, 15) from coefficients (T, 73)."""
    moved = coefficients.copy()
    moved[:, rows.POSE] -= source[rows.POSE]
    whole = rows.to_motion(moved)
    return whole.replace(expression=whole.expression[:, SHAPE_COLUMNS])
