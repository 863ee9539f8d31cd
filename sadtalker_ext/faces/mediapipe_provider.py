"""Face landmarks by MediaPipe: detection in the picture and in tiles, then a mesh averaged over several crops."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from sadtalker_ext.arrays import Float32Array, Image
from sadtalker_ext.faces.face_crop import FaceCrop, ImagePyramid, crop_around_mesh, crop_to_picture
from sadtalker_ext.faces.worker_client import WORKER
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks, oval_box, overlap
from sadtalker_ext.geometry.mean_face import mirror_points

PROVIDER = "mediapipe"
DETECTION_SIDE_PX = 256
"""Tiles are shrunk to this side; the detectors read 128 (short range) and 192 pixels (full range)."""
MIN_PRESENCE, MIN_PRESENCE_IN_TILE = 5.0, 10.0
"""Presence (log odds) from which a mesh counts as a face in the whole picture and in a tile.

Faces score 12 to 40; false detections stay below 5, or below 9 if many tiles are tried.
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
TILE_STEP = 0.8
"""Step between tiles in tile sides: they overlap by a fifth, more than the width of a face first seen at this level."""
BOX_SCALES = (1.2, 1.5, 1.9)
BOX_TURNS_RAD = (0.0, -0.5, 0.5)
"""Crops that are tried for a box: sides as fractions of the long side of the box, and rotations."""
REFINING_VIEWS = (
    (-0.02, -0.02, 0.95, 0.05),
    (0.02, -0.02, 1.05, -0.05),
    (-0.02, 0.02, 1.05, -0.03),
    (0.02, 0.02, 0.95, 0.03),
)
"""Shift as fractions of the crop, scale and rotation (rad) of the crops that are averaged, each also mirrored."""
DETECTION_CROP_SCALE = 1.5
"""Crop side relative to the side of a detection."""
SAME_CROP_OVERLAP = 0.5


def find(picture: Image) -> list[Landmarks]:
    """Return all faces of an RGB picture (H, W, 3), largest first."""
    pyramid = ImagePyramid(picture)
    whole = FaceBox(0, 0, picture.shape[1], picture.shape[0])
    crops = detect(pyramid, whole, "short") + detect(pyramid, whole, "full")
    meshes = _keep_new([], estimate_meshes(pyramid, _merge_crops(crops), MIN_PRESENCE))
    side = max(picture.shape[:2])
    for _ in range(LEVELS):
        side //= 2
        if side < SMALLEST_TILE_PX or any(oval_box(mesh).height >= FACE_FILLS_TILE * 2 * side for mesh in meshes):
            break
        tiles = _make_tiles(picture.shape[1], picture.shape[0], side)
        crops = [crop for tile in tiles for crop in detect(pyramid, tile, "full")]
        meshes = _keep_new(meshes, estimate_meshes(pyramid, _merge_crops(crops), MIN_PRESENCE_IN_TILE))
    faces = [Landmarks.from_mesh(refine(pyramid, mesh), PROVIDER) for mesh in meshes]
    return sorted(faces, key=lambda face: -face.box.width * face.box.height)


def find_in_box(picture: Image, box: FaceBox) -> Landmarks | None:
    """Return the face that fills a box given by the user, at several sizes and rotations; None if there is none."""
    pyramid = ImagePyramid(picture)
    base = FaceCrop(box.x + box.width / 2, box.y + box.height / 2, max(box.width, box.height))
    best, best_score = None, MIN_PRESENCE_IN_BOX
    for turn in BOX_TURNS_RAD:
        crops = [base.jittered((0.0, 0.0), scale, turn, flip=False) for scale in BOX_SCALES]
        meshes, _ = run_mesh_model(pyramid, crops)
        meshes, presence = run_mesh_model(pyramid, [crop_around_mesh(mesh) for mesh in meshes])
        for mesh, score in zip(meshes, presence, strict=True):
            if score >= best_score and overlap(oval_box(mesh), box) >= IN_BOX_OVERLAP:
                best, best_score = mesh, float(score)
        if best_score >= MIN_PRESENCE_IN_TILE:
            break
    return None if best is None else Landmarks.from_mesh(refine(pyramid, best), PROVIDER)


def detect(pyramid: ImagePyramid, tile: FaceBox, reach: str) -> list[FaceCrop]:
    """Return the regions of faces that the detector of "short" or "full" range finds in a tile of the picture."""
    left, top = int(tile.x), int(tile.y)
    right, bottom = math.ceil(tile.x + tile.width), math.ceil(tile.y + tile.height)
    image = pyramid.picture[top:bottom, left:right]
    factor = min(1.0, DETECTION_SIDE_PX / max(image.shape[:2]))
    if factor < 1.0:
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    (rows,) = WORKER.ask("detect", image, range=reach)
    return [_crop_of_detection(row, (left, top, right - left, bottom - top)) for row in rows]


def estimate_meshes(pyramid: ImagePyramid, crops: list[FaceCrop], min_presence: float) -> list[Float32Array]:
    """Return a mesh (478, 3) for each crop with a face, measured a second time in a centred crop."""
    meshes, _ = run_mesh_model(pyramid, crops)
    meshes, presence = run_mesh_model(pyramid, [crop_around_mesh(mesh) for mesh in meshes])
    return [mesh for mesh, score in zip(meshes, presence, strict=True) if score >= min_presence]


def run_mesh_model(pyramid: ImagePyramid, crops: list[FaceCrop]) -> tuple[list[Float32Array], Float32Array]:
    """Return the mesh (478, 3) in picture pixels of each crop, and the presence of a face (N,), log odds."""
    if not crops:
        return [], np.zeros(0, np.float32)
    cuts = np.stack([pyramid.cut(crop) for crop in crops])
    meshes, presence = WORKER.ask("mesh", cuts)
    unmirrored = [mirror_points(mesh) if crop.flip else mesh for mesh, crop in zip(meshes, crops, strict=True)]
    placed = [crop_to_picture(mesh, crop) for mesh, crop in zip(unmirrored, crops, strict=True)]
    return placed, presence


def refine(pyramid: ImagePyramid, mesh: Float32Array) -> Float32Array:
    """Return a mesh (478, 3) with less noise: the mean over slightly different crops around it."""
    base = crop_around_mesh(mesh)
    crops = [
        base.jittered((x, y), scale, turn_rad, flip)
        for x, y, scale, turn_rad in REFINING_VIEWS
        for flip in (False, True)
    ]
    meshes, _ = run_mesh_model(pyramid, crops)
    return np.asarray(np.mean(meshes, axis=0), np.float32)


def track(frames: Iterable[Image]) -> Iterator[Landmarks | None]:
    """Yield the largest face of each frame, measured on its own; None if there is none."""
    for frame in frames:
        pyramid = ImagePyramid(frame)
        whole = FaceBox(0, 0, frame.shape[1], frame.shape[0])
        crops = detect(pyramid, whole, "short") or detect(pyramid, whole, "full")
        meshes = estimate_meshes(pyramid, sorted(crops, key=lambda crop: -crop.side)[:1], MIN_PRESENCE)
        yield Landmarks.from_mesh(meshes[0], PROVIDER) if meshes else None


def follow(frame: Image, last: Float32Array | None) -> Landmarks | None:
    """Return the face at its position in the previous frame, mesh ``last`` (478, 3); None if it is no longer there."""
    if last is None:
        return None
    meshes, presence = run_mesh_model(ImagePyramid(frame), [crop_around_mesh(last)])
    return Landmarks.from_mesh(meshes[0], PROVIDER) if presence[0] >= MIN_PRESENCE else None


def _make_tiles(width: int, height: int, side: int) -> list[FaceBox]:
    """Return overlapping square tiles that cover the picture."""
    wide, high = min(side, width), min(side, height)
    return [FaceBox(x, y, wide, high) for y in _starts(height, side) for x in _starts(width, side)]


def _starts(length: float, side: float) -> list[float]:
    count = max(1, math.ceil((length - side) / (TILE_STEP * side)) + 1) if length > side else 1
    return [float(start) for start in np.linspace(0, max(0.0, length - side), count)]


def _crop_of_detection(row: Float32Array, tile: tuple[int, int, int, int]) -> FaceCrop:
    left, top, width, height = tile
    x, y, w, h = row[1] * width, row[2] * height, row[3] * width, row[4] * height
    eye_right, eye_left = row[5:7] * (width, height), row[7:9] * (width, height)
    angle = math.atan2(float(eye_left[1] - eye_right[1]), float(eye_left[0] - eye_right[0]))
    return FaceCrop(float(left + x + w / 2), float(top + y + h / 2), DETECTION_CROP_SCALE * float(max(w, h)), angle)


def _merge_crops(crops: list[FaceCrop]) -> list[FaceCrop]:
    kept: list[FaceCrop] = []
    for crop in sorted(crops, key=lambda crop: -crop.side):
        if not any(overlap(_box_of(crop), _box_of(other)) > SAME_CROP_OVERLAP for other in kept):
            kept.append(crop)
    return kept


def _box_of(crop: FaceCrop) -> FaceBox:
    return FaceBox(crop.x - crop.side / 2, crop.y - crop.side / 2, crop.side, crop.side)


def _keep_new(known: list[Float32Array], found: list[Float32Array]) -> list[Float32Array]:
    """Return ``known`` and the meshes of ``found`` that show other faces."""
    kept = list(known)
    for mesh in found:
        if not any(overlap(oval_box(mesh), oval_box(other)) > SAME_FACE_OVERLAP for other in kept):
            kept.append(mesh)
    return kept
