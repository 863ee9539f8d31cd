"""The rest of the head: hair, sides and neck around the face, closed at the back.

The shell begins at the face oval, follows the outline of the person in the picture, curves back like the half of an
ellipsoid, and closes behind the head, with the texture of :mod:`~sadtalker_ext.mesh.head_back`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.mesh.head_back import BACK, BackView
from sadtalker_ext.mesh.parts import Part
from sadtalker_ext.mesh.targets import skin_displacements
from sadtalker_ext.mesh.topology import closed_ring_triangles, ring_triangles
from sadtalker_ext.puppet.backdrop import person_mask
from sadtalker_ext.puppet.profiles import smooth_ramp
from sadtalker_ext.puppet.topology import CHEEK_LEFT, CHEEK_RIGHT, FACE_OVAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.rig import Rig


class _Ring(NamedTuple):
    """A ring of the shell.

    out: share of the way from the face oval to the outline. texture: the same, of the place whose picture it shows.
    """

    out: float
    texture: float


class _BackRing(NamedTuple):
    """A ring behind the outline.

    out: share of the way from the middle to the outline. behind: distance behind the outline, face heights. depth: in
    the disk of the back's texture.
    """

    out: float
    behind: float
    depth: float


_RINGS: Final = (
    _Ring(0.22, 0.22),
    _Ring(0.45, 0.44),
    _Ring(0.68, 0.66),
    _Ring(0.86, 0.82),
    _Ring(0.96, 0.90),
    _Ring(1.0, 0.93),
)
_BACK_RINGS: Final = (
    _BackRing(1.0, 0.0, 0.0),
    _BackRing(0.95, 0.14, 0.22),
    _BackRing(0.72, 0.27, 0.48),
    _BackRing(0.35, 0.34, 0.75),
)
_REVERSED: Final = [0, 2, 1]
"""Order of a triangle's vertices that turns it over: the outside of the shell is seen."""
_MIDDLE_BEHIND: Final = 0.36
"""Distance of the middle of the back behind the outline, in face heights."""
_OUTLINE_BEHIND_EARS: Final = 0.10
"""Distance of the outline behind the cheeks, in face heights: the widest part of a head is behind the ears."""
_NECK_FROM: Final = (0.35, 0.8)
"""Downward parts of a ray's direction at which the neck begins, and from which it is complete."""
_JAW_FROM: Final = (0.1, 0.6)
"""Downward parts of a ray's direction between which the outline comes in from the ears to the jaw."""
_PERSON_FROM: Final = 0.5
_UNCERTAIN: Final = 0.025
"""Segmentation from which a pixel may belong to the person, and the width of the border that may not, in face
heights."""
_INNER_FACE: Final = 0.9
"""Size of the part of the face oval that shows the face in any case."""
_STEP: Final = 0.01
"""Step of the search for the outline, in face heights."""
_SIDEWAYS, _AT_JAW, _ABOVE, _BELOW_CHIN = 0.62, 0.47, 0.95, 0.34
"""Largest distance of the outline from the middle of the face sideways, beside the jaw and upwards, and below the
chin, in face heights."""
_NO_PERSON: Final = 0.12
"""Distance of the outline from the face oval without a segmentation of the person, in face heights."""
_LEAST: Final = 0.03
"""Smallest distance of the outline from the face oval, in face heights."""
_SMOOTHING: Final = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 3.0, 2.0, 1.0]) / 25.0
"""Weights that smooth the outline between neighbouring directions."""


def certain_person(person: Float32Array, mesh: Float32Array, height_px: float) -> NDArray[np.bool_]:
    """Return the pixels (H, W) that certainly show the person with the face ``mesh`` (478, 3).

    person: (H, W) segmentation of all people in [0, 1]. The outline of the landmarks is no evidence: that of a turned
    face may lie beside the cheek.
    """
    own = (person_mask(person, mesh, height_px) > 0) & (person > _PERSON_FROM)
    size = 2 * max(1, round(_UNCERTAIN * height_px)) + 1
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    certain = cv2.erode(own.astype(np.uint8), element, borderType=cv2.BORDER_REPLICATE)
    oval = mesh[list(FACE_OVAL), :2]
    middle = oval.mean(axis=0)
    inner = np.rint(middle + _INNER_FACE * (oval - middle)).astype(np.int32)
    return np.asarray(cv2.fillConvexPoly(certain, cv2.convexHull(inner), (1,)), np.uint8) > 0


class Shell(NamedTuple):
    """The part around the face, the part behind the outline, and what the texture of the latter continues."""

    front: Part
    back: Part
    view: BackView


def build_shell(rig: Rig, skin: Float64Array, mask: NDArray[np.bool_] | None) -> Shell:
    """Return the shell around the skin (N, 3); mask: (H, W) pixels of the person, or None.

    Its first vertices repeat the face oval, with the same texture, so that the two join without a seam.
    """
    unit = rig.face.height_px
    oval = _with_middles(skin[list(FACE_OVAL)])
    middle = oval[:, :2].mean(axis=0)
    rays = oval[:, :2] - middle
    outline = middle + rays * _outline(rig, middle, rays, mask)[:, None]
    edge_depth = max(float(skin[[CHEEK_RIGHT, CHEEK_LEFT], 2].mean()) + _OUTLINE_BEHIND_EARS * unit, oval[:, 2].max())
    rings, shown = [oval], [oval[:, :2]]
    for ring in _RINGS:
        points = np.empty_like(oval)
        points[:, :2] = oval[:, :2] + ring.out * (outline - oval[:, :2])
        points[:, 2] = oval[:, 2] + (edge_depth - oval[:, 2]) * _profile(rig, rays, ring.out)
        rings.append(points)
        shown.append(oval[:, :2] + ring.texture * (outline - oval[:, :2]))
    rings[-1][:, 2] = edge_depth
    points, triangles = np.concatenate(rings), ring_triangles(len(oval), len(rings))[:, _REVERSED]
    front = Part("head", points, triangles, "portrait", np.concatenate(shown), _targets(rig, points, edge_depth))
    down = rays @ rig.face.axes.down / np.hypot(*rays.T)
    view = BackView(np.arctan2(rays[:, 1], rays[:, 0]), down, oval[:, :2], outline, shown[-1])
    return Shell(front, _back_part(rings[-1], middle, unit, view), view)


def _back_part(edge: Float64Array, middle: Float64Array, unit: float, view: BackView) -> Part:
    """Return the shell behind its last ring in front, ``edge`` (N, 3), whose vertices it repeats with other texels."""
    rings = []
    for ring in _BACK_RINGS:
        points = edge.copy()
        points[:, :2] += (1.0 - ring.out) * (middle - edge[:, :2])
        points[:, 2] += ring.behind * unit
        rings.append(points)
    pole = np.append(edge[:, :2].mean(axis=0), edge[0, 2] + _MIDDLE_BEHIND * unit)
    texels = [view.texels(ring.depth) for ring in _BACK_RINGS]
    points = np.concatenate([*rings, pole[None]])
    last = np.full(len(edge), len(points) - 1)
    triangles = closed_ring_triangles(len(edge), len(rings), last)[:, _REVERSED]
    return Part(BACK, points, triangles, BACK, np.concatenate([*texels, view.texels(1.0)[:1]]))


def attach_shell(shell: Part, skin: Part) -> Part:
    """Return the shell whose first ring moves as the face oval of the skin does."""
    targets = {name: moved.copy() for name, moved in shell.targets.items()}
    for name, moved in targets.items():
        oval = _with_middles(skin.targets[name][list(FACE_OVAL)])
        moved[: len(oval)] = oval
    return replace(shell, targets=targets)


def middles_of_shell(start: int) -> NDArray[np.int64]:
    """Return the vertices in the middle of the edges of the face oval, and both ends (M, 3); start: the first one."""
    ends = start + 2 * np.arange(len(FACE_OVAL))
    return np.stack([ends + 1, ends, np.roll(ends, -1)], axis=1)


def _with_middles(ring: Float64Array) -> Float64Array:
    """Return a closed ring (N, C) with the middle between each vertex and the next one after it: (2N, C)."""
    middles = (ring + np.roll(ring, -1, axis=0)) / 2.0
    whole: Float64Array = np.stack([ring, middles], axis=1).reshape(2 * len(ring), -1)
    return whole


def _profile(rig: Rig, rays: Float64Array, out: float) -> Float64Array:
    """Return how far back (N,) a ring is on the way to the outline: a dome above, a step from the jaw to the neck."""
    down = rays @ rig.face.axes.down / np.hypot(*rays.T)
    neck = smooth_ramp(down, *_NECK_FROM)
    dome, step = 1.0 - np.sqrt(1.0 - out**2), np.sqrt(1.0 - (1.0 - out) ** 2)
    profile: Float64Array = (1.0 - neck) * dome + neck * step
    return profile


def _targets(rig: Rig, points: Float64Array, edge_depth: float) -> dict[str, Float64Array]:
    """Return the displacements of the shell, which end behind the outline."""
    mouth = rig.face.mouth
    t, v = mouth.axes.local(points[:, :2])
    moved = skin_displacements(rig, points[:, :2], v > mouth.lower(t))
    front = (points[:, 2] < edge_depth).astype(np.float64)[:, None]
    return {name: np.pad(front * shift, ((0, 0), (0, 1))) for name, shift in moved.items()}


def _outline(rig: Rig, middle: Float64Array, rays: Float64Array, mask: NDArray[np.bool_] | None) -> Float64Array:
    """Return how far the outline is along each ray (N,), in lengths of the ray, at which the face oval is."""
    face, unit = rig.face, rig.face.height_px
    length = np.hypot(*rays.T)
    direction = rays / length[:, None]
    side, down = direction @ face.axes.along, direction @ face.axes.down
    chin = float((face.chin - middle) @ face.axes.down) / unit
    below = np.where(down > 0.0, chin + _BELOW_CHIN, _ABOVE)
    beside = _SIDEWAYS + (_AT_JAW - _SIDEWAYS) * smooth_ramp(down, *_JAW_FROM)
    limit = unit / np.sqrt((side / beside) ** 2 + (down / below) ** 2)
    reach = np.maximum(limit, length)
    if mask is None:
        reach = np.minimum(reach, length + _NO_PERSON * unit)
    else:
        reach = np.minimum(reach, _person_reach(middle, direction, length, (mask, _STEP * unit)))
    beyond = np.maximum(reach - length, _LEAST * unit)
    around = np.pad(beyond, 8, mode="wrap")
    nearest = np.lib.stride_tricks.sliding_window_view(around, 9).min(axis=1)
    smooth = np.convolve(nearest, _SMOOTHING, "valid")
    reached: Float64Array = 1.0 + smooth / length
    return reached


def _person_reach(
    middle: Float64Array, direction: Float64Array, length: Float64Array, person: tuple[NDArray[np.bool_], float]
) -> Float64Array:
    """Return the distance (N,) from the middle at which each ray leaves the mask (H, W); person: mask and step."""
    mask, step = person
    height, width = mask.shape
    steps = length.min() + step * np.arange(int(max(height, width) / step) + 1)
    at = np.rint(middle + direction[:, None] * steps[:, None]).astype(int)
    inside = (at >= 0).all(-1) & (at[..., 0] < width) & (at[..., 1] < height)
    at[~inside] = 0
    own = (inside & mask[at[..., 1], at[..., 0]]) | (steps <= length[:, None])
    first_out = np.argmin(own, axis=1)
    reach: Float64Array = np.where(own.all(axis=1), steps[-1], steps[np.maximum(first_out - 1, 0)])
    return reach
