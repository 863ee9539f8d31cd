"""Covers drawn over the mouth of a photograph are recognised; uncovered mouths in difficult pictures are not covers."""

import cv2
import numpy as np
import pytest
from cover_drawings import add_cup, add_hand, add_mask, add_microphone

from sadtalker_ext.faces.find import choose_face, find_faces
from sadtalker_ext.faces.mouth_cover import measure_mouth_cover
from sadtalker_ext.faces.mouth_state import COVERED_MOUTH_NOTE
from sadtalker_ext.geometry.landmarks import LIPS, Landmarks
from sadtalker_ext.puppet import topology as topo

COVERS = {
    "blue mask": add_mask,
    "black mask": lambda picture, face: add_mask(picture, face, (40, 40, 45)),
    "white mask": lambda picture, face: add_mask(picture, face, (235, 235, 235)),
    "mask in the colour of the skin": lambda picture, face: add_mask(picture, face, (205, 165, 140)),
    "hand": add_hand,
    "microphone": add_microphone,
    "cup": add_cup,
}


def outline(face):
    return face.mesh[[*topo.MOUTH_UPPER_OUTER, *topo.MOUTH_LOWER_OUTER[-2:0:-1]], :2]


def filled(picture, points, blur_px):
    mask = np.zeros(picture.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.rint(points).astype(np.int32)], 1.0)
    return cv2.GaussianBlur(mask, (0, 0), blur_px)[..., None]


def grey(picture, face):
    return cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def dark(picture, face):
    return (picture * 0.18).astype(np.uint8)


def red_light(picture, face):
    return (picture * np.array([1.0, 0.3, 0.25])).astype(np.uint8)


def blue_light(picture, face):
    return (picture * np.array([0.35, 0.4, 1.0])).astype(np.uint8)


def one_colour(picture, face):
    """Shades of red only, as in a darkroom: colour says nothing about the lips."""
    return (grey(picture, face) * np.array([1.0, 0.18, 0.15])).astype(np.uint8)


def over_exposed(picture, face):
    return np.clip(picture * 1.5, 0, 255).astype(np.uint8)


def lipstick(picture, face):
    lips = 0.7 * filled(picture, outline(face), 1.0)
    return (picture * (1 - lips) + np.array([150, 10, 60]) * lips).astype(np.uint8)


def beard(picture, face):
    """Dark curly texture on jaw, chin and above the lips, which stay free."""
    around = face.mesh[[132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 425, 327, 98, 205], :2]
    hair = filled(picture, around, 2.0) * (1 - filled(picture, outline(face), 1.0))
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 90, picture.shape[:2]), (0, 0), 1.2)[..., None]
    return np.clip(picture * (1 - 0.85 * hair) + (45 + noise) * 0.85 * hair, 0, 255).astype(np.uint8)


def blurred(picture, face):
    return cv2.GaussianBlur(picture, (0, 0), 2.5)


def mirrored(picture, face):
    return np.ascontiguousarray(picture[:, ::-1])


def upside_down(picture, face):
    return np.ascontiguousarray(picture[::-1, ::-1])


def small(picture, face):
    """The whole picture at 160 px; the face is 34 px high."""
    return cv2.resize(picture, (160, 160), interpolation=cv2.INTER_AREA)


def compressed(picture, face):
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], cv2.IMREAD_COLOR)


def microphone_below_the_lips(picture, face):
    return add_microphone(picture, face, size=0.16, shift=(0.0, 0.24))


UNCOVERED = (
    grey, dark, red_light, blue_light, one_colour, over_exposed, lipstick, beard, blurred, mirrored, upside_down, small,
    compressed, microphone_below_the_lips,
)  # fmt: skip


@pytest.fixture(scope="module")
def face(astronaut):
    (found,) = find_faces(astronaut)
    return found


@pytest.mark.parametrize("name", COVERS)
def test_drawn_cover_is_recognised(astronaut, face, name):
    picture = COVERS[name](astronaut, face)
    choice = choose_face(picture)
    assert measure_mouth_cover(picture, choice.landmarks).score > 0.7
    assert choice.mouth_covered
    assert choice.notes == (COVERED_MOUTH_NOTE,)


@pytest.mark.parametrize("name", ["blue mask", "black mask", "hand", "microphone", "cup"])
def test_cover_in_a_grey_picture_is_recognised(astronaut, face, name):
    picture = grey(COVERS[name](astronaut, face), face)
    (found,) = find_faces(picture)
    assert measure_mouth_cover(picture, found).is_covered


@pytest.mark.parametrize("change", UNCOVERED)
def test_uncovered_mouth_is_no_cover(astronaut, face, change):
    picture = change(astronaut, face)
    choice = choose_face(picture)
    assert measure_mouth_cover(picture, choice.landmarks).score < 0.2
    assert not choice.mouth_covered
    assert choice.notes == ()


def test_photograph_is_far_from_a_cover(astronaut, face):
    cover = measure_mouth_cover(astronaut, face)
    assert cover.score < 0.01
    assert cover.measures.redness > 0.9
    assert face.lip_spread < 0.005


def test_without_the_spread_of_the_lips_the_picture_decides(astronaut, face):
    masked = add_mask(astronaut, face)
    once = Landmarks.from_mesh(find_faces(masked)[0].mesh, "face-alignment")
    assert measure_mouth_cover(masked, once).is_covered
    assert measure_mouth_cover(astronaut, Landmarks.from_mesh(face.mesh, "face-alignment")).score < 0.05


def test_lip_points_of_a_covered_mouth_scatter(astronaut, face):
    (covered,) = find_faces(add_hand(astronaut, face))
    assert covered.lip_spread > 3 * face.lip_spread
    assert len(set(LIPS)) == 40


def test_lips_that_are_clearly_seen_are_not_covered_although_their_points_scatter(astronaut, face):
    for change in (one_colour, grey, dark):
        scattered = Landmarks.from_mesh(face.mesh, "face-mesh", lip_spread=0.03)
        assert measure_mouth_cover(change(astronaut, face), scattered).score < 0.3


def test_mouth_outside_the_picture_gives_no_score(astronaut, face):
    cut = astronaut[: int(face.mesh[0, 1])]
    cover = measure_mouth_cover(cut, face)
    assert cover.score == 0.0
    assert cover.measures is None


def test_mean_face_in_a_box_is_not_examined(astronaut):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    assert not choose_face(noise, "100,60,120,160").mouth_covered
