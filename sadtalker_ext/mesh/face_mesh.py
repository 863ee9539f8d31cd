"""The mesh of a portrait: vertices, triangles, texture and morph targets, built once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.mesh.atlas import pack_tiles, portrait_tile
from sadtalker_ext.mesh.eyes import eyeball_part, eyes_of, fit_ball, lid_displacements, lid_texels, socket_part
from sadtalker_ext.mesh.head_back import BACK, back_tile
from sadtalker_ext.mesh.head_shell import attach_shell, build_shell, certain_person, middles_of_shell
from sadtalker_ext.mesh.mouth_parts import mouth_cavity_part, row_parts
from sadtalker_ext.mesh.parts import Part, Tile
from sadtalker_ext.mesh.skin import below_mouth, build_relief, skin_points, tuck_displacement, with_depth
from sadtalker_ext.mesh.targets import (
    EYE_TARGETS,
    GAZE_TARGETS,
    LOWER_LIP,
    TARGET_NAMES,
    TUCK,
    in_tuck,
    skin_displacements,
)
from sadtalker_ext.mesh.topology import skin_triangles
from sadtalker_ext.puppet.topology import FACE_OVAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.puppet.rig import Rig

FACE_HEIGHT_M: Final = 0.18
"""Height of the mesh's face from the forehead to the chin in metres: that of an average adult."""


class MeshGroup(NamedTuple):
    """Vertices that are one object in other programs, and the targets that move it.

    WebGL has 16 attributes for a vertex. Programs that use one for each target, such as Babylon.js, show at most 13.
    """

    name: str
    vertices: slice
    targets: tuple[int, ...]


@dataclass(frozen=True)
class FaceMesh:
    """A face in metres: x to the viewer's right, y up, z towards the viewer, the origin where the head turns.

    positions, normals: (N, 3). uv: (N, 2) in the texture, the origin at its upper left corner. triangles: (M, 3),
    counterclockwise as the viewer sees them. texture: (H, W, 3) RGB. targets: displacement (K, N, 3) at weight 1.
    target_normals: (K, N, 3), what a target at weight 1 adds to the normals, or None. names: of the targets. parts:
    name and range of vertices of each part. groups: all vertices, in the order of the parts.
    """

    positions: Float32Array
    normals: Float32Array
    uv: Float32Array
    triangles: NDArray[np.int64]
    texture: Image
    targets: Float32Array
    target_normals: Float32Array | None
    names: tuple[str, ...]
    parts: dict[str, slice]
    groups: tuple[MeshGroup, ...]

    def morphed(self, weights: Float32Array) -> Float64Array:
        """Return the positions (N, 3) at the weights (K,) of the targets."""
        moved: Float64Array = self.positions + np.einsum("k,knc->nc", weights.astype(np.float64), self.targets)
        return moved


def build_face_mesh(rig: Rig, mesh: Float32Array, person: Float32Array | None) -> FaceMesh:
    """Return the mesh of a rig; mesh: (478, 3) landmarks as the rig has them, person: (H, W) segmentation or None."""
    parts, tiles = _build_parts(rig, mesh, person)
    texture, tile_uv = pack_tiles(tiles)
    uv = np.concatenate([tile_uv(part.tile, part.texels) for part in parts])
    return _assemble(parts, uv, texture, rig)


def _build_parts(rig: Rig, mesh: Float32Array, person: Float32Array | None) -> tuple[list[Part], dict[str, Tile]]:
    face = rig.face
    points = skin_points(mesh, face)
    relief = build_relief(points, face.height_px)
    moved = skin_displacements(rig, points[:, :2], below_mouth(points, face))
    targets = with_depth(moved, points, face, relief)
    targets[TUCK] = tuck_displacement(moved[LOWER_LIP], points, face)
    eyes = eyes_of(face.left_eye, face.right_eye)
    balls = {side: fit_ball(frame, points, contour, face.height_px) for side, frame, contour in eyes}
    for side, frame, contour in eyes:
        targets[f"blink_{side}"] = lid_displacements(frame, balls[side], points, contour)
        targets[f"blink_{side}"][list(FACE_OVAL)] = 0.0  # where the head begins, which does not blink
    texels = points[:, :2].copy()
    for _, frame, contour in eyes:
        texels[list(contour)] = lid_texels(frame, points, contour)
    skin = Part("skin", points, skin_triangles(), "portrait", texels, targets)
    parts = [socket_part(frame, balls[side], skin, side) for side, frame, _ in eyes]
    tiles: dict[str, Tile] = {}
    mask = None if person is None else certain_person(person, mesh, face.height_px)
    shell = build_shell(rig, points, mask)
    for part, tile in (mouth_cavity_part(rig, skin, relief), *row_parts(rig, points, relief)):
        parts.append(part)
        tiles[part.tile] = tile
    parts = [skin, attach_shell(shell.front, skin), shell.back, *parts]
    for side, frame, _ in eyes:
        part, tiles[f"eye_{side}"] = eyeball_part(frame, balls[side], side, rig.picture)
        parts.append(part)
    whole = np.concatenate([skin.points[:, :2], shell.front.texels])
    tiles["portrait"] = portrait_tile(rig.picture, whole, mask)
    tiles[BACK] = back_tile(shell.view, tiles["portrait"])
    return [_in_tile(part, tiles) for part in parts], tiles


def _in_tile(part: Part, tiles: dict[str, Tile]) -> Part:
    """Return the part with texels of its tile; those of the portrait are points of the picture until here."""
    if part.tile != "portrait":
        return part
    texels = tiles["portrait"].texels(part.texels)
    return Part(part.name, part.points, part.triangles, part.tile, texels, part.targets)


def _assemble(parts: Sequence[Part], uv: Float32Array, texture: Image, rig: Rig) -> FaceMesh:
    """Return one mesh of all parts, in metres."""
    starts = np.cumsum([0, *(len(part.points) for part in parts)])
    points = np.concatenate([part.points for part in parts])
    triangles = np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=False)])[:, ::-1]
    targets = np.zeros((len(TARGET_NAMES), len(points), 3))
    for part, start in zip(parts, starts, strict=False):
        for name, moved in part.targets.items():
            targets[TARGET_NAMES.index(name), start : start + len(moved)] = moved
    for lip, weight in in_tuck(rig).items():
        targets[TARGET_NAMES.index(TUCK)] += weight * targets[TARGET_NAMES.index(lip)]
    metre = FACE_HEIGHT_M / rig.face.height_px * np.array([1.0, -1.0, -1.0])
    positions, targets = (points - _origin(rig)) * metre, targets * metre
    parts_at = {part.name: slice(int(a), int(b)) for part, a, b in zip(parts, starts, starts[1:], strict=False)}
    shading = _Shading(triangles, _welded(positions), middles_of_shell(parts_at["head"].start))
    normals = shading.normals(positions)
    turned = np.stack([shading.normals(positions + moved) for moved in targets])
    return FaceMesh(
        positions=positions.astype(np.float32), normals=normals.astype(np.float32), uv=uv, triangles=triangles,
        texture=texture, targets=targets.astype(np.float32), target_normals=(turned - normals).astype(np.float32),
        names=TARGET_NAMES, parts=parts_at, groups=_groups(parts_at),
    )  # fmt: skip


def _groups(parts: dict[str, slice]) -> tuple[MeshGroup, ...]:
    """Return the face, with all targets but the gaze, and the eyes, which are the last parts."""
    begin, end = parts["eye_left"].start, parts["eye_right"].stop
    of_face = tuple(index for index, name in enumerate(TARGET_NAMES) if name not in GAZE_TARGETS)
    of_eyes = tuple(TARGET_NAMES.index(name) for name in EYE_TARGETS)
    return MeshGroup("Face", slice(0, begin), of_face), MeshGroup("Eyes", slice(begin, end), of_eyes)


def _origin(rig: Rig) -> Float64Array:
    """Return the point (3,) in pixels about which the head turns."""
    return np.asarray(rig.head.pivot, np.float64)


def _welded(positions: Float64Array) -> NDArray[np.int64]:
    """Return the first vertex with the same position for each vertex (N,)."""
    _, first, inverse = np.unique(positions, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.ravel()], np.int64)


@dataclass(frozen=True)
class _Shading:
    """What the normals need besides the positions.

    seam: (N,) vertex whose normal each vertex shares, so that parts join without an edge. middles: vertices on the
    middle of an edge, and both ends of the edge, (M, 3).
    """

    triangles: NDArray[np.int64]
    seam: NDArray[np.int64]
    middles: NDArray[np.int64]

    def normals(self, positions: Float64Array) -> Float64Array:
        """Return unit normals (N, 3): the mean of the triangles around a vertex, weighted by area."""
        normals = vertex_normals(positions, self.triangles, self.seam)
        middle, first, second = self.middles.T
        normals[middle] = _unit(normals[first] + normals[second])
        return normals


def vertex_normals(
    positions: Float64Array, triangles: NDArray[np.int64], seam: NDArray[np.int64] | None = None
) -> Float64Array:
    """Return unit normals (N, 3): the mean of the triangles around a vertex, weighted by area.

    seam: (N,) vertex whose normal each vertex shares; None: its own.
    """
    a, b, c = (positions[triangles[:, corner]] for corner in range(3))
    faces = np.cross(b - a, c - a)
    shared = (triangles if seam is None else seam[triangles]).ravel()
    sums = [np.bincount(shared, np.repeat(faces[:, axis], 3), minlength=len(positions)) for axis in range(3)]
    whole = np.stack(sums, axis=1).astype(np.float64)
    return _unit(whole if seam is None else whole[seam])


def _unit(vectors: Float64Array) -> Float64Array:
    """Return vectors (N, 3) of length 1; those of length 0 point to the viewer."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Float64Array = np.where(length > 0.0, vectors / np.maximum(length, 1e-30), np.array([0.0, 0.0, 1.0]))
    return unit
