import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sadtalker_ext import ffmpeg
from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.errors import Cancelled, MediaError, MissingPackageError
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.pipeline.stages import ParallelStages, Stopwatch
from sadtalker_ext.video.metadata import read_metadata
from sadtalker_ext.video.picture import read_picture
from sadtalker_ext.video.read import probe, read_frames
from sadtalker_ext.video.write import VideoSpec, write_video

POSIX = pytest.mark.skipif(os.name != "posix", reason="the stand-in for ffmpeg is a shell script")


def test_program_runs_and_is_not_the_system_ffmpeg():
    said = subprocess.run([ffmpeg.ffmpeg_program(), "-version"], check=True, capture_output=True, text=True).stdout
    assert said.startswith("ffmpeg version")
    assert "imageio_ffmpeg" in ffmpeg.ffmpeg_program()


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingPackageError, match="pip install imageio-ffmpeg"):
        ffmpeg.ffmpeg_program.__wrapped__()


def test_last_message_omits_addresses_and_follow_up_errors():
    lines = [
        "[in#0 @ 0x5601b2a62d80] Error opening input: Invalid data found when processing input",
        "Error opening input file file:/tmp/t.wav.",
        "Error opening input files: Invalid data found when processing input",
    ]
    assert ffmpeg.last_message(lines) == "Error opening input: Invalid data found when processing input"
    assert ffmpeg.last_message([]) == "no reason given"
    assert ffmpeg.last_message(["Conversion failed!"]) == "Conversion failed!"


def test_leaving_the_block_ends_the_process():
    with ffmpeg.Ffmpeg(["-f", "lavfi", "-i", "anullsrc", "-f", "u8", "-"]) as process:
        assert len(process.stdout.read(1000)) == 1000
    assert process.finish() != 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_named_pipe_is_rejected(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(MediaError, match="not a regular file"):
        ffmpeg.require_file(tmp_path / "pipe.wav", "sound")


def test_name_with_a_nul_character_is_rejected():
    with pytest.raises(MediaError, match="sound"):
        ffmpeg.require_file("a\0b", "sound")


@pytest.fixture
def tone(tmp_path):
    soundfile.write(tmp_path / "tone.wav", np.sin(np.arange(16000) / 8) / 2, 16000)
    return tmp_path / "tone.wav"


@pytest.fixture
def stuck(tmp_path, monkeypatch):
    """Replace ffmpeg by a program that never ends, as if a disk did not respond."""
    program = tmp_path / "stuck"
    program.write_text("#!/bin/sh\nexec sleep 600\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_program", lambda: str(program))
    return program


def black(count):
    for _ in range(count):
        yield np.zeros((64, 64, 3), np.uint8)


def write_silent(path):
    return write_video(black(2), path.with_name("out.mp4"), VideoSpec())


WAITS = {
    "probe": probe,
    "frames": lambda path: next(read_frames(path)),
    "tags": read_metadata,
    "sound": open_speech,
    "picture": lambda path: read_picture(path, 512),
    "write": write_silent,
}


@POSIX
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_every_wait_has_a_limit(tone, stuck, monkeypatch, wait):
    monkeypatch.setattr(ffmpeg, "PROBE_LIMIT_S", 0.5)
    monkeypatch.setattr(ffmpeg, "STALL_LIMIT_S", 0.5)
    began_s = time.monotonic()
    with pytest.raises(MediaError) as caught:
        wait(tone)
    assert time.monotonic() - began_s < 3
    assert "\n" not in str(caught.value)
    assert "made no progress" in str(caught.value)
    assert sorted(file.name for file in tone.parent.iterdir()) == ["stuck", "tone.wav"]


@POSIX
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_cancelling_ends_a_wait_within_a_second(tone, stuck, wait):
    cancelled = threading.Event()
    watcher = Watcher(cancelled=cancelled.is_set)
    timer = threading.Timer(0.4, cancelled.set)
    timer.start()
    began_s = time.monotonic()
    with pytest.raises(Cancelled), ffmpeg.interruptible(watcher.check):
        wait(tone)
    assert 0.3 < time.monotonic() - began_s < 1.6
    timer.join()


@POSIX
def test_cancelled_stage_ends_its_reader(tone, stuck):
    cancelled, ended = threading.Event(), threading.Event()

    def read():
        try:
            open_speech(tone)
        except Cancelled:
            ended.set()
            raise

    watcher = Watcher(cancelled=cancelled.is_set)
    with ParallelStages(watcher, Stopwatch()) as stages:
        future = stages.begin("voice", read)
        cancelled.set()
        with pytest.raises(Cancelled):
            stages.result(future)
    assert ended.wait(1.5)


@POSIX
def test_exception_of_the_check_is_passed_on(tone, stuck):
    def late():
        raise MediaError("The work took longer than allowed")

    with pytest.raises(MediaError, match="longer than allowed"), ffmpeg.interruptible(late):
        probe(tone)
    with ffmpeg.interruptible(lambda: None):
        pass
    assert ffmpeg._CHECK.get() is ffmpeg._no_check


@POSIX
def test_slow_read_with_progress_is_not_stopped(tmp_path, monkeypatch):
    program = tmp_path / "slow"
    program.write_text("#!/bin/sh\nfor i in 1 2 3 4 5 6; do sleep 0.4; printf x; done\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_program", lambda: str(program))
    monkeypatch.setattr(ffmpeg, "STALL_LIMIT_S", 1.0)
    with ffmpeg.Ffmpeg([]) as process:
        assert b"".join(ffmpeg.read_blocks(process.stdout, 1)) == b"xxxxxx"
        assert process.finish() == 0


def test_slow_consumer_is_not_a_stall(tone, monkeypatch):
    monkeypatch.setattr(ffmpeg, "STALL_LIMIT_S", 0.5)
    blocks = open_speech(tone).blocks(seconds=0.5)
    first = next(blocks)
    time.sleep(1.2)
    assert len(first) + sum(map(len, blocks)) == 16000


@POSIX
def test_growing_output_is_progress(tmp_path, monkeypatch):
    """The last pass over a long video takes no frames for minutes."""
    program, output = tmp_path / "slow", tmp_path / "out"
    program.write_text(f"#!/bin/sh\ncat\nfor i in 1 2 3 4 5; do sleep 0.4; echo x >>{output}; done\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_program", lambda: str(program))
    monkeypatch.setattr(ffmpeg, "STALL_LIMIT_S", 1.0)
    with ffmpeg.Ffmpeg([], feed=True, output=output) as process:
        process.stdin.write(b"frame")
        assert process.finish() == 0
    with pytest.raises(MediaError, match="no progress"), ffmpeg.Ffmpeg([], feed=True) as process:
        process.finish()


@POSIX
def test_endless_messages_take_little_memory(tmp_path, monkeypatch):
    import tracemalloc

    program = tmp_path / "chatty"
    program.write_text("#!/bin/sh\nhead -c 60000000 /dev/zero >&2\nyes message | head -n 200000 >&2\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_program", lambda: str(program))
    tracemalloc.start()
    text = ffmpeg.read_header(Path("a.wav"), "audio file")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert text.endswith("message")
    assert peak < 20_000_000


@POSIX
def test_stall_shows_the_display_name_instead_of_the_path(tone, stuck, monkeypatch):
    monkeypatch.setattr(ffmpeg, "PROBE_LIMIT_S", 0.5)
    with pytest.raises(MediaError) as caught:
        probe(tone, "reference")
    message = caught.value.describe({tone: "me.mp4"})
    assert message.startswith("Reading the header of the reference me.mp4 made no progress")
    assert str(tone.parent) not in message
