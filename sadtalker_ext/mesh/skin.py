"""The skin of the face: vertices at the landmarks, with the depth that the morph targets add to the plane motion.

The renderer of the portrait moves the skin in the picture; a mesh also needs the motion in depth. The jaw turns about a
hinge in front of the ears, the lips protrude, and skin that moves sideways slides along the surface of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.mesh.raster import NOTHING, draw_triangles, interpolate
from sadtalker_ext.mesh.topology import (
    EYE_RINGS,
    LOWER_EDGE,
    LOWER_LIP,
    SKIN_VERTICES,
    SPLIT,
    UPPER_EDGE,
    UPPER_LIP,
    skin_triangles,
)
from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.expression_fields import LIP_DROP, TUCK_ROLL
from sadtalker_ext.puppet.profiles import Falloff, smooth_ramp
from sadtalker_ext.puppet.warp import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

TILT: Final = 0.25
"""Slope of the landmarks' depth from the forehead to the chin of a frontal face: the mean face leans forward by it, but
the forehead and the chin of a head are equally far away."""
_LOWER_LID: Final = 8
"""Place of the second corner in an eye's contour, after the lower lid and before the upper one."""
_RING_SHARES: Final = (1.0, 0.6, 0.25)
"""Share of the shift of an eye's contour that it and the two rings around it take."""
_MIN_EYE_PX: Final = 1e-3
"""Smallest width of an eye by which positions along it are divided."""
_DEPTH_PX: Final = 256
"""Side of the depth map."""
_MIN_REACH: Final = 0.25
"""Distance of a point in front of the jaw's hinge, in face heights, from which it turns about it completely."""
_STEEPEST_SWING: Final = 0.6
"""Largest motion backwards per motion downwards."""
_PROTRUSION: Final = 0.030
"""Travel of the lips towards the viewer at pucker = 1, in face heights."""
_PROTRUSION_DOWN: Final = Falloff(0.075)
_PROTRUSION_ALONG: Final = Falloff(1.05, power=4)
"""Falloff of that travel from the mouth line (face heights) and along it (half mouth widths)."""
_ROLLED: Final = (0.0, 0.0, 0.4, 1.0)
"""Share of the rolled-in part that each row of the lower lip goes down again, from the outer contour to the edge."""
_ROLLED_BACK: Final = (0.0, 0.0, 0.004, 0.018)
"""Travel of the rows backwards, in face heights."""
_SLIDING: Final = ("pucker", "spread", "narrow", "smile", "frown")
"""Targets whose skin slides along the surface of the face."""
_MAX_SLIDE: Final = 1.5
"""Largest motion in depth per motion in the picture."""


@dataclass(frozen=True)
class Relief:
    """Depth of the face at rest: values (h, w) pixels, texel = scale * (point - origin).

    hinge: (3,) the point about which the jaw turns, between the ears.
    """

    values: Float32Array
    origin: Float64Array
    scale: float
    hinge: Float64Array

    def at(self, points: Float64Array) -> Float64Array:
        """Return the depth (N,) at points (N, 2), constant beyond the border."""
        texels = (self.scale * (points - self.origin)).astype(np.float32)[:, None]
        found = cv2.remap(
            self.values, texels[..., 0], texels[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        depth: Float64Array = np.asarray(found, np.float64)[:, 0]
        return depth


def skin_points(mesh: Float32Array, face: FaceGeometry) -> Float64Array:
    """Return the vertices (SKIN_VERTICES, 3) for landmarks (478, 3), with the cut on the seam of the lips."""
    points = np.empty((SKIN_VERTICES, 3))
    points[: topo.FACE_POINTS] = mesh[: topo.FACE_POINTS]
    points[topo.FACE_POINTS :] = points[list(SPLIT)]
    _, level = face.axes.local(points[:, :2])
    points[:, 2] -= TILT * level
    _place_lids(points, face)
    for rows, edge, curve in ((UPPER_LIP, UPPER_EDGE, face.mouth.upper), (LOWER_LIP, LOWER_EDGE, face.mouth.lower)):
        t, v = face.mouth.axes.local(points[list(edge), :2])
        shifts = dict(zip(edge, (curve(t) - v).tolist(), strict=True))
        shifts[edge[0]] = shifts[edge[-1]] = 0.0  # the corners belong to both lips
        moved = _spread_shifts(rows, shifts)
        points[list(moved), :2] += np.array(list(moved.values()))[:, None] * face.mouth.axes.down
    return points


def _place_lids(points: Float64Array, face: FaceGeometry) -> None:
    """Move the contours of the eyes onto the lid curves, which differ in drawings, and the rings around them along."""
    for frame, rings in ((face.right_eye, EYE_RINGS[0]), (face.left_eye, EYE_RINGS[1])):
        contour = list(rings[0])
        corners = points[[contour[0], contour[_LOWER_LID]], :2]
        t, _ = frame.axes.local(points[contour, :2])
        ends, _ = frame.axes.local(corners)
        low, high = sorted(ends.tolist())
        t = ((t - low) / max(high - low, _MIN_EYE_PX) * 2.0 - 1.0) * frame.half_px
        v = np.concatenate([frame.lower(t[: _LOWER_LID + 1]), frame.upper(t[_LOWER_LID + 1 :])])
        shift = frame.axes.pixels(t, v) - points[contour, :2]
        for ring, share in zip(rings, _RING_SHARES, strict=True):
            points[list(ring), :2] += share * shift


def _spread_shifts(rows: tuple[tuple[int, ...], ...], shifts: dict[int, float]) -> dict[int, float]:
    """Return the shift of each vertex of a lip: whole on its edge, none on its outer contour."""
    moved = dict(shifts)
    for share, row in zip((1 / 3, 2 / 3), rows[1:3], strict=True):
        for vertex, edge_vertex in zip(row[1:-1], rows[3][1:-1], strict=True):
            moved[vertex] = share * shifts[edge_vertex]
    return moved


def below_mouth(points: Float64Array, face: FaceGeometry) -> NDArray[np.bool_]:
    """Return whether each vertex (SKIN_VERTICES,) belongs to the skin below the mouth."""
    t, v = face.mouth.axes.local(points[:, :2])
    below = v > (face.mouth.upper(t) + face.mouth.lower(t)) / 2.0
    below[[vertex for row in UPPER_LIP for vertex in row]] = False
    below[[vertex for row in LOWER_LIP for vertex in row]] = True
    below[list(topo.MOUTH_CORNERS)] = False
    return below


def build_relief(points: Float64Array, height_px: float) -> Relief:
    """Return the depth of the face at rest, smooth where the mesh has holes and constant around it."""
    triangles = skin_triangles()
    box = Box.around(points[:, :2], 0.1 * height_px)
    scale = (_DEPTH_PX - 1) / max(box.right - box.left, box.bottom - box.top)
    origin = np.array([box.left, box.top])
    placed = points.copy()
    placed[:, :2] = scale * (points[:, :2] - origin)
    shown = draw_triangles(placed, triangles, (_DEPTH_PX, _DEPTH_PX))
    inside, depths = interpolate(shown, placed, triangles, points[:, 2:].astype(np.float32))
    values = np.zeros(shown.shape, np.float32)
    values[inside] = depths[:, 0]
    return Relief(_fill(values, shown != NOTHING), origin, scale, points[[topo.CHEEK_RIGHT, topo.CHEEK_LEFT]].mean(0))


def _fill(values: Float32Array, known: NDArray[np.bool_]) -> Float32Array:
    """Return values (h, w) with unknown ones replaced by a blurred average of the known ones around them."""
    weight = known.astype(np.float32)
    filled = values * weight
    for sigma in (2.0, 6.0, 18.0, 54.0):
        if weight.all():
            break
        blurred = cv2.GaussianBlur(filled, (0, 0), sigma)
        share = cv2.GaussianBlur(weight, (0, 0), sigma)
        add = (weight == 0.0) & (share > 0.02)
        filled[add] = blurred[add] / share[add]
        weight[add] = 1.0
    filled[weight == 0.0] = float(filled[weight > 0.0].max())
    return filled


def tuck_displacement(lower_lip_drop: Float64Array, points: Float64Array, face: FaceGeometry) -> Float64Array:
    """Return the displacement (N, 3) that rolls the edge of the lower lip in.

    In f and v the lip rises by a share of its thickness, while its edge rolls in under the teeth, so that what is seen
    of it ends where it was. lower_lip_drop: displacement (N, 2) of that target, which raises the lip.
    """
    rolled = TUCK_ROLL * face.mouth.lower_thickness_px / (LIP_DROP * face.height_px)
    share, back = np.zeros(len(points)), np.zeros(len(points))
    for row, part, depth in zip(LOWER_LIP, _ROLLED, _ROLLED_BACK, strict=True):
        share[list(row[1:-1])] = part
        back[list(row[1:-1])] = depth * face.height_px
    down = rolled * share[:, None] * lower_lip_drop
    opening = np.hypot(*lower_lip_drop.T) / (LIP_DROP * face.height_px)
    return np.concatenate([down, (back * opening)[:, None]], axis=1)


def with_depth(
    displacements: dict[str, Float64Array], points: Float64Array, face: FaceGeometry, relief: Relief
) -> dict[str, Float64Array]:
    """Return displacements (N, 3) for those in the picture (N, 2) of the points (N, 3), by target."""
    return {
        name: np.concatenate([shift, _depth_shift(name, shift, points, face, relief)[:, None]], axis=1)
        for name, shift in displacements.items()
    }


def _depth_shift(
    name: str, shift: Float64Array, points: Float64Array, face: FaceGeometry, relief: Relief
) -> Float64Array:
    if name in ("jaw_open", "lips_closed"):
        return _swing(points, face, relief) * (shift @ face.axes.down)
    if name not in _SLIDING:
        return np.zeros(len(points))
    size = np.hypot(*shift.T)
    along = relief.at(points[:, :2] + shift) - relief.at(points[:, :2])
    along = np.clip(along, -_MAX_SLIDE * size, _MAX_SLIDE * size)
    if name == "pucker":
        t, v = face.mouth.axes.local(points[:, :2])
        level = (v - (face.mouth.upper(t) + face.mouth.lower(t)) / 2.0) / face.height_px
        along = along - _PROTRUSION * face.height_px * _PROTRUSION_DOWN(level) * _PROTRUSION_ALONG(
            np.abs(face.mouth.normalised(t))
        )
    return along


def _swing(points: Float64Array, face: FaceGeometry, relief: Relief) -> Float64Array:
    """Return the motion backwards per motion downwards (N,) of a jaw that turns about its hinge."""
    unit = face.height_px
    drop = np.maximum((points[:, :2] - relief.hinge[:2]) @ face.axes.down, 0.0)
    reach = relief.hinge[2] - points[:, 2]
    front = smooth_ramp(reach, 0.0, _MIN_REACH * unit)
    swing: Float64Array = np.minimum(drop / np.maximum(reach, _MIN_REACH * unit), _STEEPEST_SWING) * front
    return swing
