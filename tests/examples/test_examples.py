"""The example programs run as they are."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image
from skimage.data import astronaut

from sadtalker_ext.cli.demo import demo_voice
from sadtalker_ext.video.read import probe

EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT_S = 300


@pytest.fixture
def files(tmp_path):
    """A small portrait and one second of speech."""
    import soundfile

    Image.fromarray(astronaut()).resize((192, 192)).save(tmp_path / "me.png")
    samples, rate_hz = soundfile.read(demo_voice(), stop=16_000)
    soundfile.write(tmp_path / "voice.wav", samples, rate_hz)
    return tmp_path


def run(name, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLES.parent), *sys.path])}
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S, env=environment
    )


def test_make_video(files):
    done = run("make_video.py", files / "me.png", files / "voice.wav", files / "out.mp4")
    assert (done.returncode, probe(files / "out.mp4").has_audio) == (0, True), done.stderr
    assert "x real time" in done.stdout
    refused = run("make_video.py", files / "voice.wav", files / "voice.wav", files / "no.mp4")
    assert (refused.returncode, (files / "no.mp4").exists()) == (2, False)
    assert "Traceback" not in refused.stderr


def test_batch(files):
    (files / "two.wav").write_bytes((files / "voice.wav").read_bytes())
    done = run("batch.py", files / "me.png", files / "results", files / "voice.wav", files / "two.wav")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (files / "results").iterdir()) == ["two.mp4", "voice.mp4"]


@pytest.fixture
def server():
    """The REST API on a free port."""
    uvicorn = pytest.importorskip("uvicorn")
    from sadtalker_ext.api.app import make_app
    from sadtalker_ext.api.options import ApiOptions
    from sadtalker_ext.pipeline.job_queue import JobQueue

    running = uvicorn.Server(uvicorn.Config(make_app(JobQueue(), ApiOptions()), port=0, log_level="error"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        assert thread.is_alive()
        thread.join(0.05)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/sadtalker/v1"
    running.should_exit = True
    thread.join(30)


def test_rest_client(files, server):
    done = run("rest_client.py", server, files / "me.png", files / "voice.wav", files / "out.mp4")
    assert (done.returncode, done.stderr) == (0, "")
    assert probe(files / "out.mp4").has_video
    failed = run("rest_client.py", server, files / "voice.wav", files / "voice.wav", files / "no.mp4")
    assert (failed.returncode, (files / "no.mp4").exists()) == (2, False)
    assert "Traceback" not in failed.stderr
    assert str(files) not in failed.stderr
