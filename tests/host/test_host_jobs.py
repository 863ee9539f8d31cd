"""Jobs inside a host: they wait for its queue, show their progress in it, stop on Interrupt and use its device."""

import base64
import sys
import time
import types

import pytest

pytest.importorskip("gradio")
from fastapi import FastAPI
from fastapi.testclient import TestClient
from host_tools import ADDRESS, extension_of, wait_for

from sadtalker_ext.pipeline.result_metadata import read_record
from sadtalker_ext.settings import Settings


def test_a_job_waits_for_the_hosts_queue(host, job_request):
    submit = extension_of(host).queue.submit
    with host.call_queue.queue_lock:
        job = submit(job_request(0.4))
        wait_for(lambda: job.id in host.progress.pending_tasks)
        time.sleep(0.2)
        assert job.state == "waiting"
    assert job.finished.wait(180)
    assert (job.state, job.error) == ("done", "")
    assert host.shared.state.started == [job.id]
    assert (host.shared.state.job, host.progress.pending_tasks) == ("", {})
    assert host.progress.finished_tasks == [job.id]
    assert not host.call_queue.queue_lock.locked()


def test_a_job_shows_in_the_hosts_progress_and_stops_on_its_interrupt(host, job_request):
    job = extension_of(host).queue.submit(job_request(120))
    state = host.shared.state
    wait_for(lambda: state.sampling_step > 2 or job.ended)
    assert (state.job_count, state.sampling_steps) == (1, 3000)
    assert "of 3000" in state.textinfo
    before = state.sampling_step
    state.interrupt()
    assert job.finished.wait(180)
    assert job.progress.done < before + 300, "most frames that may still be finished, of 3000"
    assert job.state == "stopped"
    assert not job.request.output.parent.exists()
    after = extension_of(host).queue.submit(job_request(0.4))
    assert after.finished.wait(180)
    assert after.state == "done"


def test_the_device_and_folders_are_the_hosts(host, webui_host, tmp_path):
    runtime = webui_host.runtime(Settings())
    assert runtime.device == "cpu"
    assert runtime.folders[0] == host.data_path / "models" / "SadTalker"
    host.shared.cmd_opts.sadtalker_device = "cuda:1"
    host.shared.cmd_opts.sadtalker_dir = str(tmp_path / "checkpoints")
    runtime = webui_host.runtime(Settings())
    assert (runtime.device, runtime.folders[0]) == ("cuda:1", tmp_path / "checkpoints")


def test_the_image_model_is_moved_off_the_gpu_and_back(host, job_request):
    moved = []
    model = object()
    host.sd_models.model_data = types.SimpleNamespace(sd_model=model)
    host.sd_models.send_model_to_cpu = lambda it: moved.append(("cpu", it))
    host.sd_models.send_model_to_device = lambda it: moved.append(("device", it))
    job = extension_of(host).queue.submit(job_request(0.4))
    assert job.finished.wait(180)
    assert moved == []
    host.shared.opts.sadtalker_move_model = True
    job = extension_of(host).queue.submit(job_request(0.4))
    assert job.finished.wait(180)
    assert moved == [("cpu", model), ("device", model)]


@pytest.mark.parametrize("name", ["backend.memory_management", "ldm_patched.modules.model_management"])
def test_a_host_that_manages_memory_itself_unloads_its_models(host, job_request, monkeypatch, name):
    """send_model_to_cpu does nothing in Forge and reForge."""
    calls = []
    manager = types.SimpleNamespace(unload_all_models=lambda: calls.append("unloaded"))
    monkeypatch.setitem(sys.modules, name, manager)
    host.shared.opts.sadtalker_move_model = True
    queue_host, job = extension_of(host).queue.host, types.SimpleNamespace(id="a")
    with queue_host.exclusive(job):
        assert calls == ["unloaded"]
    host.shared.opts.sadtalker_move_model = False
    with queue_host.exclusive(job):
        pass
    assert calls == ["unloaded"]


def test_the_engine_stays_open_unless_the_option_is_off(host, job_request):
    queue = extension_of(host).queue
    queue.submit(job_request(0.4)).finished.wait(180)
    kept = queue.engines._open
    assert kept is not None
    queue.submit(job_request(0.4)).finished.wait(180)
    assert queue.engines._open is kept
    host.shared.opts.sadtalker_keep_engine = False
    queue.submit(job_request(0.4)).finished.wait(180)
    assert queue.engines._open is None


def test_a_rest_job_saves_its_video_in_the_hosts_outputs(host, job_request):
    app = FastAPI()
    host.call("app_started", None, app)
    client, request = TestClient(app, base_url=ADDRESS), job_request(0.4)
    files = {
        name: {"base64": base64.b64encode(path.read_bytes()).decode()}
        for name, path in (("portrait", request.inputs.portrait), ("voice", request.inputs.voice))
    }
    job = client.post("/sadtalker/v1/jobs", json=files).json()
    found = extension_of(host).queue.find(job["id"])
    assert found.finished.wait(180)
    assert client.get(f"/sadtalker/v1/jobs/{job['id']}").json()["state"] == "done"
    (video,) = (host.data_path / "outputs" / "SadTalker").glob("*/*.mp4")
    assert read_record(video).settings == Settings()
