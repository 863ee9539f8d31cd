"""PoseVAE recipe: examples, each loss by hand, three steps, exact resume, loading the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from talking_clips import write_talking
from torch import nn

from sadtalker_ext.models.pose_vae import PoseVAE
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.run_log import read_run_log
from sadtalker_ext.training.sadtalker.audio_windows import speech_model_size
from sadtalker_ext.training.sadtalker.pose_vae import (
    PLANS,
    RECONSTRUCTION_STD,
    PoseVaeOutput,
    SadTalkerPoseVaeRecipe,
    kl_divergence,
    load_pose_vae,
    train_sadtalker_pose_vae,
)

POSE, DISCRIMINATOR = SadTalkerPoseVaeRecipe.phases


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, write_talking(folder)


@pytest.fixture(scope="module")
def recipe(data):
    return SadTalkerPoseVaeRecipe(data[0], speech_model_size("tiny"))


def test_examples_are_relative_to_the_first_pose_and_have_the_style_of_the_identity(recipe, data):
    batch, again = (recipe.batch(np.random.default_rng(2), 5) for _ in range(2))
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    for row in range(5):
        poses = (batch["reference"][row] + batch["motion"][row]).numpy()
        clip = next(
            clip
            for clip in data[1]
            for start in range(len(clip) - 32)
            if np.array_equal(clip.coefficients[start, 64:70], batch["reference"][row].numpy())
            and np.allclose(clip.coefficients[start + 1 : start + 33, 64:70], poses, atol=1e-6)
        )
        assert ("ann", "bob")[int(batch["style"][row])] == clip.identity
    assert batch["mel"].shape == (5, 32, 1, 80, 16)
    assert recipe.config.styles == 2
    assert SadTalkerPoseVaeRecipe(data[0], speech_model_size("full")).config.styles == 46


def test_initial_motion_is_small(recipe):
    torch.manual_seed(0)
    network = recipe.build()["pose"].eval()
    batch = recipe.batch(np.random.default_rng(0), 4)
    with torch.no_grad():
        generated = network(*(batch[name] for name in ("mel", "reference", "style", "motion"))).generated
    assert float(generated.abs().max()) < 0.1


class Fixed(nn.Module):
    """A VAE with a reconstruction error of one standard deviation, no generated motion and a constant posterior."""

    def forward(self, mel, reference, style, motion):
        ones = torch.ones(len(motion), 64)
        reconstructed = motion + motion.new_tensor(RECONSTRUCTION_STD)
        return PoseVaeOutput(reconstructed, torch.zeros_like(motion), 2 * ones, 0 * ones)


class Loudness(nn.Module):
    def forward(self, poses):
        return poses.abs().mean(dim=2)[:, ::4]


def test_losses_by_hand(recipe):
    batch = recipe.batch(np.random.default_rng(1), 3)
    networks = {"pose": Fixed(), "discriminator": Loudness()}
    made = recipe.losses(POSE, networks, batch)
    assert {name: float(value) for name, value in made.items()} == pytest.approx(
        {"reconstruction": 0.5, "kl": 0.5 * 4 * 64 / 192, "gan": 1.0}, rel=1e-4
    )
    seen = Loudness()(batch["motion"] / torch.tensor([0.1, 0.1, 0.1, 0.2, 0.2, 0.2]))
    judged = recipe.losses(DISCRIMINATOR, networks, batch)
    assert float(judged["discriminator"]) == pytest.approx(float((seen - 1).square().mean()), rel=1e-5)


def test_divergence_matches_torch_distributions():
    mean, log_variance = torch.randn(3, 5), torch.randn(3, 5)
    known = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Normal(0, 1)
    )
    torch.testing.assert_close(kl_divergence(mean, log_variance), known.sum(dim=1))


def test_three_steps_write_losses_samples_and_the_network(recipe, tmp_path):
    path = train_sadtalker_pose_vae(recipe, tmp_path, PLANS["tiny"], "abc")
    names = {name for _, name, _ in read_run_log(tmp_path / "losses.csv")}
    assert {"reconstruction", "kl", "gan", "discriminator", "validation_rebuilt_deg", "validation_spread"} <= names
    assert (tmp_path / "samples" / "0000003" / "head.svg").read_text().count("<polyline") >= 9
    network = load_pose_vae(path.parent)
    assert list(network.state_dict()) == list(PoseVAE(recipe.config).state_dict()), "the checkpoint is complete"
    sound = torch.zeros(1, 32, recipe.config.audio_widths[-1])
    decoded = network.decode(sound, torch.zeros(1, 6), torch.tensor([1]), torch.zeros(1, 64))
    assert decoded.shape == (1, 32, 6)


def test_a_resumed_run_ends_with_the_same_weights(recipe, tmp_path):
    plan = replace(PLANS["tiny"], steps=4, batch_size=2, save_every=2, validate_every=100)
    whole = train(recipe, plan, tmp_path / "whole")
    train(recipe, plan, tmp_path / "parts", stop_after=2)
    parts = train(recipe, plan, tmp_path / "parts")
    for name, network in whole.items():
        ours, theirs = network.state_dict(), parts[name].state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), name


def test_training_improves_the_reconstruction(recipe, tmp_path, monkeypatch):
    """On one batch, so that few steps show it: the error of different batches varies more than it falls."""
    batch = recipe.batch(np.random.default_rng(0), 2)
    monkeypatch.setattr(recipe, "batch", lambda rng, count: batch, raising=False)
    monkeypatch.setattr(recipe, "validate", lambda networks: {}, raising=False)
    monkeypatch.setattr(recipe, "sample", lambda networks, folder: None, raising=False)
    plan = replace(PLANS["tiny"], steps=10, batch_size=2, learning_rate=5e-3, validate_every=100, save_every=100)
    train(recipe, plan, tmp_path)
    errors = [value for _, name, value in read_run_log(tmp_path / "losses.csv") if name == "reconstruction"]
    assert errors[-1] < 0.6 * errors[0]
