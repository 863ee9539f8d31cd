"""Tiles, merging of regions, and the way from a detection to a region of the picture."""

import math

import cv2
import numpy as np
import pytest
import skimage.data
from portrait_variants import sample

from sadtalker_ext.faces import mesh_provider
from sadtalker_ext.faces.detection import (
    DETECTION_CROP_SCALE,
    SAME_CROP_OVERLAP,
    TILE_STEP,
    detect,
    detect_closer,
    detect_in_tiles,
    make_tiles,
    merge_crops,
)
from sadtalker_ext.faces.face_crop import FaceCrop
from sadtalker_ext.faces.mesh_provider import find
from sadtalker_ext.faces.networks import DETECTION_FLOOR, face_networks
from sadtalker_ext.geometry.landmarks import FaceBox, oval_box, overlap

SIZES = [(640, 480, 200), (200, 200, 200), (100, 70, 200), (201, 150, 200), (361, 1000, 200), (999, 333, 111)]


class OneFace:
    """In place of the networks: finds a face wherever ``centre`` (x, y) of the whole picture, marked white, is seen."""

    def __init__(self, side_px=40.0, score=0.9):
        self.side_px, self.score, self.reaches = side_px, score, []

    def detect(self, pictures, reach):
        self.reaches.append(reach)
        return [self._rows(picture) for picture in pictures]

    def _rows(self, picture):
        places = np.argwhere(picture[..., 0] == 255)
        size = np.array([picture.shape[1], picture.shape[0]])
        rows = np.zeros((len(places), 17), np.float32)
        for row, (y, x) in zip(rows, places, strict=True):
            row[0] = self.score
            row[1:3] = (np.array([x, y]) - self.side_px / 2) / size
            row[3:5] = self.side_px / size
            row[5:7], row[7:9] = np.array([x - 9, y - 12]) / size, np.array([x + 9, y + 12]) / size
        return rows


def marked(width, height, *places):
    picture = np.zeros((height, width, 3), np.uint8)
    for x, y in places:
        picture[y, x] = 255
    return picture


@pytest.mark.parametrize(("width", "height", "side"), SIZES)
def test_tiles_cover_the_picture_and_stay_inside(width, height, side):
    seen = np.zeros((height, width), int)
    for tile in make_tiles(width, height, side):
        assert (tile.width, tile.height) == (min(side, width), min(side, height))
        assert tile.x >= 0
        assert tile.y >= 0
        assert tile.x + tile.width <= width
        assert tile.y + tile.height <= height
        seen[math.ceil(tile.y) : int(tile.y + tile.height), math.ceil(tile.x) : int(tile.x + tile.width)] += 1
    assert seen.min() >= 1, "every pixel is in a tile"


@pytest.mark.parametrize(("width", "height", "side"), SIZES)
def test_a_face_as_wide_as_the_overlap_is_whole_in_one_tile(width, height, side):
    face = (1 - TILE_STEP) * side - 1
    tiles = make_tiles(width, height, side)
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(0, [max(width - face, 1), max(height - face, 1)], (300, 2)):
        right, low = min(x + face, width), min(y + face, height)
        assert any(
            t.x <= x and t.y <= y and right <= t.x + t.width + 1e-6 and low <= t.y + t.height + 1e-6 for t in tiles
        )


def test_a_picture_smaller_than_a_tile_is_one_tile():
    assert make_tiles(90, 50, 200) == [FaceBox(0, 0, 90, 50)]


@pytest.mark.parametrize("seed", range(4))
def test_merged_crops_differ_and_stand_for_those_left_out(seed):
    rng = np.random.default_rng(seed)
    crops = [FaceCrop(*row) for row in np.c_[rng.uniform(0, 100, (60, 2)), rng.uniform(10, 60, 60)].tolist()]
    boxes = {crop: FaceBox(crop.x - crop.side / 2, crop.y - crop.side / 2, crop.side, crop.side) for crop in crops}
    kept = merge_crops(crops)
    assert 1 < len(kept) < len(crops)
    for index, crop in enumerate(kept):
        assert all(overlap(boxes[crop], boxes[other]) <= SAME_CROP_OVERLAP for other in kept[:index])
    for crop in set(crops) - set(kept):
        larger = [other for other in kept if other.side >= crop.side]
        assert any(overlap(boxes[crop], boxes[other]) > SAME_CROP_OVERLAP for other in larger)
    assert merge_crops(crops[::-1]) == kept, "independent of the order"
    assert merge_crops(kept) == kept


def test_merging_of_nothing_and_of_equal_crops():
    assert merge_crops([]) == []
    assert merge_crops(iter([FaceCrop(5, 5, 10)] * 3)) == [FaceCrop(5, 5, 10)]


@pytest.mark.parametrize(("width", "height"), [(300, 300), (500, 200), (120, 360)])
def test_a_detection_becomes_a_region_in_pixels(width, height):
    ((crop,),) = detect(OneFace(), [marked(width, height, (90, 130))], "short")
    assert (crop.x, crop.y) == pytest.approx((90, 130), abs=1e-3)
    assert crop.side == pytest.approx(DETECTION_CROP_SCALE * 40, abs=1e-3)
    assert crop.angle_rad == pytest.approx(math.atan2(24, 18), abs=1e-5), "the eyes are level in the crop"


def test_detections_below_the_smallest_score_are_left_out():
    pictures = [marked(300, 200, (90, 80), (200, 90)), marked(100, 100)]
    assert [len(found) for found in detect(OneFace(score=0.6), pictures, "full", 0.5)] == [2, 0]
    assert [len(found) for found in detect(OneFace(score=0.4), pictures, "full", 0.5)] == [0, 0]


def test_regions_found_in_tiles_are_in_pixels_of_the_picture():
    networks = OneFace()
    places = [(0, 0), (150, 60), (180, 190), (399, 299), (250, 170)]
    crops = detect_in_tiles(networks, marked(400, 300, *places), 200)
    assert networks.reaches == ["full"]
    assert {(round(crop.x), round(crop.y)) for crop in crops} == set(places)
    assert len(crops) > len(places), "faces in the overlap are found in each tile"
    assert len(merge_crops(crops)) == len(places)


def test_a_small_face_is_found_in_a_tile_where_it_is_in_the_picture(astronaut):
    canvas = np.full((900, 1200, 3), 90, np.uint8)
    canvas[500:628, 800:928] = astronaut[::4, ::4]
    crops = detect_in_tiles(face_networks(), canvas, 300)
    face = min(crops, key=lambda crop: math.dist((crop.x, crop.y), (856, 531)))
    assert math.dist((face.x, face.y), (856, 531)) < 8
    assert 25 < face.side < 60


def test_a_closer_look_at_crops_gives_regions_in_pixels_of_the_picture():
    networks, picture = OneFace(), marked(400, 300, (90, 80), (390, 290), (200, 150))
    crops = [FaceCrop(100, 90, 60), FaceCrop(395, 295, 80), FaceCrop(460, 150, 50), FaceCrop(300, 60, 40)]
    found = detect_closer(networks, picture, crops)
    assert networks.reaches == ["short"]
    assert [(round(crop.x), round(crop.y)) for crop in found] == [(90, 80), (390, 290)]
    assert detect_closer(OneFace(score=0.4), picture, crops) == []


def test_a_small_face_beside_a_large_one_is_found_in_a_closer_look(astronaut, monkeypatch):
    part, canvas = astronaut[:256, 96:352], np.full((800, 800, 3), 120, np.uint8)
    canvas[:] = cv2.resize(part, None, fx=3.5, fy=3.5)[:800, :800]
    canvas[20:170, 640:790] = cv2.resize(part[:, ::-1], (150, 150), interpolation=cv2.INTER_AREA)
    small = FaceBox(686, 59, 54, 64)
    assert any(overlap(face.box, small) > 0.7 for face in find(canvas))
    monkeypatch.setattr(mesh_provider, "detect_closer", lambda *_: [])
    assert len(find(canvas)) == 1, "only the large one"


@pytest.mark.parametrize("centre", [(150, 123), (300, 123)])
def test_a_face_cut_by_the_border_is_found_from_a_low_score(astronaut, centre):
    picture = sample(astronaut, centre, 160, 256)
    score = max(face_networks().detect([picture], reach)[0][:, 0].max(initial=0.0) for reach in ("short", "full"))
    assert DETECTION_FLOOR <= score < 0.5, "MediaPipe's limits, 0.5 and 0.6, would miss it"
    (face,) = find(picture)
    assert oval_box(face.mesh).height > 100


@pytest.mark.parametrize("name", ["chelsea", "coffee", "brick", "gravel", "clock"])
def test_low_scores_give_no_face_where_there_is_none(name):
    picture = getattr(skimage.data, name)()
    picture = np.ascontiguousarray(np.dstack([picture] * 3) if picture.ndim == 2 else picture)
    networks = face_networks()
    regions = [crop for reach in ("short", "full") for crop in detect(networks, [picture], reach)[0]]
    regions += detect_in_tiles(networks, picture, max(picture.shape) // 4)
    assert len(regions) >= 2, "the mesh has something to refuse"
    assert find(picture) == []
