"""Turns by 90 degrees: pictures against numpy, landmarks against the pixels that they mark."""

import math

import numpy as np
import pytest

from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.quarter_turns import turn_landmarks, turn_picture, upright_turns

HEIGHT, WIDTH = 40, 60


def leaning(roll_deg):
    mesh = place_in_box(FaceBox(10, 5, 30, 32))
    angle = math.radians(roll_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    mesh[:, :2] = (mesh[:, :2] - 25) @ turn.T + 25
    return Landmarks.from_mesh(mesh, "box")


@pytest.mark.parametrize("turns", [-3, -1, 0, 1, 2, 3, 4])
def test_landmarks_follow_the_pixels(turns):
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    mesh = np.zeros((478, 3), np.float32)
    mesh[:, :2] = (41.5, 7.5)
    mesh[0, :2] = (3.5, 30.5)
    picture[7, 41] = 255
    picture[30, 3] = 128
    turned = turn_picture(picture, turns)
    points = turn_landmarks(Landmarks.from_mesh(mesh, "box"), picture.shape[:2], turns).mesh
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, np.rot90(picture, turns))
    for index, value in ((1, 255), (0, 128)):
        x, y = np.floor(points[index, :2]).astype(int)
        assert turned[y, x, 0] == value


@pytest.mark.parametrize(
    ("roll_deg", "turns"),
    [(0, 0), (40, 0), (-40, 0), (50, 1), (90, 1), (140, 2), (180, 2), (-140, 2), (-90, 3), (-50, 3)],
)
def test_a_face_leans_at_most_45_degrees_after_the_turns(roll_deg, turns):
    face = leaning(roll_deg)
    assert upright_turns(face) == turns
    assert upright_turns(turn_landmarks(face, (HEIGHT, WIDTH), turns)) == 0
