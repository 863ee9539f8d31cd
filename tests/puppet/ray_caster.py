"""A ray caster for a textured ellipsoid: an independent oracle for pictures of a turned head."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


def matrix_of(pitch_deg: float, yaw_deg: float, roll_deg: float = 0.0) -> np.ndarray:
    """Return the rotation matrix by Rodrigues' formula: yaw, then pitch, then roll; x right, y down, z away."""
    turns = [([0, -1, 0], yaw_deg), ([1, 0, 0], pitch_deg), ([0, 0, 1], roll_deg)]
    matrix = np.eye(3)
    for axis, angle in turns:
        matrix = cv2.Rodrigues(np.deg2rad(angle) * np.array(axis, float))[0] @ matrix
    return matrix


@dataclass(frozen=True)
class Ellipsoid:
    """An upright ellipsoid in pixels: centre (3,) and radii (3,)."""

    centre: np.ndarray
    radii: np.ndarray

    def front(self, points: np.ndarray) -> np.ndarray:
        """Return the depth (...,) of the front at ``points`` (..., 2); beyond the outline that of the centre."""
        inside = 1.0 - (((points - self.centre[:2]) / self.radii[:2]) ** 2).sum(axis=-1)
        return self.centre[2] - self.radii[2] * np.sqrt(np.maximum(inside, 0.0))

    def sources(self, pixels: np.ndarray, matrix: np.ndarray, pivot: np.ndarray, distance: float) -> np.ndarray:
        """Return the pixels (N, 2) of the unturned picture that ``pixels`` (N, 2) show after a rotation; NaN: none.

        The camera is ``distance`` before the pivot; the picture plane contains the pivot.
        """
        eye = matrix.T @ np.array([0.0, 0.0, -distance])
        flat = np.concatenate([pixels - pivot[:2], np.zeros((len(pixels), 1))], axis=1) @ matrix
        ray = (flat - eye) / self.radii
        start = (eye - (self.centre - pivot)) / self.radii
        a, b, c = (ray**2).sum(axis=1), 2.0 * ray @ start, start @ start - 1.0
        root = b**2 - 4.0 * a * c
        nearest = (-b - np.sqrt(np.where(root >= 0.0, root, np.nan))) / (2.0 * a)
        hit = eye + nearest[:, None] * (flat - eye)
        return pivot[:2] + hit[:, :2] * (distance / (distance + hit[:, 2]))[:, None]
