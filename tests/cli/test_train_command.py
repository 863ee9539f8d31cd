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
