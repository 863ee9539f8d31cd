"""One-euro filter: less jitter at rest, little lag in motion."""

import numpy as np

from sadtalker_ext.geometry.one_euro import OneEuroFilter

FACE = np.random.default_rng(3).uniform(0, 100, (41, 2))
RATE_HZ = 25.0


def smoothed(path):
    filter_ = OneEuroFilter(RATE_HZ)
    return np.stack([filter_.smooth(points) for points in path])


def test_still_points_do_not_move():
    assert np.allclose(smoothed([FACE] * 30), FACE)


def test_jitter_is_reduced_to_a_third():
    noise = np.random.default_rng(4).normal(0, 0.5, (200, 1, 2)) + np.random.default_rng(5).normal(0, 0.3, (200, 41, 2))
    filtered = smoothed(FACE + noise)
    before, after = (np.abs(np.diff(path[40:], axis=0)).mean() for path in (FACE + noise, filtered))
    assert after < before / 3


def test_fast_motion_is_followed_closely():
    """Half a face width per second: never more than 3 % of the face size behind."""
    path = FACE + np.linspace(0, 50, 26)[:, None, None] * [1.0, 0.0]
    lag = np.abs(path - smoothed(path)).max()
    assert lag < 0.03 * np.hypot(*np.ptp(FACE, axis=0))


def test_shape_is_preserved_in_motion():
    path = FACE + np.linspace(0, 50, 26)[:, None, None] * [0.6, 0.8]
    filtered = smoothed(path)
    shape = filtered - filtered.mean(axis=1, keepdims=True)
    assert np.allclose(shape, FACE - FACE.mean(axis=0))
