"""Faces by MediaPipe: detection with second looks at tiles, then a mesh averaged over several crops."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.geometry.face_crop import FaceCrop, Pyramid, crop_around_mesh, crop_to_picture
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks, oval_box, overlap
from sadtalker_ext.geometry.worker_link import WORKER

PROVIDER = "mediapipe"
DETECTION_SIDE_PX = 384
"""Tiles are shrunk to this side; the detectors themselves look at 128 and 192 pixels."""
SAME_FACE_OVERLAP = 0.3
CERTAIN = 0.6
SMALLEST_TILE_PX = 256
Picture = NDArray[np.uint8]


def find(picture: Picture) -> list[Landmarks]:
    """Every face of an RGB picture (H, W, 3), the largest first."""
    pyramid = Pyramid(picture)
    meshes: list[NDArray[np.float32]] = []
    for tiles in _tile_levels(picture.shape[1], picture.shape[0]):
        crops = [crop for tile in tiles for crop in detect(pyramid, tile)]
        for mesh in rough_meshes(pyramid, _merge_crops(crops)):
            if not any(_same_face(mesh, other) for other in meshes):
                meshes.append(mesh)
        if any(_fills(mesh, tiles[0]) for mesh in meshes):
            break
    faces = [Landmarks.from_mesh(refine(pyramid, mesh), PROVIDER) for mesh in meshes]
    return sorted(faces, key=lambda face: -face.box.width * face.box.height)


def detect(pyramid: Pyramid, tile: FaceBox) -> list[FaceCrop]:
    """Regions of the faces that either detector sees in a tile of the picture."""
    left, top = int(tile.x), int(tile.y)
    right, bottom = math.ceil(tile.x + tile.width), math.ceil(tile.y + tile.height)
    image = pyramid.picture[top:bottom, left:right]
    factor = min(1.0, DETECTION_SIDE_PX / max(image.shape[:2]))
    if factor < 1.0:
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    crops = []
    for reach in ("short", "full"):
        (rows,) = WORKER.ask("detect", image, range=reach)
        crops += [_crop_of_detection(row, (left, top, right - left, bottom - top)) for row in rows]
    return crops


def rough_meshes(pyramid: Pyramid, crops: list[FaceCrop]) -> list[NDArray[np.float32]]:
    """One mesh (478, 3) for each crop in which the mesh model sees a face, after a second, centred look."""
    meshes, _ = measure(pyramid, crops)
    meshes, presence = measure(pyramid, [crop_around_mesh(mesh) for mesh in meshes])
    return [mesh for mesh, score in zip(meshes, presence, strict=True) if score >= CERTAIN]


def measure(pyramid: Pyramid, crops: list[FaceCrop]) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """The mesh (478, 3) in picture pixels for each crop, and how sure the model is of each, 0 to 1."""
    if not crops:
        return [], np.zeros(0, np.float32)
    cuts = np.stack([pyramid.cut(crop) for crop in crops])
    meshes, presence = WORKER.ask("mesh", cuts)
    placed = [crop_to_picture(mesh, crop) for mesh, crop in zip(meshes, crops, strict=True)]
    return placed, presence


def refine(pyramid: Pyramid, mesh: NDArray[np.float32]) -> NDArray[np.float32]:
    """A mesh (478, 3) with less noise: the mean over slightly different crops around it."""
    base = crop_around_mesh(mesh)
    views = ((0.0, 0.0, 1.0, 0.0), (0.02, 0.01, 0.92, 0.05), (-0.02, -0.01, 1.08, -0.05), (0.01, -0.02, 1.0, -0.03),
             (-0.01, 0.02, 1.0, 0.03))  # fmt: skip
    crops = [base.jittered((x, y), scale, turn, flip=False) for x, y, scale, turn in views]
    meshes, _ = measure(pyramid, crops)
    return np.asarray(np.mean(meshes, axis=0), np.float32)


def track(frames: Iterator[Picture]) -> Iterator[Landmarks | None]:
    """One face per frame, each frame on its own: no smoothing, no memory; None where there is no face."""
    for frame in frames:
        pyramid = Pyramid(frame)
        crops = detect(pyramid, FaceBox(0, 0, frame.shape[1], frame.shape[0]))
        meshes = rough_meshes(pyramid, crops[:1])
        yield Landmarks.from_mesh(meshes[0], PROVIDER) if meshes else None


def _tile_levels(width: int, height: int) -> Iterator[list[FaceBox]]:
    """The whole picture, then overlapping square tiles of a half, a quarter ... of its long side."""
    yield [FaceBox(0, 0, width, height)]
    side = max(width, height) / 2
    while side >= SMALLEST_TILE_PX:
        yield [
            FaceBox(x, y, min(side, width), min(side, height))
            for y in _starts(height, side)
            for x in _starts(width, side)
        ]
        side /= 2


def _starts(length: float, side: float) -> list[float]:
    count = max(1, math.ceil((length - side) / (0.6 * side)) + 1) if length > side else 1
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


def _same_face(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    return overlap(oval_box(first), oval_box(second)) > SAME_FACE_OVERLAP


def _fills(mesh: NDArray[np.float32], tile: FaceBox) -> bool:
    return oval_box(mesh).height >= 0.12 * max(tile.width, tile.height)
