"""Camera paths against SciPy and by their properties."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from sadtalker_ext.geometry.camera_path import Leg, course, named_path, path_through, whole_course
from sadtalker_ext.settings import VIEWS

TIMES_S = np.arange(0, 250) / 25


def test_between_inner_keyframes_the_curve_is_that_of_scipy():
    draw = np.random.default_rng(5)
    keys = np.cumsum(draw.uniform(0.2, 1.5, 9))
    values = draw.normal(size=9) * 20
    inside = np.linspace(keys[1], keys[-2], 300)
    np.testing.assert_allclose(path_through(keys, values, inside), PchipInterpolator(keys, values)(inside), atol=1e-9)


def test_the_curve_passes_its_keyframes_and_rests_at_both_ends():
    keys, values = np.array([1.0, 2.5, 4.0]), np.array([5.0, 20.0, -20.0])
    np.testing.assert_allclose(path_through(keys, values, keys), values)
    curve = path_through(keys, values, TIMES_S)
    assert (curve[TIMES_S <= 1.0] == 5.0).all()
    assert (curve[TIMES_S >= 4.0] == -20.0).all()
    assert curve.max() == pytest.approx(20.0, abs=0.1)
    assert curve.min() == -20.0
    speed = np.diff(curve) * 25
    assert np.abs(np.diff(speed)).max() < 12, "no jerk at the keyframes"


def test_one_keyframe_is_a_constant_and_equal_keyframes_stay():
    np.testing.assert_array_equal(path_through(np.array([3.0]), np.array([7.0]), TIMES_S), 7.0)
    np.testing.assert_array_equal(path_through(np.array([0.0, 1.0, 2.0]), np.full(3, 4.0), TIMES_S), 4.0)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("duration_s", [0.2, 1.0, 4.7, 60.0])
def test_named_paths_begin_at_rest_stay_in_range_and_move_smoothly(name, duration_s):
    times_s = np.arange(0.0, duration_s, 0.04)
    legs = [Leg(0.0, duration_s)]
    path = named_path(name, times_s, legs)
    assert path.rotation_deg.shape == (len(times_s), 3)
    assert path.zoom.shape == (len(times_s),)
    np.testing.assert_array_equal(path.rotation_deg[0], 0.0)
    assert path.zoom[0] == 1.0
    assert (np.abs(path.rotation_deg).max(axis=0) <= [14, 26, 10]).all()
    assert path.zoom.min() >= 1.0
    assert path.zoom.max() <= 1.3
    ends = named_path(name, np.array([duration_s]), legs)
    np.testing.assert_allclose(ends.rotation_deg, 0.0, atol=1e-9)
    if duration_s >= 4.0:
        assert np.abs(np.diff(path.rotation_deg, axis=0)).max() < 2.5
        assert max(np.abs(path.rotation_deg).max(), 100 * (path.zoom.max() - 1)) > 8


def test_each_name_moves_its_own_axes():
    moving = {
        name: tuple(np.abs(named_path(name, TIMES_S, [Leg(0.0, 10.0)]).rotation_deg).max(axis=0) > 1.0)
        for name in VIEWS
    }
    assert moving == {
        "orbit": (True, True, False),
        "sway": (False, True, True),
        "nod": (True, False, False),
        "dolly": (False, False, False),
    }
    assert named_path("dolly", TIMES_S, [Leg(0.0, 10.0)]).zoom[-1] == pytest.approx(1.3, abs=0.01)


FINAL_S = 71.0
"""Length of the video whose length is estimated in the three parts below."""


def in_parts(name, estimates_s, begins_s, end_s=FINAL_S):
    """Return the path of a video that is made in parts: rotation and zoom of all frames at 25 Hz."""
    legs, parts = [], []
    for begin, end, estimate in zip(begins_s, [*begins_s[1:], end_s], [*estimates_s, end_s], strict=True):
        legs.append(Leg(begin, estimate, estimate == end_s))
        parts.append(named_path(name, np.arange(round(begin * 25), round(end * 25)) / 25, legs))
    return np.concatenate([part.rotation_deg for part in parts]), np.concatenate([part.zoom for part in parts])


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize(("first", "second"), [(71.0, 71.01), (60.0, 77.0), (95.0, 80.0), (50.0, 50.5)])
def test_paths_of_videos_of_unknown_length_go_on_smoothly_and_end_at_rest(name, first, second):
    """The length is estimated twice, and known in the last part only."""
    rotation_deg, zoom = in_parts(name, (first, second), (0.0, 15.0, 45.0))
    whole = named_path(name, np.arange(round(FINAL_S * 25)) / 25, [Leg(0.0, FINAL_S)])
    assert np.abs(np.diff(rotation_deg, axis=0)).max() < 1.5 * max(
        np.abs(np.diff(whole.rotation_deg, axis=0)).max(), 1e-9
    )
    assert np.abs(np.diff(rotation_deg, 2, axis=0)).max() < 1.5 * max(
        np.abs(np.diff(whole.rotation_deg, 2, axis=0)).max(), 1e-9
    )
    assert np.abs(rotation_deg[-1]).max() < 0.3
    assert (np.diff(zoom) >= 0.0).all()
    assert zoom[-1] == pytest.approx(whole.zoom[-1], abs=1e-3)
    assert zoom[0] == 1.0


@pytest.mark.parametrize(("name", "axis", "period_s"), [("orbit", 1, 6.0), ("sway", 1, 4.0), ("nod", 0, 3.0)])
@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_swings_keep_their_period_whatever_length_was_expected(name, axis, period_s, factor):
    rotation_deg, _ = in_parts(name, (factor * 300.0, factor * 280.0), (0.0, 15.0, 45.0), 290.0)
    crossings = np.flatnonzero(np.diff(np.sign(rotation_deg[25:-25, axis])) > 0) / 25
    periods = np.diff(crossings)
    np.testing.assert_allclose(periods, period_s, rtol=0.05)


def test_a_single_leg_is_even_and_estimates_end_in_time():
    at = np.linspace(0.0, 8.0, 50)
    np.testing.assert_allclose(course([Leg(0.0, 8.0)], at, whole_course), at / 8.0)
    legs = [Leg(0.0, 30.0, final=False), Leg(10.0, 12.0, final=False), Leg(11.0, 40.0)]
    last = course(legs, np.linspace(11.0, 40.0, 200), whole_course)
    assert last[-1] == pytest.approx(1.0)
    assert (np.diff(last) >= 0.0).all()
    before = course(legs[:2], np.array([10.999, 11.0]), whole_course)
    assert last[0] == pytest.approx(before[1])
    speed = (before[1] - before[0]) / 0.001
    assert (last[1] - last[0]) / (29.0 / 199) == pytest.approx(min(speed, 4.0 * (1.0 - last[0]) / 29.0), rel=0.03)


def test_a_last_part_of_some_frames_ends_at_rest():
    for end in (45.4, 46.0, 49.0):
        for name in VIEWS:
            rotation_deg, zoom = in_parts(name, (47.0, 48.0), (0.0, 15.0, 45.0), end)
            assert np.isfinite(rotation_deg).all()
            assert np.abs(np.diff(rotation_deg, axis=0)).max() < 9.0
            assert zoom.max() <= 1.3
