"""Fixtures of the command line tests: a runner, a real portrait and short voices."""

import wave

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.cli.demo import demo_portrait
from sadtalker_ext.cli.main import main
from sadtalker_ext.constants import SAMPLE_RATE_HZ


class Program:
    """Runs command lines in this process, in a folder of the test."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments):
        code = main([str(argument) for argument in arguments])
        self.out, self.err = self._capsys.readouterr()
        return code

    def refused(self, *arguments):
        """Return the error message of a command line that fails with exit code 2 and does not change any file."""
        before = self.files()
        code = self(*arguments, "--quiet") if arguments[0] == "animate" else self(*arguments)
        assert (code, self.out) == (2, "")
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("sadtalker: ")
        assert self.files() == before
        return lines[0].removeprefix("sadtalker: ")

    def files(self):
        return {path: path.stat().st_mtime_ns for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def program(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Program(tmp_path, capsys)


@pytest.fixture
def make_voice(tmp_path):
    """Write a buzz with four syllables per second, and return its path."""

    def make(name, seconds, loudness=0.3):
        time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        samples = loudness * np.sin(2 * np.pi * 4 * time_s) ** 2 * np.sign(np.sin(2 * np.pi * 140 * time_s))
        path = tmp_path / name
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            file.writeframes((32767 * samples).astype("<i2").tobytes())
        return path

    return make


@pytest.fixture
def voice(make_voice):
    return make_voice("voice.wav", 0.4)


@pytest.fixture
def portrait(tmp_path):
    """The demo portrait at half its size, which renders faster."""
    path = tmp_path / "portrait.png"
    Image.open(demo_portrait()).convert("RGB").resize((256, 256), Image.LANCZOS).save(path)
    return path
