"""``sadtalker train`` for the SadTalker engine: written files and error messages."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def data(tmp_path, monkeypatch):
    from talking_clips import write_talking

    write_talking(tmp_path / "data")
    return tmp_path / "data"


def test_speech_networks_are_trained(program, data, tmp_path):
    run, options = tmp_path / "run", ("--data", data, "--config", "tiny", "--steps", 1)
    for name in ("exp_net", "pose_vae"):
        assert program("train", name, *options, "--out", run / name) == 0
        assert json.loads(program.out) == {"weights": str(run / name / f"{name}.safetensors")}
        assert (run / name / f"{name}.safetensors").is_file()
    message = program.refused("train", "export", run, "-o", tmp_path / "export")
    assert "has no finished renderer, mapping_70, mapping_73" in message


def test_invalid_options_are_refused(program, tmp_path):
    assert "--steps is 0" in program.refused("train", "all", "--config", "tiny", "--out", tmp_path, "--steps", 0)
    (tmp_path / "empty").mkdir()
    message = program.refused(
        "train", "exp_net", "--data", tmp_path / "empty", "--config", "tiny", "--out", tmp_path / "run"
    )
    assert "not a finished data set" in message


def test_export_help_explains_how_to_use_the_export(program):
    with pytest.raises(SystemExit):
        program("train", "export", "--help")
    message = " ".join(program._capsys.readouterr().out.split())
    assert "--engine sadtalker --folder FOLDER" in message
    assert "--size is ignored" in message
