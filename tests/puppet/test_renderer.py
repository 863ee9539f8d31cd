"""Properties of rendered frames that need no face tracker."""

from __future__ import annotations

import numpy as np
import pytest
from puppet_portraits import STILL, mesh_of, picture_of, shape

from sadtalker_ext.puppet.basis import SHAPE_NAMES, SHAPES
from sadtalker_ext.puppet.renderer import PortraitRenderer

NEUTRAL = shape()


def test_a_frame_at_rest_is_the_source_picture(astronaut):
    np.testing.assert_array_equal(astronaut.render_frame(NEUTRAL, STILL, STILL), picture_of("astronaut"))


@pytest.mark.parametrize("name", SHAPE_NAMES)
def test_every_shape_changes_the_frame_continuously_from_rest(astronaut, name):
    source = picture_of("astronaut").astype(float)
    high = next(s.high for s in SHAPES if s.name == name)
    change = [
        np.abs(astronaut.render_frame(shape(**{name: share * high}), STILL, STILL) - source).sum()
        for share in (0.02, 0.5, 1.0)
    ]
    assert change[2] > 2000
    assert change[0] < 0.2 * change[2]
    assert change[1] > change[0]


@pytest.mark.parametrize("turn", [(0.2, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, 0.2)])
def test_far_pixels_never_change(astronaut, turn):
    source = picture_of("astronaut")
    frame = astronaut.render_frame(shape(jaw_open=1.0), np.array(turn, np.float32), np.float32([0.05, 0.05, 0.05]))
    mesh = mesh_of("astronaut")
    middle = mesh[:468, :2].mean(0)
    height = np.ptp(mesh[:468, 1])
    rows, columns = np.mgrid[: source.shape[0], : source.shape[1]]
    far = np.hypot(columns - middle[0], rows - middle[1]) > 2.5 * height
    assert far.sum() > 10_000
    np.testing.assert_array_equal(frame[far], source[far])
    assert (frame != source).any()


def test_rotation_beyond_the_range_approaches_a_limit(astronaut):
    frames = [astronaut.render_frame(NEUTRAL, np.float32([0, yaw, 0]), STILL).astype(float) for yaw in (0.35, 1.0, 2.0)]
    assert np.abs(frames[1] - frames[0]).mean() < 0.5
    np.testing.assert_array_equal(frames[1], frames[2])


def test_coefficients_beyond_the_range_approach_a_limit(astronaut):
    inside = astronaut.render_frame(shape(jaw_open=1.3), STILL, STILL).astype(float)
    outside = astronaut.render_frame(shape(jaw_open=50.0), STILL, STILL).astype(float)
    assert np.abs(inside - outside).mean() < 0.2


def test_small_steps_of_motion_change_frames_by_small_steps(astronaut):
    """No popping: the change per step stays near the median while everything moves at once."""
    steps = np.linspace(0.0, 1.0, 41)
    previous, changes = None, []
    for s in steps:
        expression = shape(jaw_open=0.5 * s, blink_left=s, blink_right=s, pucker=0.4 * s, brows_up=s, gaze_x=0.5 * s)
        frame = astronaut.render_frame(expression, np.float32([0.1, -0.1, 0.05]) * s, STILL).astype(float)
        if previous is not None:
            changes.append(np.abs(frame - previous).mean())
        previous = frame
    assert max(changes) < 3.0 * np.median(changes)


def test_frames_do_not_depend_on_earlier_frames(astronaut):
    motion = (shape(jaw_open=0.4, smile=0.3), np.float32([0.05, 0.1, 0.0]), STILL)
    first = astronaut.render_frame(*motion)
    astronaut.render_frame(shape(jaw_open=1.0), np.float32([0, -0.2, 0]), STILL)
    np.testing.assert_array_equal(astronaut.render_frame(*motion), first)


def test_the_background_stays_with_a_person_mask():
    picture = picture_of("astronaut")
    mesh = mesh_of("astronaut")
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    middle, height = mesh[:468, :2].mean(0), np.ptp(mesh[:468, 1])
    head = np.hypot((columns - middle[0]) / (0.95 * height), (rows - middle[1] + 10) / (1.1 * height)) < 1.0
    body = (rows > middle[1] + 0.5 * height) & (np.abs(columns - middle[0]) < 2.5 * height)
    person = (head | body).astype(np.float32)
    renderer = PortraitRenderer(picture, mesh, person)
    frame = renderer.render_frame(NEUTRAL, np.float32([0.0, 0.1, 0.1]), STILL)
    away = np.hypot((columns - middle[0]) / (1.35 * height), (rows - middle[1] + 10) / (1.5 * height)) > 1.0
    away &= ~body & (rows < middle[1])
    np.testing.assert_array_equal(frame[away], picture[away])
    assert (frame[head] != picture[head]).mean() > 0.3


@pytest.mark.parametrize("size", [(65, 64), (101, 333)])
def test_tiny_and_cropped_pictures_can_be_rendered(size):
    import cv2

    height, width = size
    mesh = mesh_of("astronaut")
    low, high = mesh[:468, :2].min(0), mesh[:468, :2].max(0)
    scale = 0.9 * height / (high[1] - low[1])
    move = np.float32([[scale, 0, width / 2 - scale * (low[0] + high[0]) / 2], [0, scale, 3 - scale * low[1]]])
    small = cv2.warpAffine(picture_of("astronaut"), move, (width, height), flags=cv2.INTER_AREA)
    points = mesh.copy()
    points[:, :2] = mesh[:, :2] @ move[:, :2].T + move[:, 2]
    points[:, 2] *= scale
    renderer = PortraitRenderer(small, points)
    np.testing.assert_array_equal(renderer.render_frame(NEUTRAL, STILL, STILL), small)
    frame = renderer.render_frame(shape(jaw_open=1.0, blink_left=1.0), np.float32([0.1, 0.2, 0.2]), STILL)
    assert frame.shape == small.shape
    assert (frame != small).any()


def test_the_torch_backend_renders_the_same_frames():
    import torch

    from sadtalker_ext.puppet.imaging_torch import TorchImaging

    picture, mesh = picture_of("astronaut"), mesh_of("astronaut")
    person = np.zeros(picture.shape[:2], np.float32)
    person[:, 100:350] = 1.0
    numpy_renderer = PortraitRenderer(picture, mesh, person)
    torch_renderer = PortraitRenderer(picture, mesh, person, TorchImaging(torch.device("cpu")))
    for expression, turn in (
        (shape(jaw_open=0.6, lip_tuck=0.3), (0.1, 0.15, -0.1)),
        (shape(blink_left=1.0, blink_right=0.5, gaze_x=0.5, smile=1.0), (0.0, 0.0, 0.0)),
    ):
        pose = (expression, np.float32(turn), STILL)
        difference = np.abs(
            numpy_renderer.render_frame(*pose).astype(int) - torch_renderer.render_frame(*pose).astype(int)
        )
        assert difference.max() <= 4
        assert difference.mean() < 0.05
