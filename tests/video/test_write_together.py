"""Several processes write videos to the same folder and file, and some of them are killed."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest

from sadtalker_ext.video.read import read_frames
from sadtalker_ext.video.write import VideoSpec, write_video

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
FRAMES = 60
WRITING = """
import sys, time
import numpy as np
from pathlib import Path
from sadtalker_ext.video.write import VideoSpec, write_video
grey, count, pause_s = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
def frames():
    for number in range(count):
        yield np.full((64, 64, 3), grey, np.uint8)
        print("frame", flush=True)
        if number == 2 and pause_s == 0:
            sys.stdin.readline()  # both have started
        time.sleep(pause_s)
report = write_video(frames(), Path(sys.argv[1]), VideoSpec(frame_count=count))
print(report.frames, report.size_bytes, flush=True)
"""


def start(target, grey, count=FRAMES, pause_s=0.0):
    command = [sys.executable, "-c", WRITING, str(target), str(grey), str(count), str(pause_s)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def greys(path):
    with closing(read_frames(path)) as frames:
        return [int(np.median(frame)) for frame in frames]


def test_two_runs_with_one_output_both_succeed_and_leave_one_complete_video(tmp_path):
    target = tmp_path / "o.mp4"
    runs = [start(target, grey) for grey in (60, 200)]
    for run in runs:
        for _ in range(3):
            assert run.stdout.readline() == "frame\n"
    assert len(os.listdir(tmp_path)) == 2
    reports = [run.communicate("go\n", timeout=60)[0].splitlines()[-1].split() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert [int(frames) for frames, _ in reports] == [FRAMES, FRAMES]
    assert os.listdir(tmp_path) == ["o.mp4"]
    assert target.stat().st_size in [int(size) for _, size in reports]
    shown = greys(target)
    assert len(shown) == FRAMES
    assert max(shown) - min(shown) <= 2
    assert min(abs(shown[0] - 60), abs(shown[0] - 200)) <= 2


@POSIX
def test_twenty_kills_during_writing(tmp_path):
    target, chance, neighbour = tmp_path / "o.mp4", random.Random(1), start(tmp_path / "n.mp4", 90, 100_000, 0.01)
    try:
        neighbour.stdout.readline()
        (theirs,) = os.listdir(tmp_path)
        for _ in range(20):
            run = start(target, 128, 100_000, 0.001)
            assert run.stdout.readline() == "frame\n"
            time.sleep(chance.uniform(0, 0.1))
            run.send_signal(signal.SIGKILL)
            run.communicate()
            assert not target.exists()
        time.sleep(1.0)  # an encoder whose writer was killed before it began opens its file once more
        write_video((np.full((64, 64, 3), 128, np.uint8) for _ in range(5)), target, VideoSpec())
        assert sorted(os.listdir(tmp_path)) == sorted([theirs, "o.mp4"])
        assert neighbour.poll() is None
        assert len(greys(target)) == 5
    finally:
        neighbour.kill()
        neighbour.communicate()


@POSIX
def test_output_through_a_link_to_another_disk(tmp_path):
    other = tmp_path / "other disk"
    other.mkdir()
    (tmp_path / "o.mp4").symlink_to(other / "real.mp4")
    write_video((np.zeros((64, 64, 3), np.uint8) for _ in range(5)), tmp_path / "o.mp4", VideoSpec())
    assert (tmp_path / "o.mp4").is_symlink()
    assert os.listdir(other) == ["real.mp4"]
    assert len(greys(tmp_path / "o.mp4")) == 5
