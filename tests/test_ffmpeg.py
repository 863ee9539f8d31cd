import os
import subprocess
import sys

import pytest

from sadtalker_ext import ffmpeg
from sadtalker_ext.errors import MediaError, MissingPackageError


def test_the_program_runs_and_is_not_the_systems():
    said = subprocess.run([ffmpeg.ffmpeg_program(), "-version"], check=True, capture_output=True, text=True).stdout
    assert said.startswith("ffmpeg version")
    assert "imageio_ffmpeg" in ffmpeg.ffmpeg_program()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingPackageError, match="pip install imageio-ffmpeg"):
        ffmpeg.ffmpeg_program.__wrapped__()


def test_the_complaint_is_told_without_addresses_and_consequences():
    lines = [
        "[in#0 @ 0x5601b2a62d80] Error opening input: Invalid data found when processing input",
        "Error opening input file file:/tmp/t.wav.",
        "Error opening input files: Invalid data found when processing input",
    ]
    assert ffmpeg.last_words(lines) == "Error opening input: Invalid data found when processing input"
    assert ffmpeg.last_words([]) == "no reason given"
    assert ffmpeg.last_words(["Conversion failed!"]) == "Conversion failed!"


def test_leaving_the_block_ends_the_process():
    with ffmpeg.Ffmpeg(["-f", "lavfi", "-i", "anullsrc", "-f", "u8", "-"]) as process:
        assert len(process.stdout.read(1000)) == 1000
    assert process.finish() != 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(MediaError, match="no ordinary file"):
        ffmpeg.require_file(tmp_path / "pipe.wav", "sound")


def test_a_name_with_a_nul_character_is_refused():
    with pytest.raises(MediaError, match="sound"):
        ffmpeg.require_file("a\0b", "sound")
