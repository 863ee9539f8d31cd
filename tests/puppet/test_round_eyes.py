"""Large round eyes and dark eyes of dolls and animals: their outlines are found, and a blink covers them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from puppet_portraits import EYES, STILL, eye_middle, shape

from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.lid_outline import refine_lids
from sadtalker_ext.puppet.renderer import PortraitRenderer

SCALE = 2
IRIS_RGB = (40, 160, 60)
WHITE_RGB = (236, 240, 238)
DARK_RGB = (24, 14, 12)
EYE_RADIUS = 1.35
IRIS_RADIUS = 1.0
BLINK = shape(blink_left=1.0, blink_right=1.0)


@pytest.fixture(scope="module")
def doll(photograph, mesh) -> np.ndarray:
    """The photograph with eyes whose whites are circles with a dark rim, far beyond the landmarks."""
    drawn = photograph.copy()
    for chains in EYES:
        middle, half = eye_middle(mesh, chains)
        for radius, colour in (
            (EYE_RADIUS + 0.15, DARK_RGB),
            (EYE_RADIUS, WHITE_RGB),
            (IRIS_RADIUS, IRIS_RGB),
            (0.5, DARK_RGB),
        ):
            cv2.circle(drawn, middle, round(radius * half), colour, -1, cv2.LINE_AA)
    return drawn


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=-1) < 40).sum())


def test_the_lids_are_at_the_rim_of_round_eyes(doll, mesh):
    before = measure_face(mesh)
    after = refine_lids(doll, before)
    for eye, landmarks, chains in (
        (after.left_eye, before.left_eye, EYES[0]),
        (after.right_eye, before.right_eye, EYES[1]),
    ):
        radius = EYE_RADIUS * eye_middle(mesh, chains)[1]
        assert landmarks.opening_px < 0.6 * radius
        assert eye.half_px == pytest.approx(radius, rel=0.15)
        assert eye.opening_px / 2.0 == pytest.approx(radius, rel=0.15)
        assert min(eye.half_px, eye.opening_px / 2.0) > 0.98 * radius


def test_a_blink_covers_round_eyes(doll, photograph, mesh):
    closed = PortraitRenderer(doll, mesh).render_frame(BLINK, STILL, STILL)
    for colour in (IRIS_RGB, WHITE_RGB):
        added, left = (near(picture, colour) - near(photograph, colour) for picture in (doll, closed))
        assert added > 1000
        assert left < 0.02 * added


def test_the_rim_of_a_round_eye_is_no_rim_of_glasses(doll, mesh):
    rig = PortraitRenderer(doll, mesh).rig
    assert rig.left_eye.lid_skin.rims is None
    assert rig.right_eye.lid_skin.rims is None


def test_a_blink_covers_dark_irises_that_fill_the_eye(photograph, mesh):
    picture = photograph.copy()
    for chains in EYES:
        (x, y), half = eye_middle(mesh, chains)
        size = (round(0.85 * half), round(0.5 * half))
        cv2.ellipse(picture, (x, y + round(0.1 * half)), size, 0, 0, 360, DARK_RGB, -1, cv2.LINE_AA)
    face = measure_face(mesh)
    refined = refine_lids(picture, face)
    closed = PortraitRenderer(picture, mesh).render_frame(BLINK, STILL, STILL)
    for before, after, chains in (
        (face.left_eye, refined.left_eye, EYES[0]),
        (face.right_eye, refined.right_eye, EYES[1]),
    ):
        (x, y), half = eye_middle(mesh, chains)
        lid = after.lower(np.zeros(1))[0] - before.lower(np.zeros(1))[0]
        assert lid > 0.05 * half
        below = closed[y + round(0.25 * half) : y + round(0.58 * half), x].astype(int)
        dark = int((np.abs(below - DARK_RGB).max(axis=-1) < 40).sum())
        assert dark < 0.35 * len(below)
