"""LipMotion: a linear map over a window and its correction, relative to a running mean that pauses do not move."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from torch.nn import functional

from sadtalker_ext.models.lip_motion import LipCorrection, LipMotion, LipMotionConfig, running_mean, slow_average

CONFIG = LipMotionConfig(layers=(1, 2), width=5, reach=2, mean_frames=8)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return LipMotion(CONFIG).eval()


@pytest.fixture
def features():
    return torch.randn(1, 40, CONFIG.features, generator=torch.Generator().manual_seed(1))


def test_outputs_are_those_of_a_loop(network, features):
    power = torch.rand(1, 40, generator=torch.Generator().manual_seed(2)) + 0.1
    weights = network.taps.weight.detach().numpy().reshape(2, 5, CONFIG.features)
    f, p = features[0].numpy().astype(np.float64), power[0].numpy().astype(np.float64)
    centred = np.empty_like(f)
    for t in range(40):
        near = slice(max(0, t - 8), t + 9)
        means = [p[max(0, s - 8) : s + 9].mean() for s in range(*near.indices(40))]
        w = p[near] / (p[near] + CONFIG.gate * np.array(means))
        centred[t] = f[t] - (w[:, None] * f[near]).sum(0) / w.sum()
    expected = np.zeros((40, 2))
    for t in range(40):
        for tap in range(5):
            expected[t] += weights[:, tap] @ centred[min(max(t + tap - 2, 0), 39)]
    np.testing.assert_allclose(network(features, power)[0].detach().numpy(), expected, atol=1e-4)


def test_a_constant_offset_of_the_features_has_no_effect(network, features):
    power = torch.ones(1, 40)
    torch.testing.assert_close(network(features + 3.0, power), network(features, power), atol=1e-4, rtol=0)


def test_pauses_do_not_move_the_mean():
    values = torch.cat([torch.ones(1, 10, 1), torch.full((1, 10, 1), 9.0)], 1)
    power = torch.cat([torch.ones(1, 10), torch.full((1, 10), 1e-8)], 1)
    assert running_mean(values, power, 30, 0.01)[0, :, 0] == pytest.approx(1.0, abs=1e-3)


def test_silence_has_a_finite_mean():
    assert torch.isfinite(running_mean(torch.ones(1, 5, 2), torch.zeros(1, 5), 3, 0.01)).all()


def test_slow_average_is_that_of_scipy():
    values = np.random.default_rng(0).normal(size=(60, 3))
    expected = gaussian_filter1d(values, 4.0, axis=0, mode="nearest", truncate=3.0)
    np.testing.assert_allclose(slow_average(torch.from_numpy(values)[None], 4)[0].numpy(), expected, atol=1e-12)


def test_slow_weights_are_those_of_the_average(features):
    """A network whose window is zero returns the average of its last tap."""
    config = LipMotionConfig(layers=(1, 2), width=5, reach=2, slow_frames=3, mean_frames=8)
    network, power = LipMotion(config).eval(), torch.ones(1, 40)
    weights = torch.randn(2, 6, config.features, generator=torch.Generator().manual_seed(5))
    weights[:, :5] = 0.0
    with torch.inference_mode():
        network.taps.weight.copy_(weights.reshape(12, -1))
        centred = (features - running_mean(features, power, 8, config.gate)) @ weights[:, 5].T
        torch.testing.assert_close(network(features, power), slow_average(centred, 3), atol=1e-5, rtol=0)


def test_members_of_the_correction_are_separate_networks():
    """Each member equals a separate network of plain convolutions on its channels."""
    torch.manual_seed(1)
    together, hidden = LipCorrection(3, 4).eval(), torch.randn(1, 30, 12)
    with torch.inference_mode():
        together.bias.normal_()
        for member in range(3):
            own, outputs = slice(4 * member, 4 * member + 4), slice(2 * member, 2 * member + 2)
            values = (hidden + together.bias).transpose(1, 2)[:, own]
            for layer in together.convolutions:
                padded = functional.pad(functional.gelu(values), (2, 2), mode="replicate")
                values = values + functional.conv1d(padded, layer.weight[own], layer.bias[own])
            head = together.head
            expected = functional.conv1d(functional.gelu(values), head.weight[outputs], head.bias[outputs])
            torch.testing.assert_close(together.each(hidden)[:, :, member], expected.transpose(1, 2))
        torch.testing.assert_close(together(hidden), together.each(hidden).mean(2))


def test_the_correction_reads_the_frame_and_the_slow_average(features):
    config = LipMotionConfig(layers=(1, 2), width=5, slow_frames=3, members=2, units=3, mean_frames=8)
    torch.manual_seed(0)
    network, power = LipMotion(config).eval(), torch.ones(1, 40)
    with torch.inference_mode():
        near, slow = network.inner.weight.chunk(2)
        relative = features - running_mean(features, power, 8, config.gate)
        corrected = network.correction(relative @ near.T + slow_average(relative @ slow.T, 3))
        alone = LipMotion(LipMotionConfig(layers=(1, 2), width=5, slow_frames=3, mean_frames=8)).eval()
        alone.taps.load_state_dict(network.taps.state_dict())
        expected = alone(features, power) + corrected
        torch.testing.assert_close(network(features, power), expected, atol=1e-5, rtol=0)
        assert network.project(features).shape[-1] == config.columns


@pytest.mark.parametrize("members", [0, 2])
def test_outputs_depend_on_the_stated_frames_only(features, members):
    config = LipMotionConfig(layers=(1, 2), width=5, reach=2, slow_frames=2, members=members, units=3, mean_frames=3)
    torch.manual_seed(0)
    network, power = LipMotion(config).eval(), torch.ones(1, 40)
    changed = features.clone()
    changed[:, 20 + config.dependence + 1 :] += 5.0
    with torch.inference_mode():
        assert network(changed, power)[0, 20].tolist() == network(features, power)[0, 20].tolist()
        assert network(changed, power)[0, 21 + config.reach].tolist() != network(features, power)[0, 21].tolist()
