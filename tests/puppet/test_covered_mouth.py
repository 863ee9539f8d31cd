"""With something in front of the mouth, head, brows and eyes move, and nothing is drawn over the cover."""

from __future__ import annotations

import numpy as np
import pytest
from puppet_portraits import STILL, mesh_of, picture_of, shape

from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.puppet.renderer import PortraitRenderer

SPEAKING = {"jaw_open": 0.8, "pucker": 0.4, "upper_lip_raise": 0.5, "smile": 0.6, "mouth_neutral": 1.0}
TURN = np.float32([0.06, 0.1, 0.03])
CLOTH_RGB = (60, 90, 200)


@pytest.fixture(scope="module")
def masked() -> np.ndarray:
    """Return the astronaut with a plain cloth from the nose to below the chin."""
    picture = picture_of("astronaut").copy()
    mesh = mesh_of("astronaut")
    left, right = np.rint(mesh[[234, 454], 0]).astype(int)
    top, bottom = np.rint(mesh[[2, 152], 1]).astype(int)
    picture[top : bottom + 15, left:right] = CLOTH_RGB
    return picture


@pytest.fixture(scope="module")
def covered(masked: np.ndarray) -> PortraitRenderer:
    return PortraitRenderer(masked, mesh_of("astronaut"), mouth_covered=True)


def cloth_of(frame: np.ndarray) -> np.ndarray:
    """Return the pixels (h, w, 3) around the mouth, all of which are cloth in the masked picture."""
    corners = np.rint(mesh_of("astronaut")[[61, 291, 0, 17], :2]).astype(int)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    return frame[top : bottom + 1, left : right + 1].astype(int)


@pytest.mark.parametrize("name", [*MOUTH_SHAPES, "mouth_neutral"])
def test_jaw_and_lips_do_not_move(covered, masked, name):
    np.testing.assert_array_equal(covered.render_frame(shape(**{name: 1.0}), STILL, STILL), masked)


def test_nothing_is_drawn_over_the_cover_while_the_head_moves(covered, masked):
    frame = covered.render_frame(shape(**SPEAKING), TURN, STILL)
    assert np.abs(cloth_of(frame) - CLOTH_RGB).max() <= 2
    uncovered = PortraitRenderer(masked, mesh_of("astronaut")).render_frame(shape(**SPEAKING), TURN, STILL)
    assert np.abs(cloth_of(uncovered) - CLOTH_RGB).max() > 60


@pytest.mark.parametrize("expression", [{"blink_left": 1.0, "blink_right": 1.0}, {"brows_up": 1.0}, {"gaze_x": 0.8}])
def test_eyes_and_brows_move_as_without_a_cover(covered, masked, expression):
    frame = covered.render_frame(shape(**expression, **SPEAKING), STILL, STILL)
    assert (frame != masked).any()
    uncovered = PortraitRenderer(masked, mesh_of("astronaut")).render_frame(shape(**expression), STILL, STILL)
    np.testing.assert_array_equal(frame, uncovered)


def test_points_of_the_lower_face_follow_the_head_only(covered):
    lip = mesh_of("astronaut")[[17], :2]
    speaking, silent = (
        covered.place_points(lip, np.array([True]), (shape(**values), TURN, STILL)) for values in (SPEAKING, {})
    )
    np.testing.assert_array_equal(speaking, silent)
    assert np.abs(speaking - lip).max() > 1.0
