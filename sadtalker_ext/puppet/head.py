"""The head as a soft solid: depth for every pixel, how far each follows the head, and rotation about the neck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.expression_fields import smoothstep, soft_clamp
from sadtalker_ext.puppet.warp import Displacement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.warp import Grid

    Array = NDArray[np.float64]
    Array32 = NDArray[np.float32]

ROTATION_LIMITS_RAD: Final = tuple(np.deg2rad([13.0, 16.0, 18.0]).tolist())
"""Pitch, yaw and roll beyond these bend softly towards a limit."""
TRANSLATION_LIMIT: Final = 0.12
"""Face heights."""
CAMERA_DISTANCE: Final = 6.0
"""Distance of the camera from the face in face heights: the perspective of a portrait lens."""

DEPTH_BLUR: Final = 0.045
"""Smoothing of the depth in face heights, so that the far cheek of a turned face cannot fold."""
RELIEF: Final = 1.10
"""Depth is stretched by this about the pivot: landmark depth is flatter than a head, and smoothing flattens it more."""
PITCH_GAIN: Final = 1.18
"""A nod of a flat-chinned relief reads as smaller than it is; with this a face tracker reads back what was asked."""


def rotation_matrix(rotation: Array) -> Array:
    """(3,) pitch, yaw, roll in radians -> (3, 3), roll after pitch after yaw, in x right, y down, z away axes."""
    (sin_p, sin_y, sin_r), (cos_p, cos_y, cos_r) = np.sin(rotation), np.cos(rotation)
    yaw = np.array([[cos_y, 0.0, -sin_y], [0.0, 1.0, 0.0], [sin_y, 0.0, cos_y]])
    pitch = np.array([[1.0, 0.0, 0.0], [0.0, cos_p, -sin_p], [0.0, sin_p, cos_p]])
    roll = np.array([[cos_r, -sin_r, 0.0], [sin_r, cos_r, 0.0], [0.0, 0.0, 1.0]])
    matrix: Array = roll @ pitch @ yaw
    return matrix


def clamp_pose(rotation: Array, translation: Array) -> tuple[Array, Array]:
    """(T, 3) rotation (rad) and (T, 3) translation (face heights), bent softly into the believable range."""
    turned = np.stack(
        [soft_clamp(rotation[:, axis], -limit, limit, 0.08) for axis, limit in enumerate(ROTATION_LIMITS_RAD)], axis=1
    )
    return turned, soft_clamp(translation, -TRANSLATION_LIMIT, TRANSLATION_LIMIT, 0.1)


@dataclass(frozen=True)
class Head:
    """Head solid on a grid. follow: (rows, columns) in [0, 1]; depth: (rows, columns) pixels; pivot: (3,) pixels."""

    grid: Grid
    nodes: Array32
    follow: Array32
    depth: Array32
    pivot: Array
    height_px: float

    def displace(self, rotation: Array, translation: Array) -> Displacement:
        """Forward displacement of the head for one pose: rotation (3,) rad, translation (3,) face heights."""
        matrix = rotation_matrix(rotation * np.array([PITCH_GAIN, 1.0, 1.0]))
        x = self.nodes[..., 0] - self.pivot[0]
        y = self.nodes[..., 1] - self.pivot[1]
        z = RELIEF * (self.depth - self.pivot[2])
        distance = CAMERA_DISTANCE * self.height_px
        shift_px = translation * self.height_px
        moved_z = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z - shift_px[2]
        scale = (distance + z) / (distance + moved_z)
        moved_x = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z) * scale + shift_px[0]
        moved_y = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z) * scale + shift_px[1]
        shift = np.stack([(moved_x - x) * self.follow, (moved_y - y) * self.follow], axis=-1)
        return Displacement.on(self.grid, shift.astype(np.float32))


def build_head(face: FaceGeometry, mesh: Array32, grid: Grid) -> Head:
    """Depth and follow weights on ``grid`` from the (478, 3) mesh."""
    nodes = grid.nodes()
    points = nodes.astype(np.float64)
    depth = _depth(face, mesh.astype(np.float64), points)
    sigma = DEPTH_BLUR * face.height_px / grid.cell
    smooth = cv2.GaussianBlur(depth, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    back = float(np.median(mesh[[topo.CHEEK_RIGHT, topo.CHEEK_LEFT], 2]))
    centre = mesh[[topo.CHEEK_RIGHT, topo.CHEEK_LEFT], :2].astype(np.float64).mean(0)
    neck = centre + face.axes.down * 0.42 * face.height_px
    pivot = np.array([neck[0], neck[1], back + 0.06 * face.height_px])
    return Head(
        grid=grid,
        nodes=nodes,
        follow=_follow(face, points).astype(np.float32),
        depth=np.asarray(smooth, np.float32),
        pivot=pivot,
        height_px=face.height_px,
    )


def _follow(face: FaceGeometry, points: Array) -> Array:
    """1 on the head, falling to 0 below the neck and beyond the hair."""
    unit = face.height_px
    t, v = face.axes.local(points)
    chin = float(face.axes.local(face.chin)[1])
    middle = chin - 0.55 * unit
    radius = np.hypot(t, 0.85 * (v - middle)) / unit
    around = smoothstep(2.0, 0.95, radius)
    neck = smoothstep(chin + 0.62 * unit, chin - 0.06 * unit, v)
    follow: Array = around * neck
    return follow


def _depth(face: FaceGeometry, mesh: Array, points: Array) -> Array:
    """Depth in pixels for every point: a thin-plate surface through the mesh, rounding backwards around the face."""
    unit = face.height_px
    inside = mesh[np.arange(0, 468, 5)]
    oval = mesh[list(topo.FACE_OVAL)]
    centre = oval[:, :2].mean(0)
    rings = []
    back = float(np.percentile(oval[:, 2], 90))
    for scale, extra in ((1.22, 0.10), (1.7, 0.16), (2.6, 0.18)):
        ring = oval[::2].copy()
        ring[:, :2] = centre + scale * (ring[:, :2] - centre)
        ring[:, 2] = np.maximum(ring[:, 2], np.minimum(ring[:, 2] + extra * unit, back)) + 0.0
        rings.append(ring)
    known = np.concatenate([inside, oval, *rings])
    flat = points.reshape(-1, 2)
    surface = _thin_plate((known[:, :2] - centre) / unit, known[:, 2] / unit, (flat - centre) / unit)
    low, high = float(mesh[:, 2].min()) / unit, (back / unit) + 0.12
    depth: Array = np.clip(surface, low, high).reshape(points.shape[:-1]) * unit
    return depth


def _thin_plate(known: Array, values: Array, wanted: Array, smoothing: float = 2e-3) -> Array:
    """Smoothing thin-plate spline (Duchon 1977) through ``known`` (N, 2), evaluated at ``wanted`` (M, 2)."""

    def kernel(a: Array, b: Array) -> Array:
        squared = ((a[:, None, :] - b[None, :, :]) ** 2).sum(-1)
        value: Array = 0.5 * squared * np.log(squared + 1e-12)
        return value

    count = len(known)
    flat = np.concatenate([np.ones((count, 1)), known], axis=1)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = kernel(known, known) + smoothing * np.eye(count)
    system[:count, count:] = flat
    system[count:, :count] = flat.T
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros(3)]))
    plane = np.concatenate([np.ones((len(wanted), 1)), wanted], axis=1)
    result: Array = kernel(wanted, known) @ weights[:count] + plane @ weights[count:]
    return result
