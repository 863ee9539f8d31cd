"""A service with real jobs on a small portrait and a short voice."""

import time
import wave

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from sadtalker_ext.api.app import make_app
from sadtalker_ext.api.options import ApiOptions
from sadtalker_ext.cli.demo import demo_portrait
from sadtalker_ext.pipeline.job_queue import JobQueue

RATE_HZ = 16000
JOBS = "/sadtalker/v1/jobs"


@pytest.fixture(scope="session")
def portrait_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("inputs") / "portrait.png"
    Image.open(demo_portrait()).convert("RGB").resize((192, 192), Image.LANCZOS).save(path)
    return path


@pytest.fixture(scope="session")
def make_buzz(tmp_path_factory):
    def make(seconds):
        time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        buzz = 0.3 * np.sin(2 * np.pi * 4 * time_s) ** 2 * np.sign(np.sin(2 * np.pi * 140 * time_s))
        path = tmp_path_factory.mktemp("voices") / "voice.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes((32767 * buzz).astype("<i2").tobytes())
        return path

    return make


@pytest.fixture(scope="session")
def voice_file(make_buzz):
    return make_buzz(0.4)


class Service:
    """A client of one service, and the ways tests use it."""

    def __init__(self, client, workshop, scratch):
        self.client, self.workshop, self.scratch = client, workshop, scratch

    def upload(self, portrait, voice, **fields):
        with open(portrait, "rb") as picture, open(voice, "rb") as sound:
            return self.client.post(JOBS, files={"portrait": picture, "voice": sound}, data=fields)

    def wait(self, job_id, seconds=180):
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            view = self.client.get(f"{JOBS}/{job_id}").json()
            if view["state"] not in ("waiting", "running"):
                return view
            time.sleep(0.05)
        raise AssertionError(f"the job is still {view}")

    def left_behind(self):
        return sorted(path.name for path in self.scratch.iterdir())


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Starts a service whose temporary files lie in a folder that tests can look into."""
    import tempfile

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    started = []

    def start(limits=None, **doors):
        workshop = JobQueue() if limits is None else JobQueue(limits=limits)
        client = TestClient(make_app(workshop, ApiOptions(**doors)), base_url="http://127.0.0.1:7870")
        client.__enter__()
        started.append((client, workshop))
        return Service(client, workshop, scratch)

    yield start
    for client, _ in started:
        client.__exit__(None, None, None)
