"""Files of our own networks: round trip, what the header says, and every way a file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.speech_to_expression import SpeechToExpression, SpeechToExpressionConfig
from sadtalker_ext.weights.safetensors_file import tensors_sha256
from sadtalker_ext.weights.starter import (
    SPEECH_TO_EXPRESSION_FILE,
    load_speech_to_expression,
    save_speech_to_expression,
)

SMALL = SpeechToExpressionConfig(stem=8, width=8, dilations=(1, 2))


def header_of(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata()


@pytest.fixture
def written(tmp_path: Path):
    torch.manual_seed(1)
    network = SpeechToExpression(SMALL).eval()
    path = tmp_path / "net.safetensors"
    save_speech_to_expression(network, path, {"recipe": "exp_net"})
    return path, network


def test_round_trip_gives_the_same_network(written):
    path, network = written
    again = load_speech_to_expression(path)
    assert again.config == SMALL
    mel = torch.randn(1, 80, 4 * (2 * network.context + 5)) - 8
    assert torch.equal(again(mel), network(mel))
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_the_shipped_file_says_what_it_is():
    header = header_of(SPEECH_TO_EXPRESSION_FILE)
    assert SPEECH_TO_EXPRESSION_FILE.stat().st_size <= 6_000_000
    assert header["kind"] == "starter exp_net"
    assert header["recipe"] == "exp_net"
    assert "synthetic speech" in header["data"]
    assert len(header["commit"]) == 40
    assert json.loads(header["plan"])["steps"] > 0
    assert header["sha256"] == tensors_sha256(load_file(SPEECH_TO_EXPRESSION_FILE))
    assert load_speech_to_expression().config.shapes == 7


def test_damage_is_noticed(written, tmp_path):
    path, _ = written
    tensors = load_file(path)
    tensors["head.bias"] += 1e-3
    save_file(tensors, tmp_path / "bad.safetensors", metadata=header_of(path))
    with pytest.raises(WeightsError, match="do not match its hash"):
        load_speech_to_expression(tmp_path / "bad.safetensors")


def test_another_kind_is_refused(written, tmp_path):
    path, _ = written
    save_file(load_file(path), tmp_path / "other.safetensors", metadata={"kind": "starter pose_vae"})
    with pytest.raises(WeightsError, match="holds 'starter pose_vae', not 'starter exp_net'"):
        load_speech_to_expression(tmp_path / "other.safetensors")


def test_missing_and_left_over_tensors_are_named(written, tmp_path):
    path, _ = written
    tensors = load_file(path)
    del tensors["head.bias"]
    tensors["extra"] = torch.zeros(1)
    header = {**header_of(path), "sha256": tensors_sha256(tensors)}
    save_file(tensors, tmp_path / "odd.safetensors", metadata=header)
    with pytest.raises(WeightsError, match=r"head\.bias") as caught:
        load_speech_to_expression(tmp_path / "odd.safetensors")
    assert "extra" in str(caught.value)


def test_no_file_and_half_a_file_are_sentences(written, tmp_path):
    path, _ = written
    with pytest.raises(WeightsError, match="cannot be read"):
        load_speech_to_expression(tmp_path / "none.safetensors")
    (tmp_path / "half.safetensors").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_speech_to_expression(tmp_path / "half.safetensors")
