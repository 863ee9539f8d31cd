"""Profiles and limits: values in the middle, at the ends and beyond."""

from __future__ import annotations

import numpy as np
import pytest

from sadtalker_ext.puppet.profiles import Falloff, smooth_edge, smooth_ramp, soft_clamp


@pytest.mark.parametrize("power", [2, 3, 4])
def test_a_falloff_is_one_at_its_centre_and_1_over_e_at_its_width(power):
    profile = Falloff(width=0.4, centre=1.5, power=power)
    np.testing.assert_allclose(profile(np.array([1.5, 1.9])), [1.0, np.exp(-1.0)])


def test_a_falloff_is_the_same_in_numpy_and_torch():
    import torch

    x = np.linspace(-2.0, 2.0, 9)
    profile = Falloff(0.7, centre=0.1, power=4)
    np.testing.assert_allclose(profile.evaluate(torch.from_numpy(x), torch).numpy(), profile(x), rtol=1e-12)


@pytest.mark.parametrize(("zero_at", "one_at"), [(0.2, 0.6), (0.6, 0.2)])
def test_a_ramp_runs_from_zero_to_one_in_either_direction(zero_at, one_at):
    beyond = one_at + 5.0 * (one_at - zero_at)
    x = np.array([zero_at - (one_at - zero_at), zero_at, 0.4, one_at, beyond])
    np.testing.assert_allclose(smooth_ramp(x, zero_at, one_at), [0.0, 0.0, 0.5, 1.0, 1.0])


def test_a_soft_edge_is_half_at_zero():
    edge = smooth_edge(np.array([-0.3, 0.0, 0.3]), 0.3)
    assert edge.dtype == np.float32
    np.testing.assert_allclose(edge, [0.0, 0.5, 1.0])


def test_soft_clamp_is_the_identity_inside_and_bounded_outside():
    inside = np.linspace(-1.0, 1.0, 9)
    np.testing.assert_array_equal(soft_clamp(inside, -1.0, 1.0, 0.12), inside)
    outside = soft_clamp(np.array([-1e9, 1.5, 1e9]), -1.0, 1.0, 0.12)
    assert np.all(np.diff(outside) > 0)
    assert np.abs(outside).max() <= 1.25
