"""``sadtalker train`` for the SadTalker engine's networks: files, and refusals in a sentence."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def data(tmp_path, monkeypatch):
    from talking_clips import write_talking

    write_talking(tmp_path / "data")
    return tmp_path / "data"


def test_the_networks_that_hear_are_trained(program, data, tmp_path):
    run, options = tmp_path / "run", ("--data", data, "--config", "tiny", "--steps", 1)
    for command, folder in (("sadtalker_exp_net", "exp_net"), ("sadtalker_pose_vae", "pose_vae")):
        assert program("train", command, *options, "--out", run / folder) == 0
        assert json.loads(program.out) == {"weights": str(run / folder / f"{folder}.safetensors")}
        assert (run / folder / f"{folder}.safetensors").is_file()
    words = program.refused("train", "export", run, "-o", tmp_path / "export")
    assert "has no finished renderer, mapping_70, mapping_73" in words


def test_what_cannot_be_is_refused(program, tmp_path):
    assert "--steps is 0" in program.refused("train", "all", "--config", "tiny", "--out", tmp_path, "--steps", 0)
    (tmp_path / "empty").mkdir()
    words = program.refused(
        "train", "sadtalker_exp_net", "--data", tmp_path / "empty", "--config", "tiny", "--out", tmp_path / "run"
    )
    assert "no finished data set" in words


def test_the_help_tells_how_an_export_is_used(program):
    with pytest.raises(SystemExit):
        program("train", "export", "--help")
    words = " ".join(program._capsys.readouterr().out.split())
    assert "--engine sadtalker --folder FOLDER" in words
    assert "whatever --size says" in words
