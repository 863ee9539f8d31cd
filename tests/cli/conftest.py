"""What the tests of the command line share: a way to run it, a real portrait and short voices."""

import wave

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.cli.demo import demo_portrait
from sadtalker_ext.cli.main import main

RATE_HZ = 16000


class Program:
    """Runs command lines in this process, in a folder of their own."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *words):
        code = main([str(word) for word in words])
        self.out, self.err = self._capsys.readouterr()
        return code

    def refused(self, *words):
        """Run a line that must be refused: exit code 2, one sentence, no file made or changed. Returns the sentence."""
        before = self.files()
        code = self(*words, "--quiet") if words[0] == "animate" else self(*words)
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
    """Writes a buzz whose loudness rises and falls four times a second, and returns its path."""

    def make(name, seconds, loudness=0.3):
        time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        buzz = loudness * np.sin(2 * np.pi * 4 * time_s) ** 2 * np.sign(np.sin(2 * np.pi * 140 * time_s))
        path = tmp_path / name
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes((32767 * buzz).astype("<i2").tobytes())
        return path

    return make


@pytest.fixture
def voice(make_voice):
    return make_voice("voice.wav", 0.4)


@pytest.fixture
def portrait(tmp_path):
    """The demo's photograph at half its size, so that a frame takes little time."""
    path = tmp_path / "portrait.png"
    Image.open(demo_portrait()).convert("RGB").resize((256, 256), Image.LANCZOS).save(path)
    return path
