"""Command ``sadtalker bench``: processes are measured from outside and compared with independent values."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.cli import bench
from sadtalker_ext.cli.process_memory import tree_memory_mb
from sadtalker_ext.errors import EngineError
from sadtalker_ext.video.read import read_frames

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
CHILD = "import sys; data = bytearray(b'x') * {size}; print(flush=True); sys.stdin.read()"
PARENT = """
import subprocess, sys
data = bytearray(b'x') * {size}
child = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _fewer_looks(monkeypatch):
    """Look at measured processes less often: to read their memory takes half a core."""
    monkeypatch.setattr(bench, "FIRST_POLL_S", 0.1)


def memory_of_two(size, child_size):
    """Return the memory of a process with ``size`` bytes and a child with ``child_size`` bytes, in MiB."""
    source = PARENT.format(size=size, child=CHILD.format(size=child_size))
    with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        return tree_memory_mb(process.pid)


@LINUX
def test_memory_of_a_process_and_its_children():
    more = memory_of_two(60_000_000, 40_000_000) - memory_of_two(1, 1)
    assert more == pytest.approx(100_000_000 / 2**20, abs=8)


def test_memory_of_an_ended_process_is_unknown():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert tree_memory_mb(process.pid) is None


def test_process_is_measured_from_outside(tmp_path, portrait, voice):
    began_s = time.perf_counter()
    run = bench.run_animate(portrait, voice, tmp_path)
    spent_s = time.perf_counter() - began_s
    assert run.result["frames"] == 10
    assert run.result["first_frame_s"] - 0.3 < run.first_frame_s < run.wall_s <= spent_s
    assert run.frames_per_s == pytest.approx(10 / run.result["total_s"])
    assert run.peak_mb is None or (50 < run.peak_mb < 5000 and 50 < run.peak_anonymous_mb < 5000)


def test_memory_is_not_read_while_the_first_frame_is_measured(tmp_path, monkeypatch):
    """Reading it would delay the frame; bytecode is kept, as on a user's machine."""
    probe = tmp_path / "probe.py"
    probe.write_text("import json, sys; print(json.dumps({'kept': not sys.dont_write_bytecode}))")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(bench, "tree_memory_mb", lambda *_: pytest.fail("memory was read"))
    run = bench.run_measured(["probe"], tmp_path, memory=False)
    assert run.result["kept"]
    assert run.peak_mb is None


def test_failure_of_the_process_is_reported(tmp_path):
    with pytest.raises(EngineError, match=r"missing\.png does not exist"):
        bench.run_animate(tmp_path / "missing.png", tmp_path / "missing.wav", tmp_path)


def test_all_measurements_are_printed(program, monkeypatch):
    voices = []

    def run_animate(portrait, voice, folder, memory=True):
        voices.append(voice.name)
        result = {"frames": 750, "total_s": 10.0, "stage_s": {"frames": 8.0}}
        return bench.Run(result, 3.0 + len(voices), 11.0, 400.0 + len(voices))

    def run_with_stubs(folder, side_px, voice_s):
        seconds = {"own_cpu_s": 1.5, "ffmpeg_cpu_s": 5.0, "stage_s": {"frames": 4.0}}
        return bench.Run({"frames": 500} | seconds, 1.0, 9.0, 800.0, 300.0 + voice_s)

    monkeypatch.setattr(bench, "run_animate", run_animate)
    monkeypatch.setattr(bench, "run_with_stubs", run_with_stubs)
    monkeypatch.setattr(bench, "lateness_during_video", lambda *_: [0.001, 0.002])
    monkeypatch.setattr(bench, "LONG_VOICE_S", 20.0)
    assert program("bench", "--json") == 0
    values = {name: result["value"] for name, result in json.loads(program.out).items()}
    assert values == {
        "first frame after start": 5.0,
        "end to end at 512x512": 75.0,
        "render and encode at 512x512": 93.75,
        "end to end at 1024x1024": 75.0,
        "render and encode at 1024x1024": 93.75,
        "lateness of a 1 ms timer, 99th percentile": pytest.approx(1.99),
        "peak memory of a 10-second clip": 405.0,
        "additional memory of a 10-minute clip": 1.0,
        "pipeline without networks at 1024x1024": 8.0,
        "CPU time of the program": 3.0,
        "CPU time of ffmpeg": 10.0,
        "additional memory of 1500 frames over 100": 56.0,
    }
    assert voices == ["voice_10.wav", "voice_10.wav", "voice_30.wav", "voice_30.wav", "voice_10.wav", "voice_20.wav"]
    assert program("bench", "speed-512") == 0
    assert program.out.splitlines()[0].split()[-4:] == ["frames/s", ">=", "60", "met"]


def test_stub_networks_make_a_complete_video_without_checkpoints(tmp_path):
    """The face is pasted back into the portrait, and CPU time is reported."""
    done = bench.run_with_stubs(tmp_path, 256, 0.24)
    assert (done.result["frames"], done.result["width"], done.result["height"]) == (6, 256, 256)
    assert 0 < done.result["own_cpu_s"] < done.wall_s * os.cpu_count()
    assert 0 < done.result["ffmpeg_cpu_s"] < done.wall_s * os.cpu_count()
    frames = np.stack(list(read_frames(tmp_path / "bench.mp4"))).astype(int)
    source = np.asarray(Image.open(tmp_path / "astronaut_256.png")).astype(int)
    assert np.abs(frames - source).mean() < 4
    assert np.abs(np.diff(frames, axis=0)).max() > 20


def test_voice_has_the_requested_length(tmp_path):
    import wave

    for length_s in (3.0, 25.5):
        with wave.open(os.fspath(bench.write_voice(tmp_path, length_s))) as file:
            assert file.getnframes() / file.getframerate() == pytest.approx(length_s, abs=1e-3)


def test_table_shows_which_bars_are_met():
    rows = bench.format_table(
        [
            bench.Measurement("a", 60.0, "frames/s", 50.0),
            bench.Measurement("b", 40.0, "frames/s", 50.0),
            bench.Measurement("c", 3.0, "s", 4.0, at_most=True),
            bench.Measurement("d", None, "MB", 30.0, at_most=True),
        ]
    )
    assert [row.split()[-1] for row in rows] == ["met", "MISSED", "met", "system"]
    assert ">= 50" in rows[0]
    assert "<= 4" in rows[2]
