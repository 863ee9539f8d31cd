"""Discriminator of the renderer."""

import torch

from sadtalker_ext.models.discriminator import Discriminator, DiscriminatorConfig


def test_each_scale_returns_scores_and_the_features_of_every_block():
    network = Discriminator(DiscriminatorConfig(base_channels=4, max_channels=16, scales=(1.0, 0.5)))
    full, half = network(torch.rand(2, 3, 128, 128))
    assert full.scores.shape == (2, 1, 10, 10)
    assert half.scores.shape[2] < full.scores.shape[2]
    assert [feature.shape[1] for feature in full.features] == [8, 16, 16, 16]
    assert set(network.discs) == {"1", "0-5"}


def test_gradients_reach_the_image():
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    Discriminator(DiscriminatorConfig(base_channels=4, max_channels=8))(picture)[0].scores.mean().backward()
    assert picture.grad.abs().sum() > 0
