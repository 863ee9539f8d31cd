"""The head as a soft solid: how far each pixel follows the head, and its displacement for a rotation about the neck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.head_depth import head_depth
from sadtalker_ext.puppet.profiles import smooth_ramp, soft_clamp
from sadtalker_ext.puppet.warp import Displacement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.warp import Grid

    _Values = NDArray[np.floating[Any]]

ROTATION_LIMITS_RAD: Final = tuple(np.deg2rad([13.0, 16.0, 18.0]).tolist())
"""Largest pitch, yaw and roll; rotations beyond are bent softly towards a limit."""
_ROTATION_SOFTNESS: Final = 0.08
"""Distance of that limit from the range, as a share of the range."""
TRANSLATION_LIMIT: Final = 0.3
"""Largest translation along each axis, in face heights. Beyond, the neck and the surroundings of the head, which make
up for it, would be squeezed to less than half their size."""
_TRANSLATION_SOFTNESS: Final = 0.1
"""Distance of the limit from the range, as a share of the range."""
CAMERA_DISTANCE: Final = 6.0
"""Distance of the camera from the face in face heights: the perspective of a portrait lens."""

_DEPTH_BLUR: Final = 0.045
"""Smoothing of the depth in face heights, so that the far cheek of a turned face cannot fold."""
_RELIEF: Final = 1.10
"""Stretch of the depth about the pivot: landmark depth is flatter than a head, and smoothing flattens it more."""
_PITCH_GAIN: Final = 1.18
"""Gain of the pitch: a nod of a relief with a flat chin looks smaller than it is. With it a face tracker measures the
given angle."""

_PIVOT_BELOW_CHEEKS: Final = 0.42
"""Distance of the pivot (the neck) below the middle of the cheeks, in face heights."""
_PIVOT_BEHIND_CHEEKS: Final = 0.06
"""Distance of the pivot behind the cheeks, in face heights."""

_HEAD_ABOVE_CHIN: Final = 0.55
"""Height of the head's centre above the chin, in face heights."""
_HEAD_VERTICAL_SCALE: Final = 0.85
"""Factor of vertical distances from the centre: the region that follows the head is taller than wide."""
_FOLLOW_ENDS: Final = 2.0
_FOLLOW_WHOLE: Final = 0.95
"""Distances from the head's centre, in face heights, at which following has ended (beyond the hair) and up to which
it is whole."""
_NECK_STILL: Final = 0.62
_NECK_WHOLE: Final = -0.06
"""Levels below the chin, in face heights, at which following has ended (the shoulders) and up to which it is whole."""

_BORDER_BAND: Final = 0.3
"""Width, in face heights, of the band along the border of the picture in which a head that moves away from the border
is stretched. Its outermost pixels stay, because nothing is known of what lies beyond."""
_MIN_BAND_PX: Final = 1.0
"""Narrower bands are left out: there the face itself touches the border."""


def rotation_matrix(rotation: Float64Array) -> Float64Array:
    """Return the matrix (3, 3) of pitch, yaw and roll (3,) in radians: roll after pitch after yaw.

    Axes: x right, y down, z away from the camera.
    """
    (sin_p, sin_y, sin_r), (cos_p, cos_y, cos_r) = np.sin(rotation), np.cos(rotation)
    yaw = np.array([[cos_y, 0.0, -sin_y], [0.0, 1.0, 0.0], [sin_y, 0.0, cos_y]])
    pitch = np.array([[1.0, 0.0, 0.0], [0.0, cos_p, -sin_p], [0.0, sin_p, cos_p]])
    roll = np.array([[cos_r, -sin_r, 0.0], [sin_r, cos_r, 0.0], [0.0, 0.0, 1.0]])
    matrix: Float64Array = roll @ pitch @ yaw
    return matrix


def clamp_pose(
    rotation: Float64Array, translation: Float64Array, limits_rad: tuple[float, ...] = ROTATION_LIMITS_RAD
) -> tuple[Float64Array, Float64Array]:
    """Return rotation (T, 3) in radians and translation (T, 3) in face heights, limited softly to plausible ranges.

    limits_rad: largest pitch, yaw and roll.
    """
    largest = np.array(limits_rad)
    turned = soft_clamp(rotation, -largest, largest, _ROTATION_SOFTNESS)
    shifted = soft_clamp(translation, -TRANSLATION_LIMIT, TRANSLATION_LIMIT, _TRANSLATION_SOFTNESS)
    return turned, shifted


def turn_size(rotation: _Values) -> _Values:
    """Return the size (...) of rotations (..., 3) in radians: up to 1, they are ordinary head motion.

    It is the norm of their shares of :data:`ROTATION_LIMITS_RAD`. With the largest yaw and the largest roll together,
    or with much of all three, the far eye would fold.
    """
    size: _Values = np.sqrt(((rotation / np.array(ROTATION_LIMITS_RAD)) ** 2).sum(axis=-1))
    return size


@dataclass(frozen=True)
class Head:
    """Soft solid on a grid.

    nodes: (rows, columns, 2) pixels. follow: (rows, columns), share of the head's motion in [0, 1]. depth: (rows,
    columns) pixels away from the camera. pivot: (3,) pixels. hold: (rows, columns, 4), share of a motion away from the
    left, right, upper and lower border of the picture that is possible; 1 far from the border. limits_rad: largest
    pitch, yaw and roll. relief: stretch of the depth about the pivot. gains: factors of pitch, yaw and roll.
    """

    grid: Grid
    nodes: Float32Array
    follow: Float32Array
    depth: Float32Array
    pivot: Float64Array
    height_px: float
    hold: Float32Array | None = None
    limits_rad: tuple[float, ...] = ROTATION_LIMITS_RAD
    relief: float = _RELIEF
    gains: tuple[float, float, float] = (_PITCH_GAIN, 1.0, 1.0)

    def displace(self, rotation: Float64Array, translation: Float64Array) -> Displacement:
        """Return the forward displacement for rotation (3,) in radians and translation (3,) in face heights."""
        shift = self._shift(self.nodes, self.depth, (rotation, translation)) * self.follow[..., None]
        if self.hold is not None:
            left, right, top, bottom = np.moveaxis(self.hold, -1, 0)
            shift[..., 0] *= np.where(shift[..., 0] > 0.0, left, right)
            shift[..., 1] *= np.where(shift[..., 1] > 0.0, top, bottom)
        return Displacement.on(self.grid, shift.astype(np.float32))

    def amplified(self, rotation: Float64Array) -> Float64Array:
        """Return the angles (3,) by which the surface turns for the rotation (3,), both in radians."""
        angles: Float64Array = rotation * np.array(self.gains)
        return angles

    def move_points(self, points: Float64Array, rotation: Float64Array, translation: Float64Array) -> Float64Array:
        """Return where ``points`` (M, N, 2) of the face move to; exact where :meth:`displace` interpolates."""
        known = self.grid.sample(np.stack([self.follow, self.depth], axis=-1), points.astype(np.float32))
        moved: Float64Array = points + self._shift(points, known[..., 1], (rotation, translation)) * known[..., :1]
        return moved

    def _shift(self, points: _Values, depth: _Values, pose: tuple[Float64Array, Float64Array]) -> Float64Array:
        """Return the shift (..., 2) in pixels of points (..., 2) that follow the head completely."""
        rotation, translation = pose
        matrix = rotation_matrix(self.amplified(rotation))
        x = points[..., 0] - self.pivot[0]
        y = points[..., 1] - self.pivot[1]
        z = self.relief * (depth - self.pivot[2])
        distance = CAMERA_DISTANCE * self.height_px
        shift_px = translation * self.height_px
        moved_z = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z - shift_px[2]
        scale = (distance + z) / (distance + moved_z)
        moved_x = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z) * scale + shift_px[0]
        moved_y = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z) * scale + shift_px[1]
        return np.stack([moved_x - x, moved_y - y], axis=-1)


def build_head(face: FaceGeometry, mesh: Float32Array, grid: Grid, size_px: tuple[int, int] | None = None) -> Head:
    """Return the head of a face with the mesh (478, 3) in pixels, sampled on ``grid``.

    size_px: (width, height) of the picture, at whose border the head is held; None: it has no border.
    """
    nodes = grid.nodes()
    points = nodes.astype(np.float64)
    depth = head_depth(mesh.astype(np.float64), points, face.height_px)
    sigma = _DEPTH_BLUR * face.height_px / grid.cell
    smooth = cv2.GaussianBlur(depth, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return Head(
        grid=grid,
        nodes=nodes,
        follow=follow_share(face, points).astype(np.float32),
        depth=np.asarray(smooth, np.float32),
        pivot=neck_pivot(face, mesh),
        height_px=face.height_px,
        hold=None if size_px is None else _border_hold(mesh, points, size_px, _BORDER_BAND * face.height_px),
    )


def _border_hold(mesh: Float32Array, points: Float64Array, size_px: tuple[int, int], band_px: float) -> Float32Array:
    """Return the hold (..., 4) of a head at ``points`` (..., 2) in a picture of (width, height); see :class:`Head`."""
    oval = mesh[list(topo.FACE_OVAL), :2]
    holds = []
    for axis, size in enumerate(size_px):
        near = (points[..., axis] + 0.5, float(oval[:, axis].min()) + 0.5)
        far = (size - 0.5 - points[..., axis], size - 0.5 - float(oval[:, axis].max()))
        for distance, room in (near, far):
            band = min(band_px, room)
            holds.append(smooth_ramp(distance, 0.0, band) if band > _MIN_BAND_PX else np.ones_like(distance))
    return np.stack(holds, axis=-1).astype(np.float32)


def neck_pivot(face: FaceGeometry, mesh: NDArray[np.floating[Any]]) -> Float64Array:
    """Return the point (3,) about which the head rotates, in pixels, for the mesh (478, 3) that ``face`` measures."""
    cheeks = mesh[[topo.CHEEK_RIGHT, topo.CHEEK_LEFT]]
    neck = cheeks[:, :2].astype(np.float64).mean(0) + face.axes.down * _PIVOT_BELOW_CHEEKS * face.height_px
    depth = float(np.median(cheeks[:, 2])) + _PIVOT_BEHIND_CHEEKS * face.height_px
    return np.array([neck[0], neck[1], depth])


def follow_share(face: FaceGeometry, points: Float64Array) -> Float64Array:
    """Return the share of the head's motion at ``points`` (..., 2).

    It is 1 on the head and 0 below the neck and beyond the hair.
    """
    unit = face.height_px
    t, v = face.axes.local(points)
    chin = float(face.axes.local(face.chin)[1])
    centre = chin - _HEAD_ABOVE_CHIN * unit
    radius = np.hypot(t, _HEAD_VERTICAL_SCALE * (v - centre)) / unit
    around = smooth_ramp(radius, _FOLLOW_ENDS, _FOLLOW_WHOLE)
    neck = smooth_ramp(v, chin + _NECK_STILL * unit, chin + _NECK_WHOLE * unit)
    follow: Float64Array = around * neck
    return follow
