"""Coefficient sequences, beyond what the goldens pin."""

import random

import numpy as np
import pytest

from sadtalker_ext.engines.sadtalker import coefficients as rows


@pytest.mark.parametrize("frames", [1, 2, 20, 21, 22, 200])
def test_blinks_fit_any_length(frames):
    ratio = rows.random_blinks(frames, random.Random(3))
    assert ratio.shape == (frames, 1)
    assert ratio.max() == (1.0 if frames == 200 else ratio.max())
    assert ratio[-1] == 0


@pytest.mark.parametrize("frames", [1, 2, 3, 12, 13, 40])
def test_smoothing_keeps_length_and_parabolas(frames):
    t = np.linspace(-1, 1, frames, dtype=np.float32)[:, None] * np.ones((1, 6), np.float32)
    curve = 2 * t**2 - t
    assert np.allclose(rows.smooth_poses(curve), curve, atol=1e-5)


def test_driving_coefficients_repeat_the_crop_of_the_source():
    generated = np.random.default_rng(0).standard_normal((5, 70)).astype(np.float32)
    source = np.arange(73, dtype=np.float32)
    driven = rows.drive_coefficients(generated, source)
    assert np.array_equal(driven[:, :70], generated)
    assert np.array_equal(driven[:, 70:], np.repeat(source[None, 70:], 5, axis=0))


@pytest.mark.parametrize("frames", [1, 2, 30])
@pytest.mark.parametrize("keyframes", [[5], [5, 5], [0, 10], [-20, 30, 30, 10]])
def test_free_view_holds_where_the_official_code_divides_by_zero(frames, keyframes):
    path = rows.official_free_view(keyframes, frames)
    assert path.shape == (frames,)
    assert np.isfinite(path).all()
    assert path[0] == keyframes[0]


def test_windows_repeat_the_ends():
    windows = rows.coefficient_windows(np.arange(40, dtype=np.float32)[:, None], [0, 20, 39])
    assert windows.shape == (3, 1, 27)
    assert windows[0, 0, :14].tolist() == [0.0] * 14
    assert windows[1, 0].tolist() == list(range(7, 34))
    assert windows[2, 0, 13:].tolist() == [39.0] * 14
