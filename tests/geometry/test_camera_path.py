"""Camera paths against SciPy and by their properties."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from sadtalker_ext.geometry.camera_path import named_path, path_through
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
    path = named_path(name, times_s, duration_s)
    assert path.rotation_deg.shape == (len(times_s), 3)
    assert path.zoom.shape == (len(times_s),)
    np.testing.assert_array_equal(path.rotation_deg[0], 0.0)
    assert path.zoom[0] == 1.0
    assert (np.abs(path.rotation_deg).max(axis=0) <= [14, 26, 10]).all()
    assert path.zoom.min() >= 1.0
    assert path.zoom.max() <= 1.3
    ends = named_path(name, np.array([duration_s]), duration_s)
    np.testing.assert_allclose(ends.rotation_deg, 0.0, atol=1e-9)
    if duration_s >= 4.0:
        assert np.abs(np.diff(path.rotation_deg, axis=0)).max() < 2.5
        assert max(np.abs(path.rotation_deg).max(), 100 * (path.zoom.max() - 1)) > 8


def test_each_name_moves_its_own_axes():
    moving = {name: tuple(np.abs(named_path(name, TIMES_S, 10.0).rotation_deg).max(axis=0) > 1.0) for name in VIEWS}
    assert moving == {
        "orbit": (True, True, False),
        "sway": (False, True, True),
        "nod": (True, False, False),
        "dolly": (False, False, False),
    }
    assert named_path("dolly", TIMES_S, 10.0).zoom[-1] == pytest.approx(1.3, abs=0.01)
