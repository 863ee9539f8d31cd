"""A REST API server with real jobs, a small portrait and a short voice."""

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
from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.system.work_folder import LOCK_NAME, PREFIX

JOBS = "/sadtalker/v1/jobs"


@pytest.fixture(scope="session")
def portrait_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("inputs") / "portrait.png"
    Image.open(demo_portrait()).convert("RGB").resize((192, 192), Image.LANCZOS).save(path)
    return path


@pytest.fixture(scope="session")
def make_voice(tmp_path_factory):
    def make(seconds):
        time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        samples = 0.3 * np.sin(2 * np.pi * 4 * time_s) ** 2 * np.sign(np.sin(2 * np.pi * 140 * time_s))
        path = tmp_path_factory.mktemp("voices") / "voice.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            file.writeframes((32767 * samples).astype("<i2").tobytes())
        return path

    return make


@pytest.fixture(scope="session")
def voice_file(make_voice):
    return make_voice(0.4)


class Service:
    """A client of one server, with the requests that the tests send."""

    def __init__(self, client, queue, scratch):
        self.client, self.queue, self.scratch = client, queue, scratch

    def upload(self, portrait, voice, **fields):
        with open(portrait, "rb") as picture, open(voice, "rb") as audio:
            return self.client.post(JOBS, files={"portrait": picture, "voice": audio}, data=fields)

    def wait(self, job_id, seconds=180):
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            view = self.client.get(f"{JOBS}/{job_id}").json()
            if view["state"] not in ("waiting", "running"):
                return view
            time.sleep(0.05)
        raise AssertionError(f"the job is still {view}")

    def temporary_files(self):
        """Return the names of files and folders, except for the work folders of servers and their lock files."""
        entries = [path for folder in self.scratch.iterdir() for path in (folder, *folder.glob("*"))]
        return sorted(path.name for path in entries if not path.name.startswith(PREFIX) and path.name != LOCK_NAME)


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Start a server whose temporary files are in a folder of the test."""
    import tempfile

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    started = []

    def start(limits=None, **options):
        queue = JobQueue(limits=limits)
        client = TestClient(make_app(queue, ApiOptions(**options)), base_url="http://127.0.0.1:7870")
        client.__enter__()
        started.append(client)
        return Service(client, queue, scratch)

    yield start
    for client in started:
        client.__exit__(None, None, None)
