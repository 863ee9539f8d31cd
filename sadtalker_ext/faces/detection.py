"""Regions of faces in a picture: detection in the whole picture and in tiles of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.arrays import Float32Array, Image
from sadtalker_ext.faces.face_crop import FaceCrop
from sadtalker_ext.geometry.landmarks import FaceBox, overlap

if TYPE_CHECKING:
    from sadtalker_ext.faces.networks import FaceNetworks

TILE_STEP = 0.8
"""Step between tiles in tile sides: they overlap by a fifth, more than the width of a face first seen at this level."""
DETECTION_CROP_SCALE = 1.5
"""Crop side relative to the side of a detection."""
SAME_CROP_OVERLAP = 0.5
CLOSER_SCALE = 1.3
"""Side of the part of a picture in which a face is looked for again, relative to the crop that shows none."""
CLOSER_MIN_SCORE = 0.5
"""Smallest score of a detection there, in [0, 1]."""


def detect(
    networks: FaceNetworks, pictures: Sequence[Image], reach: str, min_score: float = 0.0
) -> list[list[FaceCrop]]:
    """Return the regions of the faces in each picture, by falling score.

    reach: "short" or "full" range, see FaceNetworks.detect. min_score: in [0, 1].
    """
    found = networks.detect(pictures, reach)
    return [
        [
            _crop_of_detection(row, FaceBox(0, 0, picture.shape[1], picture.shape[0]))
            for row in rows
            if row[0] >= min_score
        ]
        for picture, rows in zip(pictures, found, strict=True)
    ]


def detect_in_tiles(networks: FaceNetworks, picture: Image, side: int) -> list[FaceCrop]:
    """Return the regions of the faces that full range finds in overlapping tiles of ``side`` pixels."""
    return _detect_in_parts(networks, picture, make_tiles(picture.shape[1], picture.shape[0], side), "full")


def detect_closer(networks: FaceNetworks, picture: Image, crops: Sequence[FaceCrop]) -> list[FaceCrop]:
    """Return the regions of the faces that short range finds around crops, in which they may be small."""
    height, width = picture.shape[:2]
    parts = []
    for crop in crops:
        half = crop.side * CLOSER_SCALE / 2
        left, top = max(0.0, crop.x - half), max(0.0, crop.y - half)
        parts.append(FaceBox(left, top, min(width, crop.x + half) - left, min(height, crop.y + half) - top))
    inside = [part for part in parts if min(part.width, part.height) >= 1]
    return _detect_in_parts(networks, picture, inside, "short", CLOSER_MIN_SCORE)


def _detect_in_parts(
    networks: FaceNetworks, picture: Image, parts: Sequence[FaceBox], reach: str, min_score: float = 0.0
) -> list[FaceCrop]:
    cut = [picture[int(t.y) : math.ceil(t.y + t.height), int(t.x) : math.ceil(t.x + t.width)] for t in parts]
    found = networks.detect(cut, reach)
    crops = []
    for part, pixels, rows in zip(parts, cut, found, strict=True):
        place = FaceBox(int(part.x), int(part.y), pixels.shape[1], pixels.shape[0])
        crops += [_crop_of_detection(row, place) for row in rows if row[0] >= min_score]
    return crops


def merge_crops(crops: Iterable[FaceCrop]) -> list[FaceCrop]:
    """Return the crops without those that overlap a larger one."""
    kept: list[FaceCrop] = []
    for crop in sorted(crops, key=lambda crop: -crop.side):
        if not any(overlap(_box_of(crop), _box_of(other)) > SAME_CROP_OVERLAP for other in kept):
            kept.append(crop)
    return kept


def make_tiles(width: int, height: int, side: int) -> list[FaceBox]:
    """Return overlapping square tiles that cover the picture."""
    wide, high = min(side, width), min(side, height)
    return [FaceBox(x, y, wide, high) for y in _starts(height, side) for x in _starts(width, side)]


def _starts(length: float, side: float) -> list[float]:
    count = max(1, math.ceil((length - side) / (TILE_STEP * side)) + 1) if length > side else 1
    return [float(start) for start in np.linspace(0, max(0.0, length - side), count)]


def _crop_of_detection(row: Float32Array, tile: FaceBox) -> FaceCrop:
    scale = np.array([tile.width, tile.height])
    centre = (row[1:3] + row[3:5] / 2) * scale
    across = (row[7:9] - row[5:7]) * scale
    side = DETECTION_CROP_SCALE * float((row[3:5] * scale).max())
    angle = math.atan2(float(across[1]), float(across[0]))
    return FaceCrop(float(tile.x + centre[0]), float(tile.y + centre[1]), side, angle)


def _box_of(crop: FaceCrop) -> FaceBox:
    return FaceBox(crop.x - crop.side / 2, crop.y - crop.side / 2, crop.side, crop.side)
