"""Positions before the head moved: those of mouth and eyes start from the nodes of the head."""

from __future__ import annotations

import numpy as np
import pytest
from puppet_portraits import STILL, shape

from sadtalker_ext.puppet.expression_fields import LOWER, UPPER
from sadtalker_ext.puppet.pose import Pose
from sadtalker_ext.puppet.renderer import PortraitRenderer
from sadtalker_ext.puppet.rig import HEAD_MARGIN_CELLS
from sadtalker_ext.puppet.warp import Grid

TURNS = [(0.2, 0.0, 0.0), (-0.2, 0.25, 0.0), (0.1, -0.25, 0.15), (0.0, 0.0, -0.25)]
WORSE_PX = 0.05
"""Positions on the grid are rounded to 1/32 of a cell of 5 pixels, 0.16 pixels, of which the displacement changes a
share."""


def poses(renderer: PortraitRenderer, turn: tuple[float, float, float]) -> tuple[Pose, Pose]:
    """Return the same pose twice; the second has seen the nodes of the head."""
    motion = (shape(jaw_open=0.6, smile=0.5), np.array(turn, np.float32), np.float32([0.03, -0.02, 0.05]))
    exact, interpolated = Pose(renderer.rig, *motion), Pose(renderer.rig, *motion)
    grid = renderer.rig.head_grid
    interpolated.unpose_nodes(grid.nodes(HEAD_MARGIN_CELLS), grid.widened(HEAD_MARGIN_CELLS))
    return exact, interpolated


@pytest.mark.parametrize("turn", TURNS)
def test_points_of_mouth_and_eyes_move_to_where_they_are_asked_for(astronaut, turn):
    """As exactly as if every point were solved for without the nodes."""
    exact, interpolated = poses(astronaut, turn)
    boxes = [exact.mouth_box(), *(exact.eye_box(eye, state) for eye, state in exact.eye_states())]
    for box in boxes:
        points = Grid.cover(box, 40).nodes()
        errors = [np.abs(pose.head.forward(pose.unpose(points)) - points) for pose in (exact, interpolated)]
        assert np.abs(points - exact.unpose(points)).max() > 1.0
        assert errors[1].max() < errors[0].max() + WORSE_PX
        assert errors[1].mean() < 0.02


@pytest.mark.parametrize("turn", TURNS)
def test_skin_below_the_mouth_line_is_that_of_the_lower_layer(astronaut, turn):
    pose, _ = poses(astronaut, turn)
    unposed = pose.unpose(astronaut.rig.head_grid.nodes(HEAD_MARGIN_CELLS))
    window = astronaut.rig.face_grid.window_of(unposed)
    upper, lower = (pose.skin[layer].backward(unposed[window]) for layer in (UPPER, LOWER))
    mouth = astronaut.rig.face.mouth
    t, v = mouth.axes.local(upper.astype(np.float64))
    expected = np.where((v < mouth.upper(t))[..., None], upper, lower)
    np.testing.assert_array_equal(pose.source_points(unposed)[window], expected)


def test_a_still_head_needs_no_positions(astronaut):
    pose = Pose(astronaut.rig, shape(jaw_open=0.6), STILL, STILL)
    nodes = astronaut.rig.head_grid.nodes()
    assert pose.unpose_nodes(nodes, astronaut.rig.head_grid) is nodes
    assert pose.unpose(nodes) is nodes
