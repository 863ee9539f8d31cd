"""Portraits from picture files."""

import re
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.errors import FaceError, MediaError
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.pipeline.portrait import draw_faces, inspect_faces, list_faces, read_portrait


@dataclass
class FaceSettings:
    face: str = "largest"
    at: str = "auto"
    resolution_limit: int = 2048


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    from skimage.data import astronaut

    path = tmp_path_factory.mktemp("portraits") / "Astronaut.PNG"
    Image.fromarray(astronaut()).save(path)
    return path


def test_photograph_is_read_as_a_portrait(photograph):
    prepared = read_portrait(photograph, FaceSettings())
    assert prepared.portrait.picture.shape == (512, 512, 3)
    assert prepared.portrait.person.shape == (512, 512)
    assert prepared.portrait.person[120, 225] > 0.95
    assert prepared.notes == ()
    assert prepared.scale == 1.0


def test_boxes_are_in_pixels_of_the_file_at_any_working_size(photograph, tmp_path):
    large = tmp_path / "large.png"
    Image.open(photograph).resize((1024, 1024), Image.Resampling.BICUBIC).save(large)
    box = "340,110,220,270"
    prepared = read_portrait(large, FaceSettings(face=box, resolution_limit=512))
    assert prepared.scale == 0.5
    assert prepared.portrait.landmarks.provider == "face-mesh"
    assert prepared.portrait.landmarks.box.x == pytest.approx(180, abs=6)
    with pytest.raises(FaceError, match="1024 x 1024"):
        read_portrait(large, FaceSettings(face="1500,10,100,100", resolution_limit=512))


def test_messages_state_the_size_of_the_file(tmp_path):
    """3001 rows are 1536 at the size in which faces are searched, which would be 3000 rows of the file."""
    Image.new("L", (4000, 3001), 128).save(tmp_path / "grey.png")
    with pytest.raises(FaceError, match="4000 x 3001 px"):
        read_portrait(tmp_path / "grey.png", FaceSettings(face="5000,0,100,100", resolution_limit=512))


@pytest.mark.parametrize("face", ["largest", "100,40,38,45"])
def test_the_limit_that_a_message_recommends_is_the_lowest_sufficient_one(photograph, tmp_path, face):
    far = Image.new("RGB", (900, 600), (120, 130, 140))
    far.paste(Image.open(photograph).resize((208, 208), Image.Resampling.LANCZOS), (28, 11))
    far.save(tmp_path / "far.png")
    with pytest.raises(FaceError, match="set resolution_limit to") as refused:
        read_portrait(tmp_path / "far.png", FaceSettings(face, resolution_limit=256))
    recommended = int(re.search(r"resolution_limit to (\d+) or more", str(refused.value))[1])
    assert read_portrait(tmp_path / "far.png", FaceSettings(face, resolution_limit=recommended)).scale < 1
    with pytest.raises(FaceError, match="too small"):
        read_portrait(tmp_path / "far.png", FaceSettings(face, resolution_limit=recommended - 64))


def test_a_face_that_is_small_in_the_file_needs_another_picture(photograph, tmp_path):
    Image.open(photograph).resize((90, 90)).save(tmp_path / "tiny.png")
    for face in ("largest", "30,10,16,20"):
        with pytest.raises(FaceError, match="choose a larger picture"):
            read_portrait(tmp_path / "tiny.png", FaceSettings(face))


def test_a_page_and_other_front_ends_state_the_same_place_of_a_face(photograph, tmp_path):
    """The page finds faces in a picture of 2048 pixels, and messages are in pixels of the file."""
    half = Image.open(photograph).crop((0, 0, 512, 138)).resize((2560, 690), Image.Resampling.BICUBIC)
    half.save(tmp_path / "half.png")
    with pytest.raises(FaceError, match="cut by the picture's border") as refused:
        read_portrait(tmp_path / "half.png", FaceSettings())
    assert inspect_faces(tmp_path / "half.png").problem == str(refused.value)


def test_text_file_is_a_media_error(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("notes " * 50)
    with pytest.raises(MediaError):
        read_portrait(path, FaceSettings())


def test_faces_are_listed_and_drawn(photograph):
    picture, faces = list_faces(photograph)
    drawn = draw_faces(picture.pixels, faces)
    changed = np.any(drawn != picture.pixels, axis=2)
    rows, columns = np.nonzero(changed)
    box = faces[0].box
    assert columns.min() == pytest.approx(box.x, abs=4)
    assert rows.max() == pytest.approx(box.y + box.height, abs=4)
    inner = np.s_[round(box.y + 40) : round(box.y + box.height - 10), round(box.x + 40) : round(box.x + box.width - 10)]
    assert not changed[inner].any()


def test_numbers_differ_and_stay_inside_the_picture():
    picture = np.zeros((200, 300, 3), np.uint8)
    boxes = [FaceBox(-30, -40, 100, 120), FaceBox(250, 150, 90, 90)]
    faces = [Landmarks.from_mesh(place_in_box(box), "box") for box in boxes]
    drawn = draw_faces(picture, faces)
    white = np.all(drawn > 200, axis=2).astype(np.uint8)
    assert white[:40, :40].sum() > 10
    assert white[140:, 230:].sum() > 10
    assert not np.array_equal(cv2.resize(white[:40, :40], (20, 20)), cv2.resize(white[150:190, 250:290], (20, 20)))


def test_covered_mouth_reaches_portrait_and_notes(tmp_path):
    from skimage.data import astronaut

    picture = astronaut()
    picture[118:200, 185:268] = (40, 60, 110)
    path = tmp_path / "masked.png"
    Image.fromarray(cv2.GaussianBlur(picture, (0, 0), 0.7)).save(path)
    prepared = read_portrait(path, FaceSettings())
    assert prepared.portrait.mouth_covered
    (note,) = prepared.notes
    assert note.startswith("The mouth seems to be covered")


def test_uncovered_mouth_may_move(photograph):
    assert not read_portrait(photograph, FaceSettings()).portrait.mouth_covered
