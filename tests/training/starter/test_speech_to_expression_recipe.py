"""The recipe runs three steps on synthetic data, resumes exactly, and writes a file that the engine opens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_speech import synthetic_stream

from sadtalker_ext.cli.train_flags import code_version
from sadtalker_ext.engines.starter.speech_motion import open_speech_to_motion
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.speech_to_expression import LogMel, SpeechToExpressionConfig
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.core.run_log import read_run_log
from sadtalker_ext.training.starter.speech_features import compute_features
from sadtalker_ext.training.starter.speech_to_expression import (
    SpeechToExpressionRecipe,
    train_speech_to_expression,
)
from sadtalker_ext.weights.safetensors_file import read_safetensors_file
from sadtalker_ext.weights.starter import SPEECH_TO_EXPRESSION_KIND

SMALL = SpeechToExpressionConfig(stem=16, width=24, dilations=(1, 2))
PLAN = Plan(steps=3, batch_size=2, learning_rate=1e-3, warmup_steps=1, log_every=1, validate_every=3, save_every=3)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    random = np.random.default_rng(0)
    transform = LogMel(SMALL)
    for name in ("rms-000-round0", "ked_diphone-000-round0", "rms-000-test", "ked_diphone-000-test"):
        compute_features([synthetic_stream(random) for _ in range(2)], transform).save(folder / f"{name}.npz")
    return folder


def test_three_steps_write_a_file_that_the_engine_opens(features: Path, tmp_path: Path):
    path = train_speech_to_expression(SpeechToExpressionRecipe(features, SMALL), tmp_path, PLAN, code_version())
    mouth = open_speech_to_motion(path).predict(iter([np.zeros(16000, np.float32)]), 25)
    assert mouth.shape == (25, 8)
    names = {name for _, name, _ in read_run_log(tmp_path / "losses.csv")}
    assert {"shape", "speed", "opening", "width", "closure", "phones", "validation_unseen_opening_r"} <= names
    assert len(list((tmp_path / "samples" / "0000003").glob("*.svg"))) == 2
    header = read_safetensors_file(path, SPEECH_TO_EXPRESSION_KIND).header
    assert {"recipe", "plan", "data", "commit", "sha256", "config", "kind", "figures"} <= set(header)
    assert json.loads(header["plan"])["steps"] == 3


def test_training_starts_from_given_weights(features: Path, tmp_path: Path):
    first = train_speech_to_expression(SpeechToExpressionRecipe(features, SMALL), tmp_path / "a", PLAN, code_version())
    again = SpeechToExpressionRecipe(features, start=first)
    assert again.config == SMALL
    initial = again.build()["reader"].exp_net.state_dict()
    shipped = open_speech_to_motion(first).network.state_dict()
    assert all(torch.equal(initial[key], shipped[key]) for key in shipped)
    second = train_speech_to_expression(again, tmp_path / "b", PLAN, code_version())
    header = read_safetensors_file(second, SPEECH_TO_EXPRESSION_KIND).header
    assert json.loads(header["started_from"])["recipe"] == "exp_net"


def test_training_resumes_exactly(features: Path, tmp_path: Path):
    plan = replace(PLAN, steps=6)
    whole = train(SpeechToExpressionRecipe(features, SMALL), plan, tmp_path / "whole")["reader"].state_dict()
    train(SpeechToExpressionRecipe(features, SMALL), plan, tmp_path / "split", stop_after=3)
    split = train(SpeechToExpressionRecipe(features, SMALL), plan, tmp_path / "split")["reader"].state_dict()
    assert all(torch.equal(whole[key], split[key]) for key in whole)


def test_unseen_voices_are_excluded_from_training(features: Path):
    held_out = SpeechToExpressionRecipe(features, SMALL)
    all_voices = SpeechToExpressionRecipe(features, SMALL, hold_out=False)
    assert len(all_voices.train_set) == 2 * len(held_out.train_set) == 4
    assert len(held_out.unseen) == 2


def test_training_improves_on_synthetic_speech(features: Path, tmp_path: Path):
    recipe = SpeechToExpressionRecipe(features, SMALL)
    before = recipe.validate(recipe.build())
    plan = replace(PLAN, steps=60, learning_rate=5e-3, warmup_steps=10, batch_size=4, ema_decay=0.9, log_every=20)
    after = recipe.validate(train(recipe, replace(plan, validate_every=60, save_every=60), tmp_path))
    assert after["unseen_opening_r"] > max(0.6, before["unseen_opening_r"] + 0.2)


def test_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(WeightsError, match="make them with: sadtalker train corpus"):
        SpeechToExpressionRecipe(tmp_path, SMALL)
