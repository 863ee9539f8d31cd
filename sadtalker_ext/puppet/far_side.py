"""The far side of a turned face, filled from the near side by the symmetry of the face mesh.

A portrait that is turned shows its far cheek in few pixels. When the head turns back, they would be stretched; the
mirrored near cheek, with the light of the far one, has more of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.head_depth import thin_plate
from sadtalker_ext.puppet.profiles import smooth_ramp
from sadtalker_ext.puppet.warp import determinant_of

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.imaging import Imaging, Texture
    from sadtalker_ext.puppet.warp import Grid, Window

_TURNED_FROM_RAD: Final = float(np.deg2rad(4.0))
_TURNED_RAD: Final = float(np.deg2rad(9.0))
"""Yaw of a portrait from which and at which its far side is filled; a frontal one shows both sides alike."""
_FAR_WIDTH: Final = 0.2
"""Width in face heights of the transition from the middle of the face to its far side."""
_RINGS: Final = (1.0, 1.12, 1.3, 1.6, 2.1)
"""Scales of the face oval whose points are mapped to those of the other side: beyond the mesh, the map follows."""
_RING_STEP: Final = 2
_NODE_STEP: Final = 2
"""Every second point of a ring and every second node of the grid are used; the map is smooth."""
_DENSER_FROM: Final = 1.15
_DENSER_WHOLE: Final = 1.65
"""Pixels of the near side for a pixel of the far side, from which and at which the near side is used."""


class _Reach(NamedTuple):
    """Distance outwards from a point of the face, in face heights, from which and at which the near side is used."""

    zero_at: float
    one_at: float


_BESIDE_EYE: Final = _Reach(-0.02, 0.06)
_BESIDE_MOUTH: Final = _Reach(0.02, 0.10)
_BELOW_EYE: Final = _Reach(0.10, 0.20)
"""Beside the far eye, beside the mouth, and how far below the eye the latter begins: features are not mirrored."""
_IN_OVAL: Final = 1.04
_OVAL_EDGE: Final = 0.02
"""Scale of the face oval that is filled, and the softness of its edge in face heights: hair is not symmetric."""
_PERSON_FROM: Final = 0.5
_PERSON_WHOLE: Final = 0.75
"""Share of the person from which and at which both sides belong to the person."""
_TEXELS: Final = 2
_LARGEST_DENSE_PX: Final = 1000.0
"""Texels of the filled side per pixel of the picture, and the height of the largest face that has more than one."""
_DISTANCE_MASK_SIZE: Final = 5
"""Size of the mask of OpenCV's distance transform."""
_LIGHT_BLUR: Final = 0.06
"""Radius in face heights at which the colours of both sides are matched: the light, without its details."""
_LEAST_KNOWN: Final = 1e-3
_DIFFERENCE_BLUR: Final = 0.02
_ALIKE: Final = 7.0
_UNLIKE: Final = 16.0
"""Radius in face heights of the mean difference of both sides after matching, and the levels up to which they show the
same skin and from which they do not: a strand of hair or an ear before the near cheek is not mirrored."""
_ALIKE_MARGIN: Final = 0.02
"""Distance in face heights that is kept from where both sides differ."""


@dataclass(frozen=True)
class FarSide:
    """share: (rows, columns) on ``grid``, how much of each node may come from ``texture``, the mirrored near side."""

    grid: Grid
    share: Float32Array
    texture: Texture


def rest_yaw(mesh: Float64Array) -> float:
    """Return the yaw in radians of the face with the mesh (478, 3); its far side is on the right if it is positive."""
    right, left = mesh[list(topo.MIRRORED_RIGHT)], mesh[list(topo.MIRRORED_LEFT)]
    across = (left - right).sum(axis=0)
    return float(np.arctan2(across[2], np.hypot(across[0], across[1])))


def far_share(mesh: Float64Array, face: FaceGeometry, points: Float64Array) -> Float64Array:
    """Return how much ``points`` (..., 2) are on the far side of a turned face, 0 to 1; 0 if it is not turned."""
    yaw = rest_yaw(mesh)
    turned = float(smooth_ramp(np.array(abs(yaw)), _TURNED_FROM_RAD, _TURNED_RAD))
    across, _ = face.axes.local(points)
    return turned * smooth_ramp(np.sign(yaw) * across / face.height_px, 0.0, _FAR_WIDTH)


def build_far_side(
    picture: Image, mesh: Float32Array, person: Float32Array | None, face_on_grid: tuple[FaceGeometry, Grid],
    imaging: Imaging,
) -> FarSide | None:  # fmt: skip
    """Return the far side of a face with the mesh (478, 3), or None if the portrait shows enough of it.

    picture: (H, W, 3) RGB. person: (H, W) in [0, 1]. face_on_grid: measures of the face, and the grid that is filled.
    """
    face, grid = face_on_grid
    points = mesh.astype(np.float64)
    nodes = grid.nodes()
    share = _filled_share(points, face, nodes.astype(np.float64))
    if not share.any():
        return None
    partner = _partners(points, nodes.astype(np.float64), face.height_px)
    share = share * smooth_ramp(determinant_of(partner, grid.cell), _DENSER_FROM, _DENSER_WHOLE)
    if person is not None:
        for places in (nodes, partner):
            share = share * smooth_ramp(_sample(person, places), _PERSON_FROM, _PERSON_WHOLE)
    usable = np.asarray(share, np.float32)
    if not usable.any():
        return None
    texels = _TEXELS if face.height_px <= _LARGEST_DENSE_PX else 1
    window = _window(usable)
    per_cell = texels * grid.cell
    far, near = (_sample(picture, _finer(places[window], per_cell)) for places in (nodes, partner))
    lit = _with_light_of(far, near, _finer(usable[window], per_cell), _LIGHT_BLUR * texels * face.height_px)
    alike = _similarity(np.abs(far - lit).max(axis=-1), texels * face.height_px)
    size = (usable[window].shape[1], usable[window].shape[0])
    filled = np.zeros_like(usable)
    filled[window] = usable[window] * cv2.resize(alike, size, interpolation=cv2.INTER_AREA)
    data = np.clip(np.rint(lit), 0.0, 255.0).astype(np.uint8)
    texture = imaging.texture(data)
    first = nodes[window][0, 0] - (grid.cell - 1.0 / texels) / 2.0
    return FarSide(
        grid, filled, replace(texture, scale=texture.scale * texels, origin=(float(first[0]), float(first[1])))
    )


def _partners(mesh: Float64Array, nodes: Float64Array, unit: float) -> Float32Array:
    """Return the points (rows, columns, 2) of the other side for ``nodes``; mesh: (478, 3). unit: face height in px."""
    right, left = list(topo.MIRRORED_RIGHT), list(topo.MIRRORED_LEFT)
    middle = list(topo.MIDLINE)
    oval, other = list(topo.FACE_OVAL)[::_RING_STEP], list(topo.FACE_OVAL_MIRRORED)[::_RING_STEP]
    flat = mesh[:, :2]
    centre = flat[list(topo.FACE_OVAL)].mean(axis=0)
    rings = [[centre + scale * (flat[side] - centre) for scale in _RINGS] for side in (oval, other)]
    known = np.concatenate([flat[right], flat[left], flat[middle], *rings[0]])
    partners = np.concatenate([flat[left], flat[right], flat[middle], *rings[1]])
    coarse = nodes[::_NODE_STEP, ::_NODE_STEP]
    targets = (coarse.reshape(-1, 2) - centre) / unit
    parts = [thin_plate((known - centre) / unit, (partners[:, axis] - centre[axis]) / unit, targets) for axis in (0, 1)]
    mapped = (np.stack(parts, axis=-1) * unit + centre).reshape(coarse.shape).astype(np.float32)
    columns, rows = np.meshgrid(*(np.arange(size, dtype=np.float32) / _NODE_STEP for size in nodes.shape[1::-1]))
    return np.asarray(cv2.remap(mapped, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _filled_share(mesh: Float64Array, face: FaceGeometry, nodes: Float64Array) -> Float64Array:
    """Return how much of each node (rows, columns, 2) is skin of the far cheek, away from eye and mouth."""
    unit, flat = face.height_px, mesh[:, :2]
    side = int(rest_yaw(mesh) > 0.0)
    eye = flat[(topo.RIGHT_EYE_UPPER, topo.LEFT_EYE_UPPER)[side][0]]
    mouth = flat[topo.MOUTH_CORNERS[side]]
    outwards = (2 * side - 1) * face.axes.along
    beside_eye = smooth_ramp((nodes - eye) @ outwards / unit, *_BESIDE_EYE)
    beside_mouth = smooth_ramp((nodes - mouth) @ outwards / unit, *_BESIDE_MOUTH)
    below = smooth_ramp((nodes - eye) @ face.axes.down / unit, *_BELOW_EYE)
    oval = flat[list(topo.FACE_OVAL)]
    outline = (oval.mean(axis=0) + _IN_OVAL * (oval - oval.mean(axis=0))).astype(np.float32)
    inside = _inside(outline, nodes) / unit
    beside = beside_eye + below * (beside_mouth - beside_eye)
    share: Float64Array = far_share(mesh, face, nodes) * beside * smooth_ramp(inside, -_OVAL_EDGE, _OVAL_EDGE)
    return share


def _inside(outline: Float32Array, nodes: Float64Array) -> Float64Array:
    """Return the distance in pixels of each node (rows, columns, 2) inside the polygon (N, 2), negative outside."""
    step = float(nodes[0, 1, 0] - nodes[0, 0, 0]) if nodes.shape[1] > 1 else 1.0
    polygon = np.rint((outline - nodes[0, 0]) / step).astype(np.int32)
    mask = cv2.fillPoly(np.zeros(nodes.shape[:2], np.uint8), [polygon], (1,))
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, _DISTANCE_MASK_SIZE)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, _DISTANCE_MASK_SIZE)
    distance: Float64Array = step * (depth - outside).astype(np.float64)
    return distance


def _window(share: Float32Array) -> Window:
    """Return the rows and columns of nodes with a share, and one more on each side."""
    rows, columns = np.flatnonzero(share.any(axis=1)), np.flatnonzero(share.any(axis=0))
    return slice(max(rows[0] - 1, 0), rows[-1] + 2), slice(max(columns[0] - 1, 0), columns[-1] + 2)


def _finer(values: Float32Array, per_cell: int) -> Float32Array:
    """Return node values (rows, columns, ...) at ``per_cell`` texels per cell in both directions."""
    size = (values.shape[1] * per_cell, values.shape[0] * per_cell)
    return np.asarray(cv2.resize(np.ascontiguousarray(values), size, interpolation=cv2.INTER_LINEAR), np.float32)


def _sample(image: Image | Float32Array, points: Float32Array) -> Float32Array:
    """Return the values of a picture at ``points`` (h, w, 2)."""
    x, y = cv2.split(points)
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _with_light_of(far: Float32Array, near: Float32Array, share: Float32Array, radius: float) -> Float32Array:
    """Return ``near`` (h, w, 3) with the colours of ``far`` at scales above ``radius`` texels, where ``share`` > 0."""
    known = (share > _LEAST_KNOWN).astype(np.float32)
    difference = _smooth((far - near) * known[..., None], radius)
    matched: Float32Array = near + difference / np.maximum(_smooth(known, radius), _LEAST_KNOWN)[..., None]
    return matched


def _similarity(difference: Float32Array, unit: float) -> Float32Array:
    """Return where both sides show the same skin, 1 to 0, for their difference (h, w) in levels; unit: face height."""
    mean = _smooth(difference, _DIFFERENCE_BLUR * unit)
    alike = smooth_ramp(mean, _UNLIKE, _ALIKE).astype(np.float32)
    side = 2 * max(1, round(_ALIKE_MARGIN * unit)) + 1
    return _smooth(np.asarray(cv2.erode(alike, np.ones((side, side), np.uint8)), np.float32), _ALIKE_MARGIN * unit)


def _smooth(values: Float32Array, radius: float) -> Float32Array:
    """Return values (h, w, ...) blurred twice by a box of ``radius`` texels."""
    side = 2 * max(1, round(radius / 2.0)) + 1
    return np.asarray(cv2.blur(cv2.blur(values, (side, side)), (side, side)), np.float32)
