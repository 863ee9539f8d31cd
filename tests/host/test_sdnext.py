"""The extension inside SD.Next, which lacks some names of AUTOMATIC1111 and gives others a different meaning."""

import sys
import types
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("gradio")
from fastapi import FastAPI
from fastapi.testclient import TestClient
from host_tools import ADDRESS, Processed, extension_of, wait_for

from sadtalker_ext.pipeline.result_metadata import read_record
from sadtalker_ext.settings import Settings

HEALTH = "/sadtalker/v1/health"


def client_of(host):
    app = FastAPI()
    host.call("app_started", None, app)
    return TestClient(app, base_url=ADDRESS)


def test_tab_script_and_options_appear_without_send_buttons(sdnext):
    demo = sdnext.build()
    assert sdnext.reports == []
    ids = {getattr(block, "elem_id", None) for block in demo.blocks.values()}
    assert {"sadtalker_generate", "script_txt2img_sadtalker_enable"} <= ids
    assert not [name for name in ids if name and name.endswith("send_to_sadtalker")]
    assert {"sadtalker_output", "sadtalker_move_model"} <= set(sdnext.shared.opts.data_labels)
    assert list(sdnext.generation_parameters_copypaste.paste_fields) == ["sadtalker"]
    by_id = {getattr(block, "elem_id", None): block for block in demo.blocks.values()}
    assert by_id["script_txt2img_sadtalker_engine"].info == "", "the labels of the choices say it"


def test_a_tab_that_cannot_be_built_says_why(sdnext, monkeypatch):
    monkeypatch.setattr(sys.modules["sadtalker_ext.webui.host"], "build_tab", lambda context: 1 / 0)
    demo = sdnext.build()
    assert sdnext.reports == []
    texts = [str(block.value) for block in demo.blocks.values() if hasattr(block, "value")]
    assert any("could not be built: division by zero" in text for text in texts)
    assert list(sdnext.generation_parameters_copypaste.paste_fields) == ["sadtalker"]


def test_a_job_uses_the_device_and_folders_and_ends_in_the_history(sdnext, job_request):
    runtime = extension_of(sdnext).queue.host.runtime(Settings())
    assert (runtime.device, runtime.folders[0]) == ("cpu", sdnext.data_path / "models" / "SadTalker")
    job = extension_of(sdnext).queue.submit(job_request(0.4))
    assert job.finished.wait(180)
    assert (job.state, job.error) == ("done", "")
    assert sdnext.shared.state.started == [job.id]
    assert (sdnext.shared.state.job, sdnext.progress.finished_tasks) == ("", [job.id])


def test_interrupt_stops_a_job_although_upscalers_begin_jobs(sdnext, job_request):
    sdnext.build()
    state, upscaler = sdnext.shared.state, sdnext.shared.sd_upscalers[-1].scaler
    job = extension_of(sdnext).queue.submit(replace(job_request(120), settings=Settings(upscale="X2")))
    wait_for(lambda: upscaler.calls > 2 and state.sampling_step > 2)
    assert (state.job, state.sampling_steps, state.started) == (job.id, 3000, [job.id])
    state.interrupt()
    assert job.finished.wait(180)
    assert job.state == "stopped"
    assert "begin" not in vars(state), "later jobs of the host begin as usual"


@pytest.mark.parametrize("fails", [True, False])
def test_an_interruption_during_an_upscaler_is_kept(sdnext, monkeypatch, fails):
    sdnext.build()
    state = sdnext.shared.state
    state.begin("job")
    upscaler = sys.modules["sadtalker_ext.webui.host_restorers"].HostUpscaler(sdnext.shared.sd_upscalers[-1])

    def upscale(picture, scale, path):
        state.interrupt()
        state.end(state.begin("Upscale"))
        return picture if not fails else 1 / 0

    monkeypatch.setattr(sdnext.shared.sd_upscalers[-1].scaler, "upscale", upscale)
    with pytest.raises(ZeroDivisionError) if fails else nullcontext():
        list(upscaler.restore(iter([np.zeros((8, 8, 3), np.uint8)]), None))
    assert (state.interrupted, state.job) == (True, "job")
    assert "begin" not in vars(state)


def test_the_image_model_is_moved_off_the_gpu_and_back(sdnext):
    queue_host, job = extension_of(sdnext).queue.host, types.SimpleNamespace(id="a")
    sdnext.sd_models.model_data.sd_model, sdnext.devices.device = "model", "cuda:0"
    sdnext.shared.opts.sadtalker_move_model = True
    with queue_host.exclusive(job):
        assert sdnext.moves == [("model", "cpu")]
    assert sdnext.moves == [("model", "cpu"), ("model", "cuda:0")]


def test_the_script_animates_every_result(sdnext, job_request, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    script, request = sdnext.scripts.scripts_data[0].script_class(), job_request(0.4)
    processed = Processed(request.inputs.portrait)
    script.postprocess(types.SimpleNamespace(), processed, True, str(request.inputs.voice), "starter")
    videos = sorted((sdnext.data_path / "outputs" / "SadTalker").glob("*/*.mp4"))
    assert [read_record(video).settings for video in videos] == [Settings(), Settings()]


def test_axes_are_added_to_the_shared_list(sdnext):
    """SD.Next's AxisOption calls its second parameter tipe."""
    options = []

    class AxisOption:
        def __init__(self, label, tipe, apply):
            self.label, self.type, self.apply = label, tipe, apply

    for _ in range(2):
        module = types.SimpleNamespace(axis_options=options, AxisOption=AxisOption)
        sdnext.scripts.scripts_data.append(types.SimpleNamespace(module=module, script_class=object))
    sdnext.call("before_ui")
    assert len({option.label for option in options}) == len(options) == 6


@pytest.mark.parametrize("source", ["auth", "auth_file", "api_auth"])
def test_routes_require_the_logins(sdnext, tmp_path, source):
    (tmp_path / "logins.txt").write_text("me:secret\nyou:other\n")
    values = {"auth": '"me:secret,you:other"', "api_auth": "me:secret,you:other", "auth_file": tmp_path / "logins.txt"}
    setattr(sdnext.shared.cmd_opts, source, str(values[source]))
    client = client_of(sdnext)
    assert client.get(HEALTH).status_code == 401
    assert client.get(HEALTH, auth=("you", "wrong")).status_code == 401
    assert client.get(HEALTH, auth=("you", "other")).json()["status"] == "ok"


@pytest.mark.parametrize(("source", "value"), [("auth", "no pair"), ("auth_file", "/nowhere/logins.txt")])
def test_unusable_logins_serve_no_routes(sdnext, caplog, source, value):
    setattr(sdnext.shared.cmd_opts, source, value)
    assert client_of(sdnext).get(HEALTH).status_code == 404
    assert sdnext.reports == []
    assert "SadTalker cannot serve its REST API" in caplog.text


def test_allowed_origins_have_separate_flags(sdnext):
    sdnext.shared.cmd_opts.cors_origins = "https://app.example"
    sdnext.shared.cmd_opts.cors_regex = r"https://.*\.example\.org"
    client = client_of(sdnext)
    allowed = {"https://app.example": 200, "https://a.example.org": 200, "https://evil.example": 403}
    for origin, code in allowed.items():
        assert client.get(HEALTH, headers={"Origin": origin}).status_code == code
