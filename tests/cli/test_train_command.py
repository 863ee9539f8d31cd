"""``sadtalker train`` for the starter engine: three CPU steps from the command line, and error messages."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.cli import mesh, serve, train_check, train_sadtalker
from sadtalker_ext.cli import train as train_command
from sadtalker_ext.cli.main import main
from sadtalker_ext.cli.train_flags import code_version
from sadtalker_ext.errors import MissingPackageError, SettingsError
from sadtalker_ext.models.speech_to_expression import LogMel, SpeechToExpressionConfig
from sadtalker_ext.training.corpus import voices as voices_module
from sadtalker_ext.training.corpus.augment import Stream
from sadtalker_ext.training.corpus.phonemes import SYMBOL_INDEX
from sadtalker_ext.training.starter import speech_features as features_module


def run(*words):
    parser = argparse.ArgumentParser()
    train_command.add_command(parser.add_subparsers())
    options = parser.parse_args([str(word) for word in words])
    return options.run(options)


def tone_stream(random):
    """Return speech of two alternating phones: a loud tone and silence."""
    lengths = random.uniform(0.1, 0.3, 20)
    ends = np.cumsum(lengths)
    symbols = np.array([SYMBOL_INDEX["a"], SYMBOL_INDEX["m"]] * 10)
    phones = features_module.Phones(ends - lengths, ends, np.zeros(20), symbols)
    times = np.arange(int(ends[-1] * 16000)) / 16000
    loud = symbols[np.clip(np.searchsorted(ends, times), 0, 19)] == SYMBOL_INDEX["a"]
    return Stream((0.2 * loud * np.sin(2 * np.pi * 300 * times)).astype(np.float32), phones)


def test_three_steps_from_the_command_line(tmp_path: Path, capsys):
    folder = tmp_path / "data" / "features"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("rms-000-round0", "rms-000-test"):
        features = features_module.compute_features([tone_stream(random)], LogMel(SpeechToExpressionConfig()))
        features.save(folder / f"{name}.npz")
    options = ("--steps", 3, "--batch-size", 1, "--seed", 4)
    assert run("train", "speech_to_expression", "--data", tmp_path / "data", "--out", tmp_path / "out", *options) == 0
    weights = Path(json.loads(capsys.readouterr().out)["weights"])
    assert weights.exists()
    assert (tmp_path / "out" / "losses.csv").exists()


def test_invalid_options_are_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="--batch-size is 0"):
        run("train", "pose_cvae", "--out", tmp_path, "--batch-size", 0)
    with pytest.raises(SettingsError, match="--hours is -1"):
        run("train", "corpus", "--out", tmp_path, "--hours", -1)


def test_corpus_names_missing_packages(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(voices_module.shutil, "which", lambda name: None)
    with pytest.raises(MissingPackageError, match="apt-get install"):
        run("train", "corpus", "--out", tmp_path)


def test_code_version_is_a_commit_or_a_version():
    assert len(code_version()) == 40 or "." in code_version()


@pytest.mark.parametrize(
    ("words", "module", "message"),
    [
        (["train", "exp_net", "--data", "data", "--out", "run"], train_sadtalker, "to resume the run"),
        (["train", "check", "data"], train_check, "stopped"),
        (["serve"], serve, "stopped"),
        (["mesh", "a.png", "a.wav", "-o", "a.glb"], mesh, "no partial output was kept"),
    ],
)
def test_the_message_after_ctrl_c_suits_the_command(words, module, message, monkeypatch, capsys, tmp_path):
    def interrupt(_options):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, f"_{words[1]}" if words[0] == "train" else "run", interrupt)
    assert main(words) == 130
    assert capsys.readouterr().err.strip().endswith(message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["practice", "-o", "new", "--size", "100000"], "--size is 100000; it must be a multiple of 16 pixels, at"),
        (["practice", "-o", "new", "--clips", "9" * 14], "--clips is 99999999999999; it must be from 1 to"),
        (["prepare", "text", "-o", "new", "--size", "4096"], "--size is 4096; it must be a multiple of 16"),
        (["all", "--out", "new", "--lip-reader", "none.safetensors"], "none.json"),
        (["all", "--out", "new", "--face-model", "text"], "text cannot be read as a MATLAB file"),
        (["all", "--out", "run"], "The record run/run.json cannot be read"),
        (["all", "--out", "list"], "The record list/run.json is not a JSON object"),
        (["exp_net", "--data", "list", "--out", "new"], "list/card.json cannot be read: it has no 'identities'"),
    ],
)
def test_what_a_later_stage_cannot_use_is_refused_first(tmp_path, monkeypatch, capsys, words, message):
    """No folder is made, and a damaged record is named."""
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("hello")
    for folder, content in (("run", "["), ("list", "[1]")):
        Path(folder).mkdir()
        Path(folder, "run.json").write_text(content)
    Path("list", "card.json").write_text("{}")
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("new").exists()
