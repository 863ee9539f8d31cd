"""Displacement fields: opening and closing the mouth, and both layers joining beyond the mouth corners."""

from __future__ import annotations

import numpy as np
import pytest
from puppet_portraits import mesh_of, shape

from sadtalker_ext.puppet.basis import SHAPE_INDEX, SHAPES
from sadtalker_ext.puppet.expression_fields import (
    FIELD_NAMES,
    JAW_DROP,
    LOWER,
    MOUTH_RAISE,
    UPPER,
    build_fields,
    clamp_expression,
    field_weights,
)
from sadtalker_ext.puppet.face_geometry import measure_face


@pytest.fixture(scope="module")
def face():
    return measure_face(mesh_of("astronaut"))


def seam_points(face, u: np.ndarray, layer: int) -> np.ndarray:
    mouth = face.mouth
    t = np.where(u < 0, u * mouth.left_px, u * mouth.right_px)
    v = (mouth.lower if layer == LOWER else mouth.upper)(t)
    return (mouth.axes.origin + t[:, None] * mouth.axes.along + v[:, None] * mouth.axes.down)[None]


def travel(face, expression: np.ndarray, layer: int, u: float) -> np.ndarray:
    """Return the displacement (along, down) in face heights of one lip edge at u."""
    unit = face.height_px
    scalars = field_weights(expression[None].astype(float), face.mouth.gap_px / unit, 0.05)[0]
    fields = build_fields(face, seam_points(face, np.array([u]), layer))[layer, :, 0, 0]
    moved = scalars @ fields / unit
    return np.array([moved @ face.mouth.axes.along, moved @ face.mouth.axes.down])


def test_the_jaw_lowers_the_lower_lip_by_jaw_drop_and_not_the_upper_lip(face):
    opened = shape(jaw_open=1.0)
    assert travel(face, opened, LOWER, 0.0)[1] == pytest.approx(JAW_DROP, rel=0.02)
    assert abs(travel(face, opened, UPPER, 0.0)[1]) < 0.02 * JAW_DROP


@pytest.mark.parametrize("u", [-0.8, -0.5, 0.5, 0.8])
def test_the_jaw_opens_the_mouth_like_an_ellipse(face, u):
    """Real wide mouths have round sides; a parabola has straight ones."""
    opened = shape(jaw_open=1.0)
    parted = 0.97
    heights = [travel(face, opened, LOWER, at)[1] - travel(face, opened, UPPER, at)[1] for at in (0.0, parted * u)]
    assert heights[1] / heights[0] == pytest.approx(np.sqrt(1.0 - u * u), abs=0.06)


def test_the_corners_of_a_widest_mouth_come_in_and_are_near_half_its_height(face):
    """Real ones are at .28 to .56 of the opening below the upper lip (ten speakers); in speech they stay wide."""
    for jaw, shares, narrowing in ((0.3, (0.33, 0.40), 0.012), (1.0, (0.42, 0.50), 0.3)):
        corner, middle = (travel(face, shape(jaw_open=jaw), LOWER, u) for u in (1.0, 0.0))
        assert shares[0] < corner[1] / middle[1] < shares[1]
        assert 0.0 < -corner[0] * face.height_px / face.mouth.right_px < narrowing
    narrowed = -travel(face, shape(jaw_open=1.0), LOWER, 1.0)[0] * face.height_px / face.mouth.right_px
    assert narrowed > 0.1


@pytest.mark.parametrize("layer", [UPPER, LOWER])
def test_lips_do_not_fold_when_the_jaw_is_at_its_lowest(face, layer):
    u = np.linspace(-2.0, 2.0, 401)
    points = seam_points(face, u, layer)
    scalars = field_weights(shape(jaw_open=1.0)[None].astype(float), 0.0, 0.05)[0]
    moved = points + np.einsum("j,jrcd->rcd", scalars, build_fields(face, points)[layer])
    assert np.diff(face.mouth.axes.local(moved)[0]).min() > 0.0


@pytest.mark.parametrize("jaw", [0.0, 0.2, 0.6])
def test_closed_lips_meet_at_any_jaw_opening(face, jaw):
    expression = shape(jaw_open=jaw, lips_closed=1.0)
    source_gap = face.mouth.gap_px / face.height_px
    gap = source_gap + travel(face, expression, LOWER, 0.0)[1] - travel(face, expression, UPPER, 0.0)[1]
    assert -0.012 < gap < 0.002


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_both_layers_agree_beyond_the_mouth_corners(face, name):
    index = FIELD_NAMES.index(name)
    for u in (-1.4, -1.0, 1.0, 1.4):
        fields = build_fields(face, seam_points(face, np.array([u]), UPPER))[:, index, 0, 0]
        np.testing.assert_allclose(fields[UPPER], fields[LOWER], atol=1e-3 * face.height_px)


@pytest.mark.parametrize("raised", [-0.3, 1.0])
def test_a_rising_mouth_takes_lips_and_chin_along_but_not_the_nose(face, raised):
    expression = shape(mouth_raise=raised)
    upper, lower = (travel(face, expression, layer, 0.0) for layer in (UPPER, LOWER))
    assert 0.7 < -upper[1] / (raised * MOUTH_RAISE) < -lower[1] / (raised * MOUTH_RAISE) <= 1.0
    assert max(abs(upper[0]), abs(lower[0])) < 1e-6
    field = FIELD_NAMES.index("mouth_raise")
    below = face.mouth.axes.pixels(np.zeros(2), np.array([0.1, -0.22]) * face.height_px)
    rise = -build_fields(face, below[None])[LOWER, field, 0] @ face.mouth.axes.down / face.height_px
    assert rise[0] > 0.8
    assert rise[1] < 0.06


def test_pucker_narrows_and_spread_widens(face):
    for name, sign in (("pucker", -1.0), ("spread", 1.0)):
        assert sign * travel(face, shape(**{name: 1.0}), LOWER, 1.0)[0] > 0.015
        assert sign * travel(face, shape(**{name: 1.0}), LOWER, -1.0)[0] < -0.015


@pytest.mark.parametrize("layer", [UPPER, LOWER])
def test_rounded_lips_keep_the_width_of_their_middle_and_do_not_fold(face, layer):
    """Lips are rounded by their sides; narrowed evenly, they look squeezed and the opening is pointed."""
    u = np.linspace(-2.0, 2.0, 401)
    shift = build_fields(face, seam_points(face, u, layer))[layer, FIELD_NAMES.index("pucker"), 0]
    narrowed = -np.sign(u) * (shift @ face.mouth.axes.along)
    middle, side = (float(np.interp(at, u, narrowed)) / at for at in (0.25, 0.8))
    assert 0.0 < middle < 0.9 * side
    pixels = face.mouth.axes.local(seam_points(face, u, layer) + 1.2 * shift)[0]
    assert np.diff(pixels).min() > 0.0


def test_rounding_leaves_the_height_of_the_lower_lip(face):
    """A lip that narrows and grows downwards as well looks like a block that hangs."""
    mouth = face.mouth
    below = np.linspace(0.0, 2.0, 9) * mouth.lower_thickness_px
    points = mouth.axes.pixels(np.zeros(9), mouth.lower(np.zeros(9)) + below)
    shift = build_fields(face, points[None])[LOWER, FIELD_NAMES.index("pucker"), 0]
    assert np.abs(shift @ mouth.axes.down).max() < 1e-6


def test_clamped_expressions_stay_in_their_ranges():
    unbounded = np.random.default_rng(0).normal(0.0, 5.0, (50, len(SHAPES)))
    limited = clamp_expression(unbounded)
    for index, (_, low, high, _) in enumerate(SHAPES):
        assert limited[:, index].min() >= low - 0.13 * (high - low)
        assert limited[:, index].max() <= high + 0.13 * (high - low)
    assert limited[:, SHAPE_INDEX["lips_closed"]].max() <= 1.0
