"""Every event that the extension adds to the webui's page refuses other sites: those of its tab and of its script."""

import json

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")
import gradio as gr
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sadtalker_ext.webui.compat_events import block_functions
from sadtalker_ext.webui.uploads import FOLDER_VARIABLE

GRADIO_3 = gr.__version__.startswith("3.")
HOST = "127.0.0.1:7860"
HERE, OTHER = f"http://{HOST}", "http://evil.example"
REFUSED = "pages of other sites"
VOICE = "script_txt2img_sadtalker_voice"


@pytest.fixture
def page(host):
    made = host.build()
    assert host.reports == []
    return made


@pytest.fixture
def send(page, tmp_path, monkeypatch):
    """A function that runs an event with the given values as a page of a site does."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    app = gr.mount_gradio_app(FastAPI(), page, path="/")

    def run(index, data, origin):
        body = json.dumps({"fn_index": index, "data": data, "session_hash": "abc"})
        return client.post("/run/predict", content=body, headers={"host": HOST, "origin": origin})

    with TestClient(app, base_url=HERE) as client:
        yield run


def events(page):
    """Yield index, record and elem_ids of the inputs of every event with a Python function."""
    config = page.get_config_file()
    ids = {entry["id"]: entry["props"].get("elem_id") for entry in config["components"]}
    for position, (entry, function) in enumerate(zip(config["dependencies"], block_functions(page), strict=True)):
        if function.fn is not None:
            yield entry.get("id", position), function, [ids.get(number) for number in entry["inputs"]]


def test_every_event_of_the_extension_refuses_other_sites(page, send):
    found = 0
    for index, function, inputs in events(page):
        if function.fn.__name__ == "first_picture":  # of the stub webui itself
            continue
        answer = send(index, [None] * len(inputs), OTHER)
        assert REFUSED in answer.text, (function.fn, inputs)
        found += 1
    assert found > 15


@pytest.mark.skipif(not GRADIO_3, reason="Gradio 4 has one input for files and the microphone, without an event")
def test_a_recording_of_the_script_is_passed_on_by_its_own_page_only(page, send, tmp_path):
    recording = tmp_path / "recording.wav"
    recording.write_bytes(b"RIFF")
    value = [{"name": str(recording), "is_file": True, "data": None}, None]
    events_of_script = [index for index, _, inputs in events(page) if inputs == [f"{VOICE}_microphone", VOICE]]
    assert len(events_of_script) == 1
    refused = send(events_of_script[0], value, OTHER)
    assert REFUSED in refused.text
    assert "recording" not in refused.text
    answered = send(events_of_script[0], value, HERE)
    assert answered.status_code == 200
    assert "recording" in answered.text
