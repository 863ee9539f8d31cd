"""The head for large rotations: what turns away is hidden, nothing folds, and a tracker measures the given angles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.border_hold import LEFT, LOWER, RIGHT, UPPER, border_hold
from sadtalker_ext.puppet.far_outline import FarOutline, build_far_outline
from sadtalker_ext.puppet.far_side import far_share
from sadtalker_ext.puppet.head import Head, follow_share, neck_pivot, rotation_matrix
from sadtalker_ext.puppet.solid_depth import CROWN_IN_PITCH, CROWN_IN_YAW, solid_depth, visible_depth
from sadtalker_ext.puppet.warp import Displacement, look_up

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.warp import Grid

FREE_VIEW_LIMITS_RAD: Final = tuple(np.deg2rad([20.0, 30.0, 18.0]).tolist())
"""Largest pitch, yaw and roll of a free view; rotations beyond are bent softly towards a limit."""

_MIN_SPACING: Final = 0.14
"""Smallest distance of two neighbours after a rotation, as a share of their distance before it. What is hidden is
squeezed to such strips, so that the displacement can be inverted."""
_MIN_FRONT: Final = 1e-3
"""Smallest motion of the front against the back, as a share of the depth between them, that counts as a rotation."""
_NEWTON_STEPS: Final = 3
_LARGEST_STEP: Final = 1.5
"""Steps of Newton's method after the first guess, and the largest of them in cells."""
_MIN_DETERMINANT: Final = 0.12
"""Smallest determinant of the Jacobian in a step."""
_MIN_COUNT: Final = 1e-5
"""Means of counts below this are rounding errors of zero."""

_STEEPEST_RAMP: Final = 1.5
"""Largest slope of a smooth ramp of length 1."""
_STRETCH: Final = 0.5
_STRETCH_BELOW: Final = 1.5
"""Largest displacement per pixel in the band: beyond, mirrored pixels appear at the border. At the lower border, where
the neck is, more is stretched: mirrored shoulders would be seen."""
_CROWN_STRETCH: Final = 0.22
"""The same at the upper border; beyond, the whole head moves up, so that a nod shows no hair that the picture lacks."""

_MIN_SHIFT_PX: Final = 1e-6
"""Lower limit of a shift that something is divided by."""

_TRIAL_RAD: Final = 0.35
"""Rotation for which relief and gains are calibrated (20 degrees)."""
_START_RELIEF: Final = 1.1
_RELIEF_RANGE: Final = (1.0, 1.2)
_YAW_GAIN_RANGE: Final = (0.85, 1.18)
_PITCH_GAIN_RANGE: Final = (1.0, 1.35)
"""Start and ranges of the calibration."""
_YAW_TRACKED: Final = 0.93
_PITCH_TRACKED: Final = 0.95
"""Rotation of the landmarks to which the head is calibrated, divided by the given one. With these a face tracker
measures slopes between 0.8 and 1.2. In pictures of a scanned head it measures 1.06 times the yaw and 0.92 times the
pitch; with more yaw, eyes that come into view would be narrower than in a turned head."""


class VisibleDisplacement(Displacement):
    """A displacement that squeezes parts of the grid to strips, with an inversion that starts near the solution."""

    @cached_property
    def _first_guess(self) -> Float32Array:
        """Offsets (rows, columns, 2) from each node to a point that moves near it, from a scatter of moved points."""
        grid, nodes = self.grid, self.grid.nodes()
        rows, columns = nodes.shape[:2]
        x, y = (np.rint(part).astype(np.int64) for part in grid.positions(nodes + self.shift))
        inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        index, offsets = (y * columns + x)[inside], -self.shift[inside]
        weights = (np.ones(len(index)), offsets[:, 0], offsets[:, 1])
        sums = np.stack([np.bincount(index, weight, rows * columns) for weight in weights], axis=-1)
        return _spread(sums.reshape(rows, columns, 3).astype(np.float32))

    def backward(self, points: Float32Array) -> Float32Array:
        """Return where ``points`` (h, w, 2) came from, by Newton's method with steps of limited length."""
        source = points + self.grid.sample(self._first_guess, points)
        longest = np.float32(_LARGEST_STEP * self.grid.cell)
        for _ in range(_NEWTON_STEPS):
            positions = self.grid.positions(source)
            right, down = cv2.split(source + look_up(self.shift, *positions) - points)
            a, b, c, d = cv2.split(look_up(self.slope, *positions))
            a, d = a + 1.0, d + 1.0
            determinant = np.maximum(a * d - b * c, np.float32(_MIN_DETERMINANT))
            x, y = (d * right - b * down) / determinant, (a * down - c * right) / determinant
            share = longest / np.maximum(cv2.magnitude(x, y), longest)
            source[..., 0] -= x * share
            source[..., 1] -= y * share
        return source


def _spread(sums: Float32Array) -> Float32Array:
    """Return means (rows, columns, 2) of counts and sums (rows, columns, 3); gaps are filled from wider areas."""
    means = (sums[..., 1:] / np.maximum(sums[..., :1], 1.0)).reshape(-1, 2)
    unknown, side = np.flatnonzero(sums[..., 0] <= 0.0), 3
    while len(unknown) and side < 2 * max(sums.shape[:2]):
        wide = cv2.blur(sums, (side, side), borderType=cv2.BORDER_CONSTANT).reshape(-1, 3)[unknown]
        found = wide[:, 0] > _MIN_COUNT
        means[unknown[found]] = wide[found, 1:] / wide[found, :1]
        unknown, side = unknown[~found], 2 * side + 1
    return np.asarray(means.reshape(*sums.shape[:2], 2), np.float32)


@dataclass(frozen=True)
class SolidHead(Head):
    """A head for large rotations.

    bands_px: widths of the bands along the left, right, upper and lower border in which the head is held.
    person: (rows, columns), share of the person at each node in [0, 1]. depth_in_yaw: (rows, columns) pixels, the depth
    for rotations about the vertical axis; ``depth`` is that for nods. outline: what is beside the face, or None.
    """

    bands_px: tuple[float, ...] = ()
    depth_in_yaw: Float32Array | None = None
    person: Float32Array | None = None
    outline: FarOutline | None = None

    def displace(self, rotation: Float64Array, translation: Float64Array) -> Displacement:
        """Return the forward displacement for rotation (3,) in radians and translation (3,) in face heights."""
        depth, front = self._surface(rotation)
        shift = self._shift(self.nodes, self._visible(depth, front, rotation), (rotation, translation))
        if self.hold is not None:
            holding = 1.0 - self.hold
            shift[..., 1] -= self._beyond_crown(shift[..., 1], holding[..., UPPER])
            shift *= self.follow[..., None]
            shift[..., 0] = self._held(shift[..., 0], holding, (LEFT, RIGHT))
            shift[..., 1] = self._held(shift[..., 1], holding, (UPPER, LOWER))
        else:
            shift *= self.follow[..., None]
        displacement = VisibleDisplacement.on(self.grid, shift.astype(np.float32))
        return replace(displacement, seen=self._seen(depth, float(front[0]), (rotation, translation)))

    def amplified(self, rotation: Float64Array) -> Float64Array:
        """Return the angles (3,) by which the surface turns for the rotation (3,), both in radians.

        The gain of the pitch fades to 1 as the yaw grows. In a turned head, a tracker measures about two thirds of a
        pitch; with the whole gain, the far eye would be squeezed by a larger rotation than the given one.
        """
        aside = min(abs(float(rotation[1])) / FREE_VIEW_LIMITS_RAD[1], 1.0)
        pitch, yaw, roll = self.gains
        angles: Float64Array = rotation * np.array([1.0 + (pitch - 1.0) * (1.0 - aside**2), yaw, roll])
        return angles

    def _surface(self, rotation: Float64Array) -> tuple[Float32Array, Float64Array]:
        """Return the depth (rows, columns) for the rotation (3,), and how the front moves in the picture (2,)."""
        pitch, yaw, _ = self.amplified(rotation)
        front: Float64Array = -rotation_matrix(np.array([pitch, yaw, 0.0]))[:2, 2]
        length = float(np.hypot(*front))
        if length < _MIN_FRONT:
            return self.depth, np.zeros(2)
        depth, sideways = self.depth, float(front[0]) / length
        if self.depth_in_yaw is not None:
            depth = depth + np.float32(sideways**2) * (self.depth_in_yaw - depth)
        if self.outline is not None:
            depth = depth + self.outline.deeper(sideways)
        return depth, front

    def _visible(self, depth: Float32Array, front: Float64Array, rotation: Float64Array) -> Float32Array:
        """Return the depth (rows, columns) of what the rotation (3,) leaves visible of a surface; see _surface."""
        length = float(np.hypot(*front))
        if length < _MIN_FRONT:
            return depth
        pitch, yaw, _ = self.amplified(rotation)
        direction, matrix = front / length, rotation_matrix(np.array([pitch, yaw, 0.0]))
        narrowing = float(direction @ matrix[:2, :2] @ direction)
        rise = max(narrowing - _MIN_SPACING, 0.0) / (length * self.relief)
        return visible_depth(depth, direction, rise * self.grid.cell)

    def _seen(self, depth: Float32Array, front: float, pose: tuple[Float64Array, Float64Array]) -> Float32Array | None:
        """Return the share (rows, columns) of each node of a surface that is seen, or None: all are.

        front: how far the front moves right. pose: rotation and translation (3,).
        """
        if self.outline is None or abs(front) < _MIN_FRONT:
            return None
        part, (rotation, translation) = self.outline.window, pose
        upright = np.array([rotation[0], rotation[1], 0.0])
        shift = self._shift(self.nodes[part], depth[part], (upright, translation))[..., 0] * self.follow[part]
        return self.outline.seen(self.nodes[part][..., 0] + shift, 1 if front > 0.0 else -1)

    def _beyond_crown(self, down: Float64Array, holding: Float32Array) -> float:
        """Return how far the head must move up so that its top, cut by the border, comes down by little; pixels.

        down: (rows, columns), downward shift of each node. holding: (rows, columns), 1 at the upper border.
        """
        at_border = holding**2 * self.follow
        if self.person is not None:
            at_border = at_border * self.person
        return max(0.0, float((down * at_border).max()) - _CROWN_STRETCH * self.bands_px[UPPER] / _STEEPEST_RAMP)

    def _held(self, shift: Float64Array, holding: Float32Array, sides: tuple[int, int]) -> Float64Array:
        """Return the shift (rows, columns) along one axis, reduced where it moves away from one of two borders.

        holding: (rows, columns, 4), 1 at the left, right, upper and lower border, 0 beyond the bands.
        """
        held = np.zeros_like(shift)
        for side, part in zip(sides, (np.maximum(shift, 0.0), np.minimum(shift, 0.0)), strict=True):
            largest = float((np.abs(part) * holding[..., side]).max())
            stretch = _STRETCH_BELOW if side == LOWER else _STRETCH
            share = min(1.0, stretch * self.bands_px[side] / max(_STEEPEST_RAMP * largest, _MIN_SHIFT_PX))
            held += part * (1.0 - share * holding[..., side])
        return held


def build_solid_head(
    face: FaceGeometry, mesh: Float32Array, grid: Grid, size_px: tuple[int, int], person: Float32Array | None
) -> SolidHead:
    """Return the solid head of a face with the mesh (478, 3) in pixels, sampled on ``grid``.

    size_px: (width, height) of the picture. person: (height, width), share of the person in [0, 1], or None.
    """
    nodes, points = grid.nodes(), mesh.astype(np.float64)
    x, y = nodes[..., 0], nodes[..., 1]
    on_nodes = None
    if person is not None:
        on_nodes = np.asarray(cv2.remap(person, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
    far = far_share(points, face, nodes.astype(np.float64)).astype(np.float32)
    hold, bands = border_hold(mesh, face.height_px, nodes, size_px, person)
    in_yaw = solid_depth(points, face, grid, CROWN_IN_YAW, far)
    outline = None if on_nodes is None else build_far_outline(points, face, nodes, in_yaw, on_nodes)
    solid = SolidHead(
        grid=grid, nodes=nodes, follow=follow_share(face, nodes.astype(np.float64)).astype(np.float32),
        depth=solid_depth(points, face, grid, CROWN_IN_PITCH, far),
        depth_in_yaw=in_yaw, outline=outline,
        pivot=neck_pivot(face, mesh), height_px=face.height_px,
        hold=hold, limits_rad=FREE_VIEW_LIMITS_RAD, bands_px=bands,
        person=on_nodes,
    )  # fmt: skip
    return _calibrated(solid, points)


def _calibrated(head: SolidHead, mesh: Float64Array) -> SolidHead:
    """Return the head with relief and gains for which its landmarks turn by the given angles.

    Depth of landmarks is flatter than a face, and limits on slopes flatten it more.
    """
    head = replace(head, relief=_START_RELIEF, gains=(1.0, 1.0, 1.0))
    relief = float(np.clip(_START_RELIEF * _YAW_TRACKED / measured_gain(head, mesh, 1), *_RELIEF_RANGE))
    head = replace(head, relief=relief)
    yaw = float(np.clip(_YAW_TRACKED / measured_gain(head, mesh, 1), *_YAW_GAIN_RANGE))
    pitch = float(np.clip(_PITCH_TRACKED / measured_gain(head, mesh, 0), *_PITCH_GAIN_RANGE))
    return replace(head, gains=(pitch, yaw, 1.0))


def measured_gain(head: SolidHead, mesh: Float64Array, axis: int) -> float:
    """Return the rotation of the skull's landmarks divided by the given one, about one axis: 0 pitch, 1 yaw."""
    points = mesh[list(topo.SKULL_POINTS)]
    gains = []
    for sign in (-1.0, 1.0):
        rotation = np.zeros(3)
        rotation[axis] = sign * _TRIAL_RAD
        moved = head.displace(rotation, np.zeros(3)).forward(points[None, :, :2].astype(np.float32))[0]
        gains.append(sign * float(_pitch_and_yaw(points, moved.astype(np.float64))[axis]) / _TRIAL_RAD)
    return max(float(np.mean(gains)), 1e-3)


def _pitch_and_yaw(points: Float64Array, image_points: Float64Array) -> tuple[float, float]:
    """Return pitch and yaw in radians with which ``points`` (N, 3) project onto ``image_points`` (N, 2).

    The affine projection of least squares, and the scaled rotation nearest to it.
    """
    centred, image = points - points.mean(axis=0), image_points - image_points.mean(axis=0)
    projection = np.linalg.lstsq(centred, image, rcond=None)[0].T
    left, _, right = np.linalg.svd(projection, full_matrices=False)
    rows = left @ right
    towards = np.cross(rows[0], rows[1])
    return float(np.arcsin(np.clip(towards[1], -1.0, 1.0))), float(np.arctan2(towards[0], towards[2]))
