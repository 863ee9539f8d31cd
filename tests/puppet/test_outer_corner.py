"""Outer corners of closing eyes move down, as those of real speakers, and leave no lashes above the closed lids."""

from __future__ import annotations

import numpy as np
from puppet_portraits import STILL, mesh_of, picture_of, shape

from sadtalker_ext.faces.find import track_faces
from sadtalker_ext.puppet.eyelids import Lids
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.outer_corner import lower_outer_corner
from sadtalker_ext.puppet.renderer import PortraitRenderer

OUTER, INNER = (33, 263), (133, 362)
BLINK = shape(blink_left=1.0, blink_right=1.0)


def test_tracked_outer_corners_move_down_as_in_real_blinks():
    renderer = PortraitRenderer(picture_of("astronaut"), mesh_of("astronaut"))
    frames = [renderer.render_frame(motion, STILL, STILL) for motion in (shape(), BLINK)]
    rest, closed = (found.mesh[:, :2].astype(float) for found in track_faces(frames))
    between = rest[OUTER[1]] - rest[OUTER[0]]
    down = np.array([-between[1], between[0]]) / (between @ between)
    outer, inner = (float(((closed - rest)[list(corners)] @ down).mean()) for corners in (OUTER, INNER))
    assert 0.01 < outer < 0.04  # 26 blinks of real speakers: 0.025
    assert outer > inner + 0.01


def test_outer_corners_are_those_far_from_the_nose():
    face = measure_face(mesh_of("astronaut"))
    assert face.left_eye.outer == 1.0
    assert face.right_eye.outer == -1.0


def test_the_lids_move_together_and_only_towards_the_outer_corner():
    places = np.linspace(-1.35, 1.35, 109)
    lids = Lids(*(np.full_like(places, height) for height in (-5.0, 5.0, 2.0, 3.0)))
    moved = lower_outer_corner(lids, places, 10.0, np)
    drop = moved.upper_now - lids.upper_now
    np.testing.assert_allclose(moved.lower_now - moved.upper_now, 1.0)
    assert not drop[(places <= 0.0) | (places > 1.33)].any()
    assert (np.diff(drop[(places >= 0.0) & (places <= 1.0)]) >= 0.0).all()


def test_an_upper_lid_without_opening_stays():
    heights = np.zeros(3)
    lids = Lids(heights, heights, heights, heights)
    moved = lower_outer_corner(lids, np.array([0.5, 1.0, 1.2]), 0.0, np)
    assert not moved.upper_now.any()
