"""ExpNet recipe: examples, each loss by hand, three steps, exact resume, loading the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from talking_clips import FRAMES, write_talking
from torch import nn

from sadtalker_ext.audio.windows import mel_windows
from sadtalker_ext.errors import MediaError, WeightsError
from sadtalker_ext.models.lip_reader import LipReader, LipReaderConfig
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.run_log import read_run_log
from sadtalker_ext.training.sadtalker.audio_windows import ClipWindowSampler, speech_model_size
from sadtalker_ext.training.sadtalker.exp_net import (
    PLANS,
    SadTalkerExpNetRecipe,
    load_exp_net,
    train_sadtalker_exp_net,
)

PLAN = replace(PLANS["tiny"], save_every=1, validate_every=100)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, write_talking(folder)


@pytest.fixture
def recipe(data):
    return SadTalkerExpNetRecipe(data[0], speech_model_size("tiny"))


class Constant(nn.Module):
    """Predicts the reference with a constant added to one coefficient."""

    def __init__(self, column, value):
        super().__init__()
        self.column, self.value = column, value

    def forward(self, mel, reference, ratio):
        predicted = reference.clone()
        predicted[..., self.column] += self.value
        return predicted


def test_examples_are_windows_of_clips_and_depend_on_the_generator_only(recipe, data):
    first, again = (recipe.batch(np.random.default_rng(3), 6) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    clips = data[1]
    for row in range(6):
        target = first["target"][row].numpy()
        clip, start = next(
            (clip, start)
            for clip in clips
            for start in range(FRAMES - 4)
            if np.array_equal(clip.lip_expression[start : start + 5], target)
        )
        assert np.array_equal(first["mel"][row].numpy(), mel_windows(clip.mel.T, range(start, start + 5)))
        assert np.array_equal(first["reference"][row].numpy(), np.repeat(clip.coefficients[:1, :64], 5, axis=0))
    ratios = recipe.batch(np.random.default_rng(0), 400)["ratio"]
    assert float((ratios == 0).float().mean()) == pytest.approx(0.5, abs=0.04)
    assert float(ratios.max()) > 0.99


def test_losses_by_hand(recipe):
    batch = recipe.batch(np.random.default_rng(1), 4)
    batch["target"], batch["ratio"] = batch["reference"].clone(), torch.full((4, 5, 1), 0.5)
    phase = recipe.phases[0]
    smiling = recipe.losses(phase, {"exp_net": Constant(7, 0.8)}, batch)
    assert set(smiling) == set(phase.weights) == {"distillation", "landmarks", "blink"}
    assert float(smiling["distillation"]) == pytest.approx(0.8**2 / 64, rel=1e-4)
    closed = batch["reference"].clone()
    closed[..., 10:12] = 1.0
    winking = recipe.losses(phase, {"exp_net": lambda *_: closed}, batch)
    assert float(winking["blink"]) == pytest.approx(0.5, abs=0.01), "closed eyes, blink ratio 0.5"
    assert float(winking["landmarks"]) == pytest.approx(0, abs=1e-6), "the landmark loss ignores the eyes"


def test_a_lip_reader_adds_its_own_loss(data):
    torch.manual_seed(0)
    reader = LipReader(LipReaderConfig((4, 4, 4, 4), "relu"))
    recipe = SadTalkerExpNetRecipe(data[0], speech_model_size("tiny"), reader=reader)
    batch = recipe.batch(np.random.default_rng(1), 2)
    assert batch["pictures"].shape == (2, 5, 3, 32, 32)
    assert "reading" in recipe.phases[0].weights
    shown = recipe.losses(recipe.phases[0], {"exp_net": lambda *_: batch["shown"]}, batch)
    assert float(shown["reading"]) == pytest.approx(0, abs=1e-6)
    other = recipe.losses(recipe.phases[0], {"exp_net": lambda *_: batch["shown"] + 0.3}, batch)
    assert float(other["reading"]) > 1e-6


def test_three_steps_write_losses_samples_and_the_network(recipe, tmp_path):
    path = train_sadtalker_exp_net(recipe, tmp_path, PLANS["tiny"], "abc")
    names = {name for _, name, _ in read_run_log(tmp_path / "losses.csv")}
    assert {"distillation", "landmarks", "blink", "validation_lips", "validation_blink"} <= names
    assert "<polyline" in (tmp_path / "samples" / "0000003" / "clips.svg").read_text()
    network = load_exp_net(path.parent)
    assert network.config.audio_widths == speech_model_size("tiny").audio_widths
    assert network(torch.zeros(1, 2, 1, 80, 16), torch.zeros(1, 2, 64), torch.zeros(1, 2, 1)).shape == (1, 2, 64)


def test_a_resumed_run_ends_with_the_same_weights(recipe, tmp_path):
    plan = replace(PLAN, steps=4)
    whole = train(recipe, plan, tmp_path / "whole")["exp_net"].state_dict()
    train(recipe, plan, tmp_path / "parts", stop_after=2)
    parts = train(recipe, plan, tmp_path / "parts")["exp_net"].state_dict()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_training_reduces_distillation_and_blink_loss(recipe, tmp_path):
    """On one batch, so that few steps show it."""
    batch = recipe.batch(np.random.default_rng(0), 4)
    recipe.batch = lambda rng, count: batch
    plan = replace(PLAN, steps=20, batch_size=4, learning_rate=5e-3, warmup_steps=5, save_every=100)
    recipe.validate = lambda networks: {}
    recipe.sample = lambda networks, folder: None
    train(recipe, plan, tmp_path)
    for name in ("distillation", "blink"):
        values = [value for _, known, value in read_run_log(tmp_path / "losses.csv") if known == name]
        assert np.mean(values[-5:]) < 0.6 * np.mean(values[:5]), name


def test_missing_data_is_reported(data, tmp_path):
    with pytest.raises(MediaError, match="no train clip of 80 frames"):
        ClipWindowSampler(data[0], "train", 80)
    write_talking(tmp_path, coefficients="bfm")
    with pytest.raises(WeightsError, match="--face-model"):
        SadTalkerExpNetRecipe(tmp_path, speech_model_size("tiny"))
