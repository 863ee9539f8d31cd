"""Face landmarks by BlazeFace and FaceMesh: detection in the picture and in tiles, then a mesh averaged over crops."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from sadtalker_ext.arrays import Float32Array, Image
from sadtalker_ext.faces.detection import detect, detect_closer, detect_in_tiles, merge_crops
from sadtalker_ext.faces.face_crop import FaceCrop, ImagePyramid, crop_around_mesh, crop_to_picture
from sadtalker_ext.faces.networks import FaceNetworks, face_networks
from sadtalker_ext.geometry.landmarks import LIPS, FaceBox, Landmarks, oval_box, overlap
from sadtalker_ext.geometry.mean_face import mirror_points
from sadtalker_ext.geometry.quarter_turns import turn_landmarks, turn_picture, upright_turns

PROVIDER = "face-mesh"
MIN_PRESENCE, MIN_PRESENCE_IN_TILE = 5.0, 10.0
"""Presence (log odds) from which a mesh counts as a face in the whole picture and in a tile.

Faces score 12 to 40; false detections stay below 5, or below 9 if many tiles are tried.
"""
UPRIGHT_PRESENCE = 26.0
"""A face with less presence is also measured turned by 90, 180 and 270 degrees; the best direction is used.

Detectors give a wrong direction for faces that are upside down. In all of 52 turned portraits, the right direction had
the highest presence, 13 to 37; upright faces score 23 to 34.
"""
CLEAR_PRESENCE = 28.0
"""A face with this presence in the crop of its detection is refined from there, without a second measurement.

The refined points of 64 faces differ by 0.13 px of a crop (192 px) on average, at most by 0.37, with either start; the
points of a single measurement by 0.5.
"""
MIN_PRESENCE_TURNED = 12.0
MIN_FIRST_PRESENCE = -12.0
"""Presence in a first measurement below which the place of a face is not corrected.

Of 201 faces in 147 pictures, in all directions, none had less than -9 in its own direction; 4 of 10 other detections
have less than -12.
"""
MIN_PRESENCE_IN_BOX = 0.0
"""The same in a box given by the user."""
IN_BOX_OVERLAP = 0.3
SAME_FACE_OVERLAP = 0.3
FACE_FILLS_TILE = 0.12
"""A face of this height, as a fraction of the tile side, ends the search: smaller tiles show background faces only."""
SMALLEST_TILE_PX = 200
LEVELS = 3
"""How often tiles are halved: to an eighth of the long side of the picture."""
BOX_SCALES = (1.2, 1.5, 1.9)
BOX_TURNS_RAD = (0.0, -0.5, 0.5, math.pi, math.pi / 2, -math.pi / 2)
"""Crops that are tried for a box: sides as fractions of the long side of the box, and rotations."""
QUARTER_TURNS = (math.pi / 2, math.pi, -math.pi / 2)
REFINING_VIEWS = (
    (-0.02, -0.02, 0.95, 0.05),
    (0.02, -0.02, 1.05, -0.05),
    (-0.02, 0.02, 1.05, -0.03),
    (0.02, 0.02, 0.95, 0.03),
)
"""Shift as fractions of the crop, scale and rotation (rad) of the crops that are averaged, each also mirrored."""
MIN_VIEW_PRESENCE = 8.0
MAX_VIEW_SPREAD, MAX_VIEW_SPREAD_IN_BOX = 0.02, 0.045
"""Limits for the refining views: mean presence, and mean distance of a point from its mean in face heights.

The views of a face agree: 30 portraits, drawings included, give a presence of 22 to 34 and a spread of 0.003 to 0.008,
a small face in profile 10 and 0.015. Landmarks on an animal or an object scatter: a cat gives 4 and 0.038.
"""
MAX_TURNED_SPREAD = 0.016
"""The limit of the spread for a face that is turned by more than 45 degrees: the directions that are tried besides the
upright one find faces in rocks and folds too, with 0.017 and 0.019.
"""
TRACK_MIN_SCORE = 0.5
"""Smallest score of a detection in short range; with none, full range is tried with all scores."""
TRACK_BATCH = 8
"""Frames of a video that are measured together."""

View = tuple[ImagePyramid, FaceCrop]
"""A picture and the crop of it that the mesh network reads."""


def find(picture: Image, networks: FaceNetworks | None = None) -> list[Landmarks]:
    """Return all faces of an RGB picture (H, W, 3), largest first.

    If there is none, large faces are searched again in the picture turned by 180, 90 and 270 degrees.
    """
    networks = networks or face_networks()
    if faces := _find(picture, networks, LEVELS):
        return faces
    for turns in (2, 1, 3):
        turned = turn_picture(picture, turns)
        if faces := _find(turned, networks, 0, turns):
            return [turn_landmarks(face, turned.shape[:2], -turns) for face in faces]
    return []


def _find(picture: Image, networks: FaceNetworks, levels: int, turns: int = 0) -> list[Landmarks]:
    """Search the whole picture, then tiles that are halved up to ``levels`` times.

    turns: by which the picture was turned counterclockwise before, times 90 degrees.
    """
    pyramid = ImagePyramid(picture)
    crops = merge_crops(detect(networks, [picture], "short")[0] + detect(networks, [picture], "full")[0])
    meshes = _keep_new([], estimate_meshes(networks, pyramid, crops, MIN_PRESENCE))
    if meshes:
        meshes = _keep_new(meshes, _find_closer(networks, pyramid, crops, meshes))
    side = max(picture.shape[:2])
    for _ in range(levels):
        side //= 2
        if side < SMALLEST_TILE_PX or any(oval_box(mesh).height >= FACE_FILLS_TILE * 2 * side for mesh in meshes):
            break
        crops = merge_crops(detect_in_tiles(networks, picture, side))
        meshes = _keep_new(meshes, estimate_meshes(networks, pyramid, crops, MIN_PRESENCE_IN_TILE))
    refined = [refine(networks, pyramid, mesh) for mesh in meshes]
    faces = [view.landmarks for view in refined if view.is_face and not _is_turned_by_chance(view, turns)]
    return sorted(faces, key=lambda face: -face.box.width * face.box.height)


def _find_closer(
    networks: FaceNetworks, pyramid: ImagePyramid, crops: list[FaceCrop], meshes: list[Float32Array]
) -> list[Float32Array]:
    """Return the meshes of faces in crops that show none of ``meshes``.

    Beside a large face, short range finds a small one with a box that is two times too large, in which the mesh does
    not recognise it.
    """
    boxes = [oval_box(mesh) for mesh in meshes]
    empty = [crop for crop in crops if not any(_contains(box, crop) for box in boxes)]
    closer = merge_crops(detect_closer(networks, pyramid.picture, empty))
    found, presence = measure_twice(networks, [(pyramid, crop) for crop in closer])
    return [mesh for mesh, score in zip(found, presence, strict=True) if score >= MIN_PRESENCE_IN_TILE]


def _contains(box: FaceBox, crop: FaceCrop) -> bool:
    return box.x <= crop.x <= box.x + box.width and box.y <= crop.y <= box.y + box.height


def _is_turned_by_chance(view: RefinedMesh, turns: int) -> bool:
    """Return whether the measurements of a face agree too little for one that was not upright before ``turns``."""
    return view.spread > MAX_TURNED_SPREAD and (upright_turns(view.landmarks) + turns) % 4 != 0


def find_in_box(picture: Image, box: FaceBox, networks: FaceNetworks | None = None) -> Landmarks | None:
    """Return the face that fills a box given by the user, at several sizes and rotations; None if there is none."""
    networks = networks or face_networks()
    pyramid = ImagePyramid(picture)
    base = FaceCrop(box.x + box.width / 2, box.y + box.height / 2, max(box.width, box.height))
    best, best_score = None, MIN_PRESENCE_IN_BOX
    for turn in BOX_TURNS_RAD:
        crops = [base.jittered((0.0, 0.0), scale, turn, flip=False) for scale in BOX_SCALES]
        meshes, presence = measure_twice(networks, [(pyramid, crop) for crop in crops])
        for mesh, score in zip(meshes, presence, strict=True):
            if score >= best_score and overlap(oval_box(mesh), box) >= IN_BOX_OVERLAP:
                best, best_score = mesh, float(score)
        if best_score >= UPRIGHT_PRESENCE:
            break
    if best is None:
        return None
    refined = refine(networks, pyramid, best)
    if refined.is_face:
        return refined.landmarks
    return Landmarks.from_mesh(refined.mesh, PROVIDER) if refined.spread <= MAX_VIEW_SPREAD_IN_BOX else None


def estimate_meshes(
    networks: FaceNetworks, pyramid: ImagePyramid, crops: list[FaceCrop], min_presence: float
) -> list[Float32Array]:
    """Return a mesh (478, 3) for each crop with a face, in any direction."""
    meshes, presence = measure_twice(networks, [(pyramid, crop) for crop in crops], CLEAR_PRESENCE)
    found = {index: mesh for index, mesh in enumerate(meshes) if presence[index] >= min_presence}
    doubtful = [index for index, score in enumerate(presence) if score < UPRIGHT_PRESENCE]
    turned = [crops[index].jittered((0.0, 0.0), 1.0, turn, flip=False) for index in doubtful for turn in QUARTER_TURNS]
    meshes, scores = measure_twice(networks, [(pyramid, crop) for crop in turned])
    for place, index in enumerate(doubtful):
        best = max(range(len(QUARTER_TURNS) * place, len(QUARTER_TURNS) * (place + 1)), key=lambda i: scores[i])
        if scores[best] >= max(presence[index], MIN_PRESENCE_TURNED):
            found[index] = meshes[best]
    return [found[index] for index in sorted(found)]


def measure_twice(
    networks: FaceNetworks, views: Sequence[View], enough: float = math.inf
) -> tuple[list[Float32Array], Float32Array]:
    """Return meshes and presence as :func:`measure`, from crops that are centred on a first measurement.

    The first measurement is returned if its presence is ``enough``, or too small for a face.
    """
    meshes, presence = measure(networks, views)
    again = [index for index, score in enumerate(presence) if MIN_FIRST_PRESENCE <= score < enough]
    second, scores = measure(networks, [(views[index][0], crop_around_mesh(meshes[index])) for index in again])
    for place, index in enumerate(again):
        meshes[index], presence[index] = second[place], scores[place]
    return meshes, presence


def measure(networks: FaceNetworks, views: Sequence[View]) -> tuple[list[Float32Array], Float32Array]:
    """Return the mesh (478, 3) in picture pixels of each view, and the presence of a face (N,), log odds."""
    meshes, presence = networks.landmarks([pyramid.cut(crop) for pyramid, crop in views])
    placed = []
    for mesh, (_, crop) in zip(meshes, views, strict=True):
        placed.append(crop_to_picture(mirror_points(mesh) if crop.flip else mesh, crop))
    return placed, presence


@dataclass(frozen=True)
class RefinedMesh:
    """The mean of several measurements of a face.

    mesh: (478, 3) in pixels of the picture. presence: mean log odds that the crops show a face. spread: mean distance
    of a point from its mean over the crops, in face heights. lip_spread: standard deviation of the lip points.
    """

    mesh: Float32Array
    presence: float
    spread: float
    lip_spread: float

    @property
    def landmarks(self) -> Landmarks:
        """The mean as landmarks of a human face."""
        return Landmarks.from_mesh(self.mesh, PROVIDER, self.lip_spread)

    @property
    def is_face(self) -> bool:
        """Whether the measurements agree as they do for a human face."""
        return self.presence >= MIN_VIEW_PRESENCE and self.spread <= MAX_VIEW_SPREAD


def refine(networks: FaceNetworks, pyramid: ImagePyramid, mesh: Float32Array) -> RefinedMesh:
    """Return a mesh with less noise: the mean over slightly different crops around ``mesh`` (478, 3)."""
    base = crop_around_mesh(mesh)
    crops = [
        base.jittered((x, y), scale, turn_rad, flip)
        for x, y, scale, turn_rad in REFINING_VIEWS
        for flip in (False, True)
    ]
    meshes, presence = measure(networks, [(pyramid, crop) for crop in crops])
    mean = np.asarray(np.mean(meshes, axis=0), np.float32)
    offsets = (np.stack(meshes) - mean)[..., :2]
    box = oval_box(mean)
    spread = float(np.linalg.norm(offsets, axis=-1).mean()) / box.height
    lip_spread = float(offsets[:, list(LIPS)].std(axis=0).mean()) / max(box.width, box.height)
    return RefinedMesh(mean, float(presence.mean()), spread, lip_spread)


def track(frames: Iterable[Image], networks: FaceNetworks | None = None) -> Iterator[Landmarks | None]:
    """Yield the largest face of each frame, measured on its own; None if there is none.

    Reads :data:`TRACK_BATCH` frames ahead.
    """
    networks = networks or face_networks()
    remaining = iter(frames)
    while batch := list(islice(remaining, TRACK_BATCH)):
        yield from _track_batch(networks, batch)


def _track_batch(networks: FaceNetworks, frames: list[Image]) -> list[Landmarks | None]:
    crops = detect(networks, frames, "short", TRACK_MIN_SCORE)
    missed = [index for index, found in enumerate(crops) if not found]
    for index, found in zip(missed, detect(networks, [frames[i] for i in missed], "full"), strict=True):
        crops[index] = found
    pyramids = [ImagePyramid(frame) for frame in frames]
    owners = [index for index, found in enumerate(crops) for _ in found]
    views = [(pyramids[index], crop) for index, found in enumerate(crops) for crop in found]
    faces: list[Landmarks | None] = [None] * len(frames)
    for index, mesh, score in zip(owners, *measure_twice(networks, views), strict=True):
        face, largest = Landmarks.from_mesh(mesh, PROVIDER), faces[index]
        if score >= MIN_PRESENCE and (largest is None or face.box.height > largest.box.height):
            faces[index] = face
    return faces


def follow(frame: Image, last: Float32Array | None, networks: FaceNetworks | None = None) -> Landmarks | None:
    """Return the face at its position in the previous frame, mesh ``last`` (478, 3); None if it is no longer there."""
    if last is None:
        return None
    return next(follow_each([frame], last, networks))


def follow_each(
    frames: Iterable[Image], mesh: Float32Array, networks: FaceNetworks | None = None
) -> Iterator[Landmarks | None]:
    """Yield the face of each frame at the position of ``mesh`` (478, 3), or None; reads TRACK_BATCH frames ahead."""
    networks, crop, remaining = networks or face_networks(), crop_around_mesh(mesh), iter(frames)
    while batch := list(islice(remaining, TRACK_BATCH)):
        for found, presence in zip(*measure(networks, [(ImagePyramid(frame), crop) for frame in batch]), strict=True):
            yield Landmarks.from_mesh(found, PROVIDER) if presence >= MIN_PRESENCE else None


def _keep_new(known: list[Float32Array], found: list[Float32Array]) -> list[Float32Array]:
    """Return ``known`` and the meshes of ``found`` that show other faces."""
    kept = list(known)
    for mesh in found:
        if not any(overlap(oval_box(mesh), oval_box(other)) > SAME_FACE_OVERLAP for other in kept):
            kept.append(mesh)
    return kept
