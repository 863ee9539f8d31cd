"""Covers of a part of the mouth are recognised; free mouths in difficult pictures and objects beside them are not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from cover_drawings import add_cup, add_hand, add_mask, add_microphone

from sadtalker_ext.faces import mouth_state
from sadtalker_ext.faces.find import choose_face, find_faces
from sadtalker_ext.faces.mouth_cover import measure_mouth_cover
from sadtalker_ext.faces.partial_cover import COVERED_LOGIT, partial_cover_logit
from sadtalker_ext.geometry.quarter_turns import turn_picture


def mouth_place(face, across, down):
    """Return a place relative to the middle of the mouth, in face heights."""
    return face.mesh[[13, 14], :2].mean(axis=0) + face.box.height * np.array([across, down])


def scarf(picture, face):
    """Dark cloth that leaves the upper lip free."""
    drawn = picture.copy()
    top = round(float(mouth_place(face, 0, -0.03)[1]))
    rows = np.arange(len(picture) - top, dtype=np.float32)[:, None, None]
    drawn[top:] = np.clip(np.float32([30, 30, 40]) + 14 * np.sin(rows / 4), 0, 255)
    return drawn


def finger_on_the_lips(picture, face):
    """A single finger from below, in the colour of the skin."""
    height, width = face.box.height, round(0.1 * face.box.height)
    mask = np.zeros(picture.shape[:2], np.uint8)
    ends = (mouth_place(face, 0, -0.07), mouth_place(face, 0.05, 0.8))
    cv2.line(mask, *(tuple(np.rint(end).astype(int).tolist()) for end in ends), 255, width, cv2.LINE_AA)
    across = np.clip(cv2.distanceTransform(mask, cv2.DIST_L2, 3)[..., None] / (0.05 * height), 0, 1)
    share = cv2.GaussianBlur(mask, (0, 0), 0.8)[..., None] / 255
    skin = np.median(picture[tuple(np.rint(face.mesh[[151, 50, 280], 1::-1]).astype(int).T)], axis=0)
    return (picture * (1 - share) + skin * (0.62 + 0.4 * np.sqrt(across)) * share).astype(np.uint8)


def thing(colour, across, down, size):
    """Return a function that draws a shaded disc of ``size`` face heights beside the middle of the mouth."""

    def draw(picture, face):
        x, y = mouth_place(face, across, down)
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
        away = np.hypot(columns - x, rows - y) / (size * face.box.height)
        shade = np.float32(colour) * (1.1 - 0.5 * np.clip(away, 0, 1) ** 2)[..., None]
        share = cv2.GaussianBlur((away < 1).astype(np.float32), (0, 0), 0.8)[..., None]
        return np.clip(picture * (1 - share) + shade * share, 0, 255).astype(np.uint8)

    return draw


def printed_smile(picture, face):
    """A white mask with a printed smile: red lips and teeth."""
    masked = add_mask(picture, face, (235, 235, 235))
    middle, height = mouth_place(face, 0, 0), face.box.height
    centre = tuple(np.rint(middle).astype(int).tolist())
    for share, colour in ((1.0, (190, 30, 50)), (0.75, (250, 250, 245))):
        axes = (round(0.2 * share * height), round(0.08 * share * height))
        cv2.ellipse(masked, centre, axes, 0, 0, 180, colour, cv2.FILLED, cv2.LINE_AA)
    return masked


COVERS = {
    "microphone at one corner": lambda picture, face: add_microphone(picture, face, 0.15, (-0.1, 0.03)),
    "microphone from below": lambda picture, face: add_microphone(picture, face, 0.18, (0.0, 0.12)),
    "fingers": lambda picture, face: add_hand(picture, face, fingers=2),
    "cup": add_cup,
    "finger on the lips": finger_on_the_lips,
    "scarf over the lower lip": scarf,
    "apple": thing((170, 30, 35), 0.06, 0.05, 0.14),
    "medal": thing((210, 170, 70), 0.0, 0.02, 0.1),
    "printed smile": printed_smile,
}
BESIDE = {
    "disc on the cheek": thing((170, 30, 35), 0.3, -0.05, 0.1),
    "microphone below the lips": lambda picture, face: add_microphone(picture, face, 0.14, (0.0, 0.26)),
    "dark picture": lambda picture, face: (picture * 0.2).astype(np.uint8),
    "noise": lambda picture, face: noisy(picture),
}


def noisy(picture):
    noise = np.random.default_rng(2).normal(0, 14, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def face(astronaut):
    (found,) = find_faces(astronaut)
    return found


@pytest.mark.parametrize("name", COVERS)
def test_part_of_the_mouth_is_covered(astronaut, face, name):
    picture = COVERS[name](astronaut, face)
    choice = choose_face(picture)
    assert choice.mouth_covered
    assert partial_cover_logit(picture, choice.landmarks) > COVERED_LOGIT or (
        measure_mouth_cover(picture, choice.landmarks).score > 0.9
    )


@pytest.mark.parametrize("name", BESIDE)
def test_free_mouth_is_not_covered(astronaut, face, name):
    picture = BESIDE[name](astronaut, face)
    choice = choose_face(picture)
    assert partial_cover_logit(picture, choice.landmarks) < COVERED_LOGIT - 1.0
    assert not choice.mouth_covered


def test_cover_is_recognised_in_any_direction(astronaut, face):
    covered = COVERS["apple"](astronaut, face)
    logits = []
    for turns in range(4):
        turned = turn_picture(covered, turns)
        (found,) = find_faces(turned)
        logits.append(partial_cover_logit(turned, found))
    np.testing.assert_allclose(logits, logits[0], atol=0.25 * logits[0])
    assert min(logits) > COVERED_LOGIT


def test_drawing_without_red_lips_is_not_covered_by_its_colours_alone(astronaut, face, monkeypatch):
    """In a drawing the network decides: its lips may be a line in the colour of the skin."""
    colourless = measure_mouth_cover(astronaut, face)
    colourless = replace(colourless, score=0.99)
    monkeypatch.setattr(mouth_state, "measure_mouth_cover", lambda _picture, _face: colourless)
    for drawn in (True, False):
        monkeypatch.setattr(mouth_state, "is_drawing", lambda *_, drawn=drawn: drawn)
        assert choose_face(astronaut).mouth_covered is not drawn
        assert choose_face(COVERS["apple"](astronaut, face)).mouth_covered


def test_uncertain_lips_are_reported_unless_they_are_covered(astronaut, face):
    certain, uncertain = (replace(face, lip_spread=spread) for spread in (0.004, 0.012))
    assert mouth_state.examine_mouth(astronaut, certain) == mouth_state.MouthState(covered=False)
    assert mouth_state.examine_mouth(astronaut, uncertain).notes == (mouth_state.UNCERTAIN_LIPS_NOTE,)
    masked = add_mask(astronaut, face)
    assert mouth_state.examine_mouth(masked, uncertain).notes == (mouth_state.COVERED_MOUTH_NOTE,)
