"""``sadtalker train renderer`` and ``mapping_net``: one after the other, and refusals in one sentence."""

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


def test_a_renderer_and_its_mapping(program, data, tmp_path):
    shared = ("--data", data, *TINY)
    assert program("train", "renderer", *shared, "--accumulate", 2, "--recompute", "--out", tmp_path / "r") == 0
    assert set(json.loads(program.out)["weights"]) == {
        "keypoint_detector", "head_estimator", "generator", "discriminator",
    }  # fmt: skip
    mapping = ("train", "mapping_net", "--renderer", tmp_path / "r", "--coefficients", 73)
    assert program(*mapping, *shared, "--out", tmp_path / "m") == 0
    assert json.loads(program.out)["weights"] == str(tmp_path / "m" / "mapping_73.safetensors")
    words = program.refused(*mapping, "--data", data, "--config", "small", "--out", tmp_path / "n")
    assert "holds no renderer of the size small" in words


def test_sizes_agree_with_the_data_and_vgg_with_what_is_installed(program, data, tmp_path, monkeypatch):
    renderer = ("train", "renderer", "--data", data, "--out", tmp_path / "r")
    assert "choose a smaller --config" in program.refused(*renderer, "--config", "small")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert "pip install torchvision" in program.refused(*renderer, "--config", "full")
