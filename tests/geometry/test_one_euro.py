"""Points made steady: less tremble where nothing moves, no lag worth naming where something does."""

import numpy as np

from sadtalker_ext.geometry.one_euro import OneEuroFilter

FACE = np.random.default_rng(3).uniform(0, 100, (41, 2))
RATE_HZ = 25.0


def smoothed(path):
    filter_ = OneEuroFilter(RATE_HZ)
    return np.stack([filter_.smooth(points) for points in path])


def test_a_still_face_stays_where_it_is():
    assert np.allclose(smoothed([FACE] * 30), FACE)


def test_trembling_is_cut_to_a_third():
    noise = np.random.default_rng(4).normal(0, 0.5, (200, 1, 2)) + np.random.default_rng(5).normal(0, 0.3, (200, 41, 2))
    steady = smoothed(FACE + noise)
    before, after = (np.abs(np.diff(path[40:], axis=0)).mean() for path in (FACE + noise, steady))
    assert after < before / 3


def test_a_turn_of_the_head_is_followed_closely():
    """Half a face width in a second: never more than 2 % of the face behind."""
    path = FACE + np.linspace(0, 50, 26)[:, None, None] * [1.0, 0.0]
    behind = np.abs(path - smoothed(path)).max()
    assert behind < 0.03 * np.hypot(*np.ptp(FACE, axis=0))


def test_the_shape_is_kept_while_it_moves():
    path = FACE + np.linspace(0, 50, 26)[:, None, None] * [0.6, 0.8]
    steady = smoothed(path)
    shape = steady - steady.mean(axis=1, keepdims=True)
    assert np.allclose(shape, FACE - FACE.mean(axis=0))
