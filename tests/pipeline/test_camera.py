"""Zoomed frames, and sentences about views beyond the limits of an engine."""

import cv2
import numpy as np
import pytest

from sadtalker_ext.engines.protocol import EngineSpec
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.pipeline.camera import view_notes, zoom_frames


def motion_of(pitch_deg, yaw_deg, roll_deg):
    rotation = np.zeros((4, 3), np.float32)
    rotation[2] = np.deg2rad([pitch_deg, yaw_deg, roll_deg])
    return Motion(np.zeros((4, 1), np.float32), rotation, np.zeros((4, 3), np.float32))


def spec(limits):
    return EngineSpec(name="starter", label="", frame_size_px=None, pose_styles=("calm",), view_limits_deg=limits)


def test_a_view_beyond_the_limits_is_said_in_one_sentence():
    assert view_notes(motion_of(-23, 33, 22), spec((20.0, 30.0, 20.0))) == ()
    assert view_notes(motion_of(60, 60, 60), spec(None)) == ()
    (note,) = view_notes(motion_of(-25, 41, 3), spec((20.0, 30.0, 20.0)))
    assert "starter" in note
    assert "pitch of 25 degrees (limit 20), yaw of 41 degrees (limit 30)" in note
    assert "roll" not in note
    assert not note.endswith(".")


@pytest.fixture
def portrait():
    draw = np.random.default_rng(0)
    picture = cv2.resize(draw.integers(0, 255, (12, 10, 3)).astype(np.uint8), (200, 240), interpolation=cv2.INTER_CUBIC)
    return Portrait(picture, Landmarks.from_mesh(place_in_box(FaceBox(40, 60, 60, 80)), "box"))


def test_a_zoom_keeps_the_face_in_place_and_magnifies_about_it(portrait):
    box = portrait.landmarks.box
    centre = np.array([box.x + box.width / 2, box.y + box.height / 2])
    still, near = zoom_frames(iter([portrait.picture] * 2), np.array([1.0, 1.25]), portrait)
    assert still is portrait.picture
    rows, columns = np.mgrid[20:220, 20:180].astype(np.float32)
    x = (centre[0] - 0.5 + (columns - centre[0] + 0.5) / 1.25).astype(np.float32)
    y = (centre[1] - 0.5 + (rows - centre[1] + 0.5) / 1.25).astype(np.float32)
    expected = cv2.remap(portrait.picture, x, y, cv2.INTER_CUBIC)
    assert np.abs(near[20:220, 20:180].astype(int) - expected).mean() < 1.0
    assert near.shape == portrait.picture.shape


def test_frames_that_show_a_part_of_the_picture_are_zoomed_about_their_middle(portrait):
    dot = np.zeros((101, 101, 3), np.uint8)
    dot[48:53, 48:53] = 255
    (near,) = zoom_frames(iter([dot]), np.array([2.0]), portrait)
    rows, columns = np.nonzero(near[..., 0] > 127)
    assert rows.mean() == columns.mean() == pytest.approx(50.0, abs=0.01)
    assert len(rows) == pytest.approx(100, abs=20)
