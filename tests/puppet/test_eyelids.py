"""Closed eyelids: they cover the whole eye, and look like the skin and the edges of the portrait."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from puppet_portraits import EYES, STILL, eye_middle, picture_of, shape

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.lash_line import edge_blur_px, measure_lash_line
from sadtalker_ext.puppet.lid_outline import refine_lids
from sadtalker_ext.puppet.renderer import PortraitRenderer

SCALE = 2
IRIS_RGB = (30, 90, 230)
WHITE_RGB = (238, 240, 242)
BLINK = shape(blink_left=1.0, blink_right=1.0)


def with_large_eyes(picture: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """Return the picture with eyes whose whites reach beyond the landmarks at the corners and below."""
    drawn = picture.copy()
    for chains in EYES:
        (x, y), half = eye_middle(mesh, chains)
        middle = (x, y + round(0.12 * half))
        cv2.ellipse(drawn, middle, (round(1.2 * half), round(0.55 * half)), 0, 0, 360, WHITE_RGB, -1, cv2.LINE_AA)
        cv2.circle(drawn, middle, round(0.5 * half), IRIS_RGB, -1, cv2.LINE_AA)
    return drawn


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=-1) < 40).sum())


def test_a_blink_covers_eyes_that_are_larger_than_their_landmarks(photograph, mesh):
    picture = with_large_eyes(photograph, mesh)
    closed = PortraitRenderer(picture, mesh).render_frame(BLINK, STILL, STILL)
    added = [near(picture, colour) - near(photograph, colour) for colour in (IRIS_RGB, WHITE_RGB)]
    left = [near(closed, colour) - near(photograph, colour) for colour in (IRIS_RGB, WHITE_RGB)]
    assert left[0] < 0.02 * added[0]
    assert left[1] < 0.12 * added[1]


def test_the_lower_lid_follows_a_narrow_strip_of_white_below_the_landmarks(mesh):
    large = mesh * np.float32(2.0)
    picture = np.array(cv2.resize(picture_of("astronaut"), None, fx=2 * SCALE, fy=2 * SCALE))
    face = measure_face(large)
    eyes = ((face.left_eye, EYES[0]), (face.right_eye, EYES[1]))
    for eye, (upper, lower) in eyes:
        lower_lid = large[list(lower[::-1]), :2] + np.array([0.0, 0.07 * eye.half_px])
        strip = np.concatenate([large[list(upper), :2], lower_lid])
        cv2.fillPoly(picture, [np.rint(strip).astype(np.int32)], WHITE_RGB, cv2.LINE_AA)
        middle = eye.axes.pixels(np.array([eye.iris.t_px]), np.array([eye.iris.v_px]))[0]
        cv2.circle(picture, tuple(np.rint(middle).astype(int).tolist()), round(0.3 * eye.half_px), IRIS_RGB, -1)
    refined = refine_lids(picture, face)
    for (before, _), after in zip(eyes, (refined.left_eye, refined.right_eye), strict=True):
        t = np.linspace(-0.5, 0.5, 21) * before.half_px
        assert np.median(after.lower(t) - before.lower(t)) / before.half_px == pytest.approx(0.07, abs=0.06)


def test_lids_of_a_photograph_stay_near_the_landmarks(photograph, mesh):
    face = measure_face(mesh)
    refined = refine_lids(photograph, face)
    for before, after in ((face.left_eye, refined.left_eye), (face.right_eye, refined.right_eye)):
        assert np.abs(after.lower.values - before.lower.values).max() < 0.15 * before.half_px
        np.testing.assert_array_equal(after.upper.values, before.upper.values)


def test_dark_make_up_below_an_eye_is_no_eye(photograph, mesh):
    picture = photograph.copy()
    for upper, lower in EYES:
        half = eye_middle(mesh, (upper, lower))[1]
        line = np.rint(mesh[list(lower), :2] + [0, 0.12 * half]).astype(np.int32)
        cv2.polylines(picture, [line], False, (35, 25, 22), round(0.3 * half), cv2.LINE_AA)
    face = measure_face(mesh)
    refined = refine_lids(picture, face)
    for before, after in ((face.left_eye, refined.left_eye), (face.right_eye, refined.right_eye)):
        np.testing.assert_array_equal(after.lower.values, before.lower.values)


def test_lids_are_found_in_pictures_of_one_colour(mesh):
    face = measure_face(mesh)
    blank = np.full((512 * SCALE, 512 * SCALE, 3), 128, np.uint8)
    assert refine_lids(blank, face).left_eye.opening_px == pytest.approx(face.left_eye.opening_px, rel=1.0)


@pytest.mark.parametrize("opening", [0.0, 0.1, 0.3, 0.5, 0.7])
def test_eyes_that_are_nearly_closed_have_lids_too(photograph, mesh, opening):
    narrow = mesh.copy()
    for upper, lower in EYES:
        lids = mesh[list(upper)], mesh[list(lower)]
        middle = (lids[0] + lids[1]) / 2.0
        for chain, lid in zip((upper, lower), lids, strict=True):
            narrow[list(chain)] = middle + opening * (lid - middle)
    for x, y in ((0, 0), (500, 0), (0, 400)):  # eyes at the border and beyond it too
        renderer = PortraitRenderer(photograph[y:, x:], narrow - np.float32([x, y, 0.0]))
        with np.errstate(invalid="raise", divide="raise"):
            assert renderer.render_frame(BLINK, STILL, STILL).shape == photograph[y:, x:].shape


def test_the_lid_beside_a_dark_background_has_the_colour_of_skin(photograph, mesh):
    """Of a turned face, the far eye is at the outline; what is behind it does not colour the lid."""
    (x, y), half = eye_middle(mesh, EYES[1])
    picture = photograph.copy()
    picture[:, : round(x - 0.9 * half)] = (8, 10, 20)
    lids = []
    for source in (photograph, picture):
        frame = PortraitRenderer(source, mesh).render_frame(BLINK, STILL, STILL)
        lids.append(frame[y - round(0.15 * half) : y, x - round(0.5 * half) : x + round(0.5 * half)].astype(float))
    assert np.abs(lids[0].mean(axis=(0, 1)) - lids[1].mean(axis=(0, 1))).max() < 4


def test_lids_have_the_grain_of_the_skin(photograph, mesh):
    noise = np.random.default_rng(3).normal(0.0, 9.0, photograph.shape[:2])
    picture = np.clip(photograph + noise[..., None], 0, 255).astype(np.uint8)
    frame = PortraitRenderer(picture, mesh).render_frame(BLINK, STILL, STILL)
    for chains in EYES:
        (x, y), half = eye_middle(mesh, chains)
        lid = frame[y - round(0.3 * half) : y, x - round(0.4 * half) : x + round(0.4 * half), 1].astype(np.float32)
        fine = (lid - cv2.GaussianBlur(lid, (0, 0), 2.0))[: -round(0.15 * half)]  # above the lashes
        assert 0.35 < fine.std() / 9.0 < 1.2


def test_edges_are_measured_as_they_were_blurred(photograph, mesh):
    frame = measure_face(mesh).left_eye
    sharp = with_large_eyes(photograph, mesh)
    assert edge_blur_px(sharp, frame) < 0.5
    for sigma in (2.0, 3.0):
        assert edge_blur_px(cv2.GaussianBlur(sharp, (0, 0), sigma), frame) == pytest.approx(sigma, rel=0.35)


def test_the_lash_line_of_a_blurred_portrait_is_wider_and_lighter(photograph, mesh):
    frame = measure_face(mesh).left_eye
    lines = [measure_lash_line(p, frame) for p in (photograph, cv2.GaussianBlur(photograph, (0, 0), 3.0))]
    assert lines[1].thickness_px > 1.4 * lines[0].thickness_px
    assert lines[1].shade * lines[1].thickness_px == pytest.approx(lines[0].shade * lines[0].thickness_px)


def test_coloured_rims_of_a_drawing_stay_while_the_lids_close(mesh):
    picture = np.full((512 * SCALE, 512 * SCALE, 3), (250, 225, 205), np.uint8)
    rims = np.zeros(picture.shape[:2], np.uint8)
    for chains in EYES:
        (x, y), half = eye_middle(mesh, chains)
        cv2.ellipse(picture, (x, y), (round(half), round(0.45 * half)), 0, 0, 360, IRIS_RGB, -1, cv2.LINE_AA)
        top = y - round(1.05 * half)
        cv2.rectangle(rims, (x - round(1.5 * half), top), (x + round(1.5 * half), y + round(half)), 255, 3)
    picture[rims > 0] = (240, 90, 80)
    renderer = PortraitRenderer(picture, mesh)
    frame = renderer.render_frame(BLINK, STILL, STILL)
    assert near(frame, IRIS_RGB) < 0.15 * near(picture, IRIS_RGB)
    moved = np.abs(frame.astype(int) - picture).max(axis=-1)
    assert moved[rims > 0].max() < 20
    assert near(frame, (240, 90, 80)) < 1.05 * near(picture, (240, 90, 80))


def test_the_lash_line_of_a_drawing_moves_as_a_whole(mesh):
    """Lash lines of drawings reach different distances above the landmarks; nothing of them stays at the open lid."""
    ink = (60, 30, 40)
    picture = np.full((512 * SCALE, 512 * SCALE, 3), (250, 225, 205), np.uint8)
    for upper, lower in EYES:
        outline = np.concatenate([mesh[list(upper), :2], mesh[list(lower), :2][::-1]])
        cv2.fillPoly(picture, [np.rint(outline).astype(np.int32)], IRIS_RGB, cv2.LINE_AA)
        for rise in range(5):
            line = np.rint(mesh[list(upper[1:-1]), :2] - [0, rise]).astype(np.int32)
            cv2.polylines(picture, [line], False, ink, 2, cv2.LINE_AA)
    frame = PortraitRenderer(picture, mesh).render_frame(BLINK, STILL, STILL)
    for upper, lower in EYES:
        (x, top), (_, bottom) = mesh[upper[topo.MIDDLE - 1], :2], mesh[lower[topo.MIDDLE - 1], :2]
        column = frame[round(top) - 12 : round(bottom) + 6, round(x)].astype(int)
        dark = np.flatnonzero(np.abs(column - ink).max(axis=-1) < 60)
        assert len(dark) >= 4
        assert dark.min() > 12


def test_the_lid_of_a_drawing_is_dark_in_the_shade_of_hair(mesh):
    skin, shade = (250, 225, 205), (120, 78, 66)
    picture = np.full((512 * SCALE, 512 * SCALE, 3), skin, np.uint8)
    for chains in EYES:
        (x, y), half = eye_middle(mesh, chains)
        if chains is EYES[1]:
            corner = (x - round(2.5 * half), y - 3 * half), (x + round(1.6 * half), y + round(1.6 * half))
            cv2.rectangle(picture, *corner, shade, -1)
        cv2.ellipse(picture, (x, y), (round(half), round(0.45 * half)), 0, 0, 360, IRIS_RGB, -1, cv2.LINE_AA)
    frame = PortraitRenderer(picture, mesh).render_frame(BLINK, STILL, STILL)
    for chains, expected in zip(EYES, (skin, shade), strict=True):
        (x, y), half = eye_middle(mesh, chains)
        lid = frame[y - round(0.35 * half) : y, x - round(0.4 * half) : x + round(0.4 * half)]
        assert np.abs(np.median(lid, axis=(0, 1)) - expected).max() < 25
