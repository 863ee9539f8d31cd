"""The shipped networks of the starter engine: round trip, header, and refusal of invalid files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.pose_cvae import PoseCvae, PoseCvaeConfig
from sadtalker_ext.models.speech_to_expression import SpeechToExpression, SpeechToExpressionConfig
from sadtalker_ext.weights.safetensors_file import tensors_sha256
from sadtalker_ext.weights.starter import (
    POSE_CVAE_FILE,
    SPEECH_TO_EXPRESSION_FILE,
    load_pose_cvae,
    load_speech_to_expression,
    save_pose_cvae,
    save_speech_to_expression,
)

SMALL = SpeechToExpressionConfig(stem=8, width=8, dilations=(1, 2))


def read_header(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata()


@pytest.fixture
def saved(tmp_path: Path):
    torch.manual_seed(1)
    network = SpeechToExpression(SMALL).eval()
    path = tmp_path / "net.safetensors"
    save_speech_to_expression(network, path, {"recipe": "exp_net"})
    return path, network


def test_round_trip_restores_the_network(saved):
    path, network = saved
    loaded = load_speech_to_expression(path)
    assert loaded.config == SMALL
    mel = torch.randn(1, 80, 4 * (2 * network.context + 5)) - 8
    assert torch.equal(loaded(mel), network(mel))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_loading_leaves_the_random_numbers_of_the_program_alone(saved):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    load_speech_to_expression(saved[0])
    load_pose_cvae()
    assert torch.equal(torch.rand(4), expected)


def test_shipped_speech_to_expression_has_a_complete_header():
    header = read_header(SPEECH_TO_EXPRESSION_FILE)
    assert SPEECH_TO_EXPRESSION_FILE.stat().st_size <= 6_000_000
    assert header["kind"] == "starter exp_net"
    assert header["recipe"] == "exp_net"
    assert "synthetic speech" in header["data"]
    assert len(header["commit"]) == 40
    assert json.loads(header["plan"])["steps"] > 0
    assert header["sha256"] == tensors_sha256(load_file(SPEECH_TO_EXPRESSION_FILE))
    assert load_speech_to_expression().config.shapes == 7


def test_a_changed_tensor_is_detected(saved, tmp_path):
    path, _ = saved
    tensors = load_file(path)
    tensors["head.bias"] += 1e-3
    save_file(tensors, tmp_path / "bad.safetensors", metadata=read_header(path))
    with pytest.raises(WeightsError, match="do not match its hash"):
        load_speech_to_expression(tmp_path / "bad.safetensors")


def test_a_file_of_another_kind_is_refused(saved, tmp_path):
    path, _ = saved
    save_file(load_file(path), tmp_path / "other.safetensors", metadata={"kind": "starter pose_vae"})
    with pytest.raises(WeightsError, match="contains 'starter pose_vae', not 'starter exp_net'"):
        load_speech_to_expression(tmp_path / "other.safetensors")


def test_missing_and_unexpected_tensors_are_named(saved, tmp_path):
    path, _ = saved
    tensors = load_file(path)
    del tensors["head.bias"]
    tensors["extra"] = torch.zeros(1)
    header = {**read_header(path), "sha256": tensors_sha256(tensors)}
    save_file(tensors, tmp_path / "odd.safetensors", metadata=header)
    with pytest.raises(WeightsError, match=r"head\.bias") as caught:
        load_speech_to_expression(tmp_path / "odd.safetensors")
    assert "extra" in str(caught.value)


def test_missing_and_truncated_files_are_refused(saved, tmp_path):
    path, _ = saved
    with pytest.raises(WeightsError, match="cannot be read"):
        load_speech_to_expression(tmp_path / "none.safetensors")
    (tmp_path / "half.safetensors").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_speech_to_expression(tmp_path / "half.safetensors")


@pytest.fixture
def saved_pose(tmp_path: Path):
    torch.manual_seed(0)
    network = PoseCvae(PoseCvaeConfig(styles=("a", "b"), width=16))
    path = tmp_path / "pose.safetensors"
    save_pose_cvae(network, path, {"recipe": "pose_vae", "commit": "abc"})
    return network, path


def test_pose_cvae_round_trip_keeps_config_and_weights_in_half_precision(saved_pose):
    network, path = saved_pose
    loaded = load_pose_cvae(path)
    assert loaded.config == network.config
    for name, value in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    assert not loaded.training
    header = read_header(path)
    assert header["recipe"] == "pose_vae"
    assert json.loads(header["config"])["styles"] == ["a", "b"]
    assert not path.with_name("pose.safetensors.part").exists()


def test_a_config_that_does_not_fit_the_tensors_is_refused(saved_pose, tmp_path: Path):
    network, _ = saved_pose
    other = PoseCvae(PoseCvaeConfig(styles=("a", "b"), width=32))
    other.config = network.config
    save_pose_cvae(other, tmp_path / "odd.safetensors", {})
    with pytest.raises(WeightsError, match="does not fit"):
        load_pose_cvae(tmp_path / "odd.safetensors")


def test_shipped_pose_cvae_is_small_and_has_a_complete_header():
    assert POSE_CVAE_FILE.stat().st_size < 1.5e6
    header = read_header(POSE_CVAE_FILE)
    assert {"recipe", "data", "commit", "plan", "config", "sha256"} <= set(header)
    assert "Synthetic" in header["data"]
    network = load_pose_cvae()
    assert len(network.config.styles) >= 8
    assert all(np.isfinite(value.numpy()).all() for value in network.state_dict().values())
