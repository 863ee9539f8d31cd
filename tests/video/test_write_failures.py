"""Failed writing of a video: its message, and that no file remains."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from sample_frames import is_temporary, natural, nothing_left, still

from sadtalker_ext.errors import Cancelled, MediaError
from sadtalker_ext.video.read import probe
from sadtalker_ext.video.write import VideoSpec, write_video


def test_older_result_is_replaced_only_by_a_complete_one(tmp_path):
    old = tmp_path / "o.mp4"
    old.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_video(failing(RuntimeError("renderer")), old, VideoSpec())
    assert old.read_bytes() == b"old"
    write_video(still(3), old, VideoSpec())
    assert probe(old).has_video
    assert nothing_left(tmp_path, "o.mp4")


def failing(error, after=20):
    yield from still(after)
    raise error


@pytest.mark.parametrize("after", [0, 1, 30])
@pytest.mark.parametrize("error", [RuntimeError(), OSError(), KeyboardInterrupt(), Cancelled(), GeneratorExit()])
def test_nothing_remains_when_frames_fail(tmp_path, error, after):
    threads = threading.active_count()
    with pytest.raises(type(error)) as caught:
        write_video(failing(error, after), tmp_path / "o.mp4", VideoSpec())
    assert caught.value is error
    assert nothing_left(tmp_path)
    assert threading.active_count() == threads


ENDLESS = """
import signal, sys, numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes what runs in the background deaf to it
from sadtalker_ext.video.write import VideoSpec, write_video
def frames():
    for number in range(10**9):
        if number == 50:
            print("running", flush=True)
        yield np.zeros((64, 64, 3), np.uint8)
write_video(frames(), sys.argv[1], VideoSpec())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", ENDLESS, str(tmp_path / "o.mp4")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "running\n"
        assert [is_temporary(name) for name in os.listdir(tmp_path)] == [True]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert "KeyboardInterrupt" in said
    assert nothing_left(tmp_path)


def test_frames_are_written_to_a_temporary_file(tmp_path):
    seen = []

    def frames():
        for frame in still(5):
            seen.append(sorted(os.listdir(tmp_path)))
            yield frame

    write_video(frames(), tmp_path / "o.mp4", VideoSpec())
    assert all(len(names) == 1 and is_temporary(names[0]) for names in seen)


def test_no_frames(tmp_path):
    with pytest.raises(MediaError, match="no frames"):
        write_video(iter([]), tmp_path / "o.mp4", VideoSpec())
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("frames", [9, 11])
def test_fewer_or_more_frames_than_announced(tmp_path, frames):
    with pytest.raises(MediaError, match=f"{frames} frames where 10"):
        write_video(still(frames), tmp_path / "o.mp4", VideoSpec(frame_count=10))
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    "wrong", [np.zeros((64, 66, 3), np.uint8), np.zeros((64, 64, 3)), np.zeros((64, 64), np.uint8)]
)
def test_invalid_frame_raises_value_error(tmp_path, wrong):
    for frames in ([natural(64, 64), wrong], [wrong, natural(64, 64)]):
        with pytest.raises(ValueError, match="uint8"):
            write_video(iter(frames), tmp_path / "o.mp4", VideoSpec())
    assert nothing_left(tmp_path)


def never():
    pytest.fail("frames were asked for although the place cannot be used")
    yield


def test_unusable_outputs_are_rejected_before_the_first_frame(make_media, tmp_path):
    sound = make_media("s.mp4", "color=s=64x64:d=1", "sine=d=1")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").touch()
    for name, spec, message in [
        ("folder.mp4", VideoSpec(), "is a folder"),
        ("a.avi", VideoSpec(), r"does not end in \.mp4: name it a\.mp4"),
        ("noend", VideoSpec(), r"noend\.mp4"),
        ("file/a.mp4", VideoSpec(), "cannot be written"),
        (f"{'x' * 300}.mp4", VideoSpec(), "cannot be written"),
        ("s.mp4", VideoSpec(audio=sound, frame_count=25), "would overwrite it"),
        ("a.mp4", VideoSpec(quality="huge"), "small, good, best"),
        ("a.mp4", VideoSpec(audio=tmp_path / "none.wav", frame_count=1), "does not exist"),
        ("a.mp4", VideoSpec(audio=tmp_path / "file", frame_count=1), "is empty"),
    ]:
        with pytest.raises(MediaError, match=message) as caught:
            write_video(never(), tmp_path / name, spec)
        assert "\n" not in str(caught.value)
    assert nothing_left(tmp_path, "s.mp4", "folder.mp4", "file")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(MediaError, match="Permission denied"):
        write_video(never(), tmp_path / "a.mp4", VideoSpec())
    tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("frames", [3, 200])
def test_full_disk(tmp_path, frames, monkeypatch):
    monkeypatch.setattr("sadtalker_ext.video.write.file_argument", lambda _: "file:/dev/full")
    noise = (natural(128, 128, seed) for seed in range(frames))
    with pytest.raises(MediaError, match=r"disk of .*o\.mp4 is full"):
        write_video(noise, tmp_path / "o.mp4", VideoSpec(quality="best"))
    assert nothing_left(tmp_path)


def test_error_contains_the_message_of_a_failed_ffmpeg(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nhead -c 100000 >/dev/null\necho '[out#0 @ 0x55] The moon is full' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr("sadtalker_ext.ffmpeg.ffmpeg_program", lambda: str(program))
    with pytest.raises(MediaError, match=r"\(ffmpeg: The moon is full\)"):
        write_video(still(500), tmp_path / "o.mp4", VideoSpec())
    assert nothing_left(tmp_path, "ffmpeg")


def test_many_messages_do_not_block_ffmpeg(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nyes 'a long complaint about something' | head -c 3000000 >&2\ncat >/dev/null\n")
    program.chmod(0o755)
    monkeypatch.setattr("sadtalker_ext.ffmpeg.ffmpeg_program", lambda: str(program))
    assert write_video(still(100), tmp_path / "o.mp4", VideoSpec()).frames == 100


def test_errors_show_the_display_name_instead_of_the_path(tmp_path):
    target = tmp_path / "o.avi"
    with pytest.raises(MediaError) as caught:
        write_video(never(), target, VideoSpec())
    assert str(tmp_path) not in caught.value.describe({target: "me.avi"})
