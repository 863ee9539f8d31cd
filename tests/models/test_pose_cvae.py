"""PoseCvae and MotionDiscriminator: shapes, spline basis, and the inputs the outputs depend on."""

import numpy as np
import pytest
import torch

from sadtalker_ext.models.pose_cvae import MotionDiscriminator, PoseCvae, PoseCvaeConfig, spline_basis

CONFIG = PoseCvaeConfig(styles=("one", "two", "three"), width=64)


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    return {
        "piece": torch.randn(5, 32, 6),
        "before": torch.randn(5, 8, 6),
        "prosody": torch.rand(5, 40, 6),
        "style": torch.tensor([0, 1, 2, 0, 1]),
    }


@pytest.mark.parametrize("knot_frames", [2.0, 2.5, 4.0])
def test_spline_basis_represents_every_cubic_polynomial(knot_frames: float):
    basis = spline_basis(32, knot_frames).double().numpy()
    np.testing.assert_allclose(basis.sum(axis=1), 1.0, atol=1e-6)
    times = np.linspace(-1, 1, 32)
    for power in range(4):
        residual = np.linalg.lstsq(basis, times**power, rcond=None)[1]
        assert residual.size == 0 or residual[0] < 1e-9
    assert np.linalg.matrix_rank(basis) == basis.shape[1] or knot_frames == 2.0


def test_shapes_and_gradients(inputs):
    network = PoseCvae(CONFIG)
    rebuilt, imagined, divergence = network(**inputs)
    assert rebuilt.shape == imagined.shape == (5, 32, 6)
    assert divergence.shape == (5,)
    scores = MotionDiscriminator(CONFIG)(imagined, inputs["prosody"], inputs["style"])
    assert scores.shape == (5, 8)
    (rebuilt.square().mean() + scores.mean() + divergence.mean()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_output_depends_on_latent_prosody_style_and_previous_poses(inputs):
    network = PoseCvae(CONFIG).eval()

    def decode(latent_seed=0, **changes):
        used = {**inputs, **changes}
        latent = torch.randn(5, CONFIG.latent, generator=torch.Generator().manual_seed(latent_seed))
        condition = network.encode_condition(used["before"], used["prosody"], used["style"])
        return network.decode(latent, used["before"], condition)

    first = decode()
    assert torch.equal(first, decode())
    assert not torch.allclose(first, decode(latent_seed=1))
    assert not torch.allclose(first, decode(prosody=inputs["prosody"] + 1))
    assert not torch.allclose(first, decode(style=torch.tensor([1, 2, 0, 1, 2])))
    assert not torch.allclose(first, decode(before=inputs["before"] + 1))


def test_decoded_motion_has_little_power_above_8_hz(inputs):
    network = PoseCvae(CONFIG).eval()
    condition = network.encode_condition(inputs["before"], inputs["prosody"], inputs["style"])
    piece = 100 * network.decode(torch.randn(5, CONFIG.latent), 0 * inputs["before"], condition)
    velocity = torch.diff(piece, dim=1).detach().numpy() * np.hanning(31)[None, :, None]
    power = np.abs(np.fft.rfft(velocity, axis=1)) ** 2
    hz = np.fft.rfftfreq(31, 1 / 25)
    assert power[:, hz > 8.0].sum() < 0.05 * power.sum()


def test_divergence_matches_torch_distributions(inputs):
    network = PoseCvae(CONFIG).eval()
    condition = network.encode_condition(inputs["before"], inputs["prosody"], inputs["style"])
    posterior, prior = (
        torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
        for mean, log_variance in (network.encode(inputs["piece"], condition), network.encode_prior(condition))
    )
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=1)
    torch.testing.assert_close(network(**inputs)[2], expected, rtol=1e-4, atol=1e-5)
