"""``sadtalker train renderer`` and ``mapping_net``: tiny networks, and error messages."""

from __future__ import annotations

import json
import sys

import pytest

TINY = ("--config", "tiny", "--steps", 1, "--batch-size", 2)


@pytest.fixture
def data(tmp_path, monkeypatch):
    from talking_clips import write_talking

    write_talking(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("memory", ["--gradient-checkpointing", "--recompute"])
def test_renderer_and_mapping_net(program, data, tmp_path, memory):
    shared = ("--data", data, *TINY)
    assert program("train", "renderer", *shared, "--accumulate", 2, memory, "--out", tmp_path / memory) == 0
    assert set(json.loads(program.out)["weights"]) == {
        "keypoint_detector", "head_estimator", "generator", "discriminator",
    }  # fmt: skip
    mapping = ("train", "mapping_net", "--renderer", tmp_path / memory, "--coefficients", 73)
    assert program(*mapping, *shared, "--out", tmp_path / "m") == 0
    assert json.loads(program.out)["weights"] == str(tmp_path / "m" / "mapping_73.safetensors")
    message = program.refused(*mapping, "--data", data, "--config", "small", "--out", tmp_path / "n")
    assert "has no renderer of the size small" in message


def test_too_small_data_and_missing_torchvision_are_refused(program, data, tmp_path, monkeypatch):
    renderer = ("train", "renderer", "--data", data, "--out", tmp_path / "r")
    assert "choose a smaller --config" in program.refused(*renderer, "--config", "small")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert "pip install torchvision" in program.refused(*renderer, "--config", "full")
