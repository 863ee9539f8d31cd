"""Blinks of large drawn eyes and beneath glasses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from puppet_portraits import EYES, STILL, eye_middle, shape

from sadtalker_ext.puppet.glasses import is_behind_dark_lens
from sadtalker_ext.puppet.renderer import PortraitRenderer

SCALE = 3
"""The astronaut's face is enlarged, so that eyes have enough pixels."""
SKIN_RGB = (250, 225, 205)
IRIS_RGB = (40, 60, 190)
BLINK = {"blink_left": 1.0, "blink_right": 1.0}


def draw_face(mesh: np.ndarray, height: float) -> np.ndarray:
    """Return flat skin with eyes that are ``height`` times as high as wide."""
    picture = np.full((512 * SCALE, 512 * SCALE, 3), SKIN_RGB, np.uint8)
    for chains in EYES:
        middle, half = eye_middle(mesh, chains)
        cv2.ellipse(picture, middle, (half, int(half * height)), 0, 0, 360, IRIS_RGB, -1)
    return picture


def iris_pixels(picture: np.ndarray) -> int:
    return int((np.abs(picture.astype(int) - IRIS_RGB).max(axis=-1) < 40).sum())


def test_a_blink_covers_large_drawn_eyes(mesh):
    picture = draw_face(mesh, 1.0)
    renderer = PortraitRenderer(picture, mesh)
    assert renderer.rig.left_eye.frame.drawn
    assert renderer.rig.right_eye.frame.drawn
    closed = renderer.render_frame(shape(**BLINK), STILL, STILL)
    # what remains is the lash line: the upper border of the eye, moved down
    assert iris_pixels(closed) < 0.2 * iris_pixels(picture)
    half_closed = renderer.render_frame(shape(blink_left=0.5, blink_right=0.5), STILL, STILL)
    assert iris_pixels(closed) < iris_pixels(half_closed) < iris_pixels(picture)


def test_drawn_eyes_of_usual_height_keep_the_lids_of_the_landmarks(mesh):
    assert not PortraitRenderer(draw_face(mesh, 0.4), mesh).rig.left_eye.frame.drawn


def test_rims_of_glasses_stay_while_the_lids_close(mesh, photograph):
    rims = np.zeros(photograph.shape[:2], np.uint8)
    for chains in EYES:
        (x, y), half = eye_middle(mesh, chains)
        reach = (int(1.7 * half), int(1.2 * half))
        cv2.ellipse(rims, (x, y + int(0.3 * half)), reach, 0, 0, 360, 255, max(half // 6, 2), cv2.LINE_AA)
    share = (rims / 255.0)[..., None]
    picture = (photograph * (1.0 - share) + 20 * share).astype(np.uint8)
    renderer = PortraitRenderer(picture, mesh)
    frame = renderer.render_frame(shape(**BLINK), STILL, STILL)
    moved = np.abs(frame.astype(int) - picture).max(axis=-1)
    assert np.percentile(moved[rims > 200], 99) < 12
    dark = frame.max(axis=-1) < 50
    near = cv2.dilate(rims, np.ones((5, 5), np.uint8)) > 0
    lids = np.zeros_like(rims)
    for chains in EYES:
        (x, y), half = eye_middle(mesh, chains)
        lids[y - half : y - half // 8, x - half : x + half] = 1
    assert not (dark & ~near & (lids > 0)).any()


def test_a_face_without_glasses_has_no_rims(mesh, photograph):
    renderer = PortraitRenderer(photograph, mesh)
    for eye in (renderer.rig.left_eye, renderer.rig.right_eye):
        assert eye.lid_skin.rims is None


@pytest.mark.parametrize("level", [0, 25])
def test_nothing_is_drawn_on_dark_lenses(photograph, mesh, level):
    sunglasses = photograph.copy()
    for chains in EYES:
        middle, half = eye_middle(mesh, chains)
        cv2.ellipse(sunglasses, middle, (int(1.8 * half), int(1.5 * half)), 0, 0, 360, (level,) * 3, -1, cv2.LINE_AA)
    renderer = PortraitRenderer(sunglasses, mesh)
    for state in (BLINK, {"gaze_x": 0.8, "gaze_y": 0.5}, {"brows_up": 1.0}):
        np.testing.assert_array_equal(renderer.render_frame(shape(**state), STILL, STILL), sunglasses)


def test_nothing_is_drawn_on_dark_lenses_that_reflect_lights(photograph, mesh):
    sunglasses = photograph.copy()
    for chains in EYES:
        (x, y), half = eye_middle(mesh, chains)
        cv2.ellipse(sunglasses, (x, y), (int(1.8 * half), int(1.5 * half)), 0, 0, 360, (15, 12, 10), -1, cv2.LINE_AA)
        cv2.ellipse(sunglasses, (x, y - half // 2), (half, half // 4), 0, 0, 360, (200, 210, 220), -1, cv2.LINE_AA)
    renderer = PortraitRenderer(sunglasses, mesh)
    np.testing.assert_array_equal(renderer.render_frame(shape(**BLINK), STILL, STILL), sunglasses)


def test_dark_skin_and_shadows_do_not_hide_eyes(photograph, mesh):
    for picture in ((photograph * 0.15).astype(np.uint8), np.minimum(photograph, 90)):
        rig = PortraitRenderer(picture, mesh).rig
        brightness = rig.left_eye.lens_brightness, rig.right_eye.lens_brightness
        assert not is_behind_dark_lens(*brightness)
        assert not is_behind_dark_lens(*brightness[::-1])


def test_a_lens_that_reflects_light_is_as_dark_as_the_other():
    assert is_behind_dark_lens(0.5, 0.1)
    assert is_behind_dark_lens(0.1, 0.5)
    assert not is_behind_dark_lens(0.9, 0.1)  # an eye patch over the other eye
    assert not is_behind_dark_lens(0.5, 0.5)
