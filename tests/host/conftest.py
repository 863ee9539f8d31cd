"""A stub webui that has loaded the extension, and a request for a video."""

import sys

import pytest
from host_tools import extension_of, write_voice
from PIL import Image

from sadtalker_ext.cli.demo import demo_portrait
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.job import JobRequest
from sadtalker_ext.settings import Settings


@pytest.fixture
def sdnext(tmp_path):
    """A stub SD.Next that has loaded the extension."""
    from stub_sdnext import StubSdNext

    yield from loaded(StubSdNext(tmp_path / "webui data"))


@pytest.fixture
def host(tmp_path):
    """A stub webui that has loaded the extension; the modules of both are removed afterwards."""
    from stub_webui import StubWebui

    made = StubWebui(tmp_path / "webui data")
    yield from loaded(made)


def loaded(made):
    before = set(sys.modules)
    made.load_scripts()
    yield made
    made.call("script_unloaded")
    for name in [name for name in sys.modules if name not in before and name.startswith(("modules", "sadtalker_ext"))]:
        if name.startswith(("modules", "sadtalker_ext.webui.host")):
            del sys.modules[name]
    for name in made.modules:
        sys.modules.pop(name, None)


@pytest.fixture
def webui_host(host):
    return extension_of(host).queue.host


@pytest.fixture
def job_request(tmp_path):
    portrait = tmp_path / "portrait.png"
    Image.open(demo_portrait()).convert("RGB").resize((192, 192)).save(portrait)

    def make(seconds):
        inputs = Inputs(portrait, write_voice(tmp_path / "voice.wav", seconds))
        return JobRequest(inputs, tmp_path / "out" / "a.mp4", Settings())

    return make
