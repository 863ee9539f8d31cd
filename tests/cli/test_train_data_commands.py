"""``sadtalker train practice`` and ``prepare``: several processes and error messages."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.cli import train as train_command
from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.training.clips.dataset import ClipStore

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from synthetic_videos import VOICE, empty_scene, write


def run(*words):
    parser = argparse.ArgumentParser()
    train_command.add_command(parser.add_subparsers())
    options = parser.parse_args([str(word) for word in words])
    return options.run(options)


def test_practice_does_not_depend_on_the_number_of_processes(tmp_path, capsys):
    for processes, folder in ((2, tmp_path / "two"), (1, tmp_path / "one")):
        options = ("--clips", 2, "--seconds", 0.4, "--size", 64, "--speech", VOICE, "--processes", processes)
        assert run("train", "practice", "-o", folder, *options) == 0
        info = json.loads(capsys.readouterr().out)
        assert info["clips"] == {"train": 2, "test": 1}
    for name in ("train-000000.tar", "train-000001.tar", "test-000000.tar", "card.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert len(ClipStore(tmp_path / "one").read_clip(1)) == 10


def test_prepare_reports_why_videos_are_unusable(tmp_path):
    write(tmp_path / "videos" / "meadow.mp4", empty_scene((96, 128, 3), 6))
    message = r"has no usable clip \(.+\); .*report\.md lists the reasons. Use videos with sound"
    with pytest.raises(MediaError, match=message):
        run("train", "prepare", tmp_path / "videos", "-o", tmp_path / "data", "--size", 64)
    assert "| no face | 0.2 |" in (tmp_path / "data" / "report.md").read_text()


def test_invalid_options_are_refused(tmp_path, capsys):
    with pytest.raises(SettingsError, match="--clips is 0"):
        run("train", "practice", "-o", tmp_path, "--clips", 0)
    with pytest.raises(SettingsError, match="--processes is 0"):
        run("train", "prepare", tmp_path, "-o", tmp_path / "data", "--processes", 0)
    assert main(["train", "prepare", str(tmp_path / "nowhere"), "-o", str(tmp_path / "data")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert not np.any([path.name == "data" for path in tmp_path.iterdir()])
