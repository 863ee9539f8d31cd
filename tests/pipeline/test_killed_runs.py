"""Runs that are killed while they write: no result, no running ffmpeg, and leftovers that the next run removes.

The variable KILLED_RUNS sets the number of killed command lines and servers, each at another moment of writing.
"""

import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from sadtalker_ext.cli.demo import demo_portrait
from sadtalker_ext.video.read import probe

psutil = pytest.importorskip("psutil", reason="psutil is not installed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
RUNS = int(os.environ.get("KILLED_RUNS", "1"))
PROGRAM = (sys.executable, "-m", "sadtalker_ext")
START_S, END_S = 120.0, 10.0
VIDEO_S = "90"
LONGEST_WAIT_S = 3.0
"""Runs are killed at equal distances up to this time after ffmpeg was started."""


@pytest.fixture
def folder(tmp_path):
    """A folder with a portrait, an output folder, and a folder for temporary files."""
    Image.open(demo_portrait()).convert("RGB").resize((192, 192), Image.LANCZOS).save(tmp_path / "portrait.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "temporary").mkdir()
    return tmp_path


def start(folder, *arguments):
    environment = {**os.environ, "TMPDIR": str(folder / "temporary"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], cwd=folder, env=environment, stderr=subprocess.DEVNULL)


def wait_until(condition, seconds=START_S):
    until_s = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until_s
        time.sleep(0.01)
    return found


def writing(process, folder):
    """Return the child processes of one that writes a video, with ffmpeg among them; otherwise nothing."""
    children = psutil.Process(process.pid).children(recursive=True) if list(folder.rglob(".sadtalker-*.part")) else []
    return children if any("ffmpeg" in child.name() for child in children) else []


def kill_while_writing(process, folder, wait_s):
    """Kill a process ``wait_s`` after ffmpeg was started; check that its child processes end as well."""
    try:
        wait_until(lambda: writing(process, folder))
        time.sleep(wait_s)
        children = writing(process, folder)
        assert children, "the video was complete before the kill; make it longer"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    _, alive = psutil.wait_procs(children, END_S)
    assert alive == []


def waits():
    return [LONGEST_WAIT_S * number / RUNS + 0.2 for number in range(RUNS)]


def test_killed_command_lines_leave_no_result(folder):
    arguments = ("animate", "portrait.png", "--idle", VIDEO_S, "--quiet", "-o", "out/video.mp4")
    for wait_s in waits():
        kill_while_writing(start(folder, *arguments), folder / "out", wait_s)
        assert not (folder / "out" / "video.mp4").exists()
        assert len(list((folder / "out").iterdir())) == 1, "the previous leftover was not removed"
    arguments = ("animate", "portrait.png", "--idle", "0.2", "--quiet", "-o", "out/video.mp4")
    assert start(folder, *arguments).wait(START_S) == 0
    assert os.listdir(folder / "out") == ["video.mp4"]
    assert probe(folder / "out" / "video.mp4").width_px == 192
    assert os.listdir(folder / "temporary") == []


def serve(folder, port):
    """Start a server and a job with a long video; return the process once it answers."""
    import httpx

    process = start(folder, "serve", "--port", port)
    base = f"http://127.0.0.1:{port}/sadtalker/v1"

    def answers():
        try:
            return httpx.get(f"{base}/health").status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(answers)
    with (folder / "portrait.png").open("rb") as portrait:
        created = httpx.post(f"{base}/jobs", files={"portrait": portrait}, data={"idle_s": VIDEO_S})
    assert created.status_code == 202
    return process


def test_killed_servers_leave_no_result(folder):
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    temporary = folder / "temporary"
    for wait_s in waits():
        process = serve(folder, port)
        kill_while_writing(process, temporary, wait_s)
        assert list(temporary.rglob("*.mp4")) == []
        assert len(list(temporary.glob("sadtalker_jobs_*"))) == 1, "the folder of the previous server was not removed"
    process = serve(folder, port)
    process.terminate()
    assert process.wait(START_S) in (0, 130, -signal.SIGTERM)
    assert list(temporary.iterdir()) == []
