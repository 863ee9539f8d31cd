"""Faces by MediaPipe: detection with second looks at tiles, then a mesh averaged over several crops."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.faces.face_crop import FaceCrop, Pyramid, crop_around_mesh, crop_to_picture
from sadtalker_ext.faces.worker_client import WORKER
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks, oval_box, overlap
from sadtalker_ext.geometry.mean_face import mirror_points

PROVIDER = "mediapipe"
DETECTION_SIDE_PX = 256
"""Tiles are shrunk to this side; the detectors themselves look at 128 (short range) and 192 pixels (full range)."""
SURE, SURE_IN_TILE = 5.0, 10.0
"""Presence (log odds) from which a mesh counts in the whole picture and in a tile of it.

Faces score 12 to 40, what only looks like one stays below 5, or below 9 where many tiles are tried.
"""
SURE_IN_BOX = 0.0
"""The same where a person says that here is a face."""
IN_BOX_OVERLAP = 0.3
SAME_FACE_OVERLAP = 0.3
FACE_FILLS_TILE = 0.12
"""A face this high in parts of a tile's long side ends the search: smaller tiles would show background faces only."""
SMALLEST_TILE_PX = 200
LEVELS = 3
"""How often tiles are halved: down to an eighth of the picture's long side."""
TILE_STEP = 0.8
"""Neighbouring tiles overlap by a fifth, more than a face that only shows at this level is wide."""
BOX_SCALES = (1.2, 1.5, 1.9)
BOX_TURNS_RAD = (0.0, -0.5, 0.5)
"""Crops tried for a box: sides in parts of the box's long side, and leanings."""
REFINING_VIEWS = (
    (-0.02, -0.02, 0.95, 0.05),
    (0.02, -0.02, 1.05, -0.05),
    (-0.02, 0.02, 1.05, -0.03),
    (0.02, 0.02, 0.95, 0.03),
)
"""Shift in parts of the crop, scale and turn (rad) of the crops whose mean is taken, each also mirrored."""
Picture = NDArray[np.uint8]
Mesh = NDArray[np.float32]


def find(picture: Picture) -> list[Landmarks]:
    """Every face of an RGB picture (H, W, 3), the largest first."""
    pyramid = Pyramid(picture)
    whole = FaceBox(0, 0, picture.shape[1], picture.shape[0])
    crops = detect(pyramid, whole, "short") + detect(pyramid, whole, "full")
    meshes = _keep_new([], rough_meshes(pyramid, _merge_crops(crops), SURE))
    side = max(picture.shape[:2])
    for _ in range(LEVELS):
        side //= 2
        if side < SMALLEST_TILE_PX or any(oval_box(mesh).height >= FACE_FILLS_TILE * 2 * side for mesh in meshes):
            break
        tiles = _tiles(picture.shape[1], picture.shape[0], side)
        crops = [crop for tile in tiles for crop in detect(pyramid, tile, "full")]
        meshes = _keep_new(meshes, rough_meshes(pyramid, _merge_crops(crops), SURE_IN_TILE))
    faces = [Landmarks.from_mesh(refine(pyramid, mesh), PROVIDER) for mesh in meshes]
    return sorted(faces, key=lambda face: -face.box.width * face.box.height)


def find_in_box(picture: Picture, box: FaceBox) -> Landmarks | None:
    """The face that fills a box given by a person, looked at in several sizes and leanings; None if there is none."""
    pyramid = Pyramid(picture)
    base = FaceCrop(box.x + box.width / 2, box.y + box.height / 2, max(box.width, box.height))
    best, best_score = None, SURE_IN_BOX
    for turn in BOX_TURNS_RAD:
        crops = [base.jittered((0.0, 0.0), scale, turn, flip=False) for scale in BOX_SCALES]
        meshes, _ = measure(pyramid, crops)
        meshes, presence = measure(pyramid, [crop_around_mesh(mesh) for mesh in meshes])
        for mesh, score in zip(meshes, presence, strict=True):
            if score >= best_score and overlap(oval_box(mesh), box) >= IN_BOX_OVERLAP:
                best, best_score = mesh, float(score)
        if best_score >= SURE_IN_TILE:
            break
    return None if best is None else Landmarks.from_mesh(refine(pyramid, best), PROVIDER)


def detect(pyramid: Pyramid, tile: FaceBox, reach: str) -> list[FaceCrop]:
    """Regions of the faces that the detector of "short" or "full" range sees in a tile of the picture."""
    left, top = int(tile.x), int(tile.y)
    right, bottom = math.ceil(tile.x + tile.width), math.ceil(tile.y + tile.height)
    image = pyramid.picture[top:bottom, left:right]
    factor = min(1.0, DETECTION_SIDE_PX / max(image.shape[:2]))
    if factor < 1.0:
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    (rows,) = WORKER.ask("detect", image, range=reach)
    return [_crop_of_detection(row, (left, top, right - left, bottom - top)) for row in rows]


def rough_meshes(pyramid: Pyramid, crops: list[FaceCrop], sure: float) -> list[Mesh]:
    """One mesh (478, 3) for each crop in which the mesh model sees a face, after a second, centred look."""
    meshes, _ = measure(pyramid, crops)
    meshes, presence = measure(pyramid, [crop_around_mesh(mesh) for mesh in meshes])
    return [mesh for mesh, score in zip(meshes, presence, strict=True) if score >= sure]


def measure(pyramid: Pyramid, crops: list[FaceCrop]) -> tuple[list[Mesh], NDArray[np.float32]]:
    """The mesh (478, 3) in picture pixels for each crop, and how sure the model is of each, log odds."""
    if not crops:
        return [], np.zeros(0, np.float32)
    cuts = np.stack([pyramid.cut(crop) for crop in crops])
    meshes, presence = WORKER.ask("mesh", cuts)
    sorted_out = [mirror_points(mesh) if crop.flip else mesh for mesh, crop in zip(meshes, crops, strict=True)]
    placed = [crop_to_picture(mesh, crop) for mesh, crop in zip(sorted_out, crops, strict=True)]
    return placed, presence


def refine(pyramid: Pyramid, mesh: Mesh) -> Mesh:
    """A mesh (478, 3) with less noise: the mean over slightly different crops around it."""
    base = crop_around_mesh(mesh)
    crops = [
        base.jittered((x, y), scale, turn_rad, flip)
        for x, y, scale, turn_rad in REFINING_VIEWS
        for flip in (False, True)
    ]
    meshes, _ = measure(pyramid, crops)
    return np.asarray(np.mean(meshes, axis=0), np.float32)


def track(frames: Iterable[Picture]) -> Iterator[Landmarks | None]:
    """The face of each frame on its own, without smoothing or memory; None where there is none."""
    for frame in frames:
        pyramid = Pyramid(frame)
        whole = FaceBox(0, 0, frame.shape[1], frame.shape[0])
        crops = detect(pyramid, whole, "short") or detect(pyramid, whole, "full")
        meshes = rough_meshes(pyramid, sorted(crops, key=lambda crop: -crop.side)[:1], SURE)
        yield Landmarks.from_mesh(meshes[0], PROVIDER) if meshes else None


def follow(frame: Picture, last: Mesh | None) -> Landmarks | None:
    """The face of a frame where it was in the frame before (478, 3); None where it is there no longer."""
    if last is None:
        return None
    meshes, presence = measure(Pyramid(frame), [crop_around_mesh(last)])
    return Landmarks.from_mesh(meshes[0], PROVIDER) if presence[0] >= SURE else None


def _tiles(width: int, height: int, side: int) -> list[FaceBox]:
    """Overlapping square tiles over the picture."""
    wide, high = min(side, width), min(side, height)
    return [FaceBox(x, y, wide, high) for y in _starts(height, side) for x in _starts(width, side)]


def _starts(length: float, side: float) -> list[float]:
    count = max(1, math.ceil((length - side) / (TILE_STEP * side)) + 1) if length > side else 1
    return [float(start) for start in np.linspace(0, max(0.0, length - side), count)]


def _crop_of_detection(row: NDArray[np.float32], tile: tuple[int, int, int, int]) -> FaceCrop:
    left, top, width, height = tile
    x, y, w, h = row[1] * width, row[2] * height, row[3] * width, row[4] * height
    eye_right, eye_left = row[5:7] * (width, height), row[7:9] * (width, height)
    angle = math.atan2(float(eye_left[1] - eye_right[1]), float(eye_left[0] - eye_right[0]))
    return FaceCrop(float(left + x + w / 2), float(top + y + h / 2), 1.5 * float(max(w, h)), angle)


def _merge_crops(crops: list[FaceCrop]) -> list[FaceCrop]:
    kept: list[FaceCrop] = []
    for crop in sorted(crops, key=lambda crop: -crop.side):
        if not any(overlap(_box_of(crop), _box_of(other)) > 0.5 for other in kept):
            kept.append(crop)
    return kept


def _box_of(crop: FaceCrop) -> FaceBox:
    return FaceBox(crop.x - crop.side / 2, crop.y - crop.side / 2, crop.side, crop.side)


def _keep_new(known: list[Mesh], found: list[Mesh]) -> list[Mesh]:
    """``known`` and those of ``found`` that show another face."""
    kept = list(known)
    for mesh in found:
        if not any(overlap(oval_box(mesh), oval_box(other)) > SAME_FACE_OVERLAP for other in kept):
            kept.append(mesh)
    return kept
