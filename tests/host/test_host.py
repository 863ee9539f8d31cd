"""The extension inside a host: it waits for the queue, shows progress, stops on Interrupt, never breaks the host."""

import base64
import subprocess
import sys
import threading
import time
import types
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")
from fastapi import FastAPI
from fastapi.testclient import TestClient
from stub_webui import ROOT, StubWebui

from sadtalker_ext.cli.demo import demo_portrait
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.job import JobRequest
from sadtalker_ext.pipeline.result_metadata import read_record
from sadtalker_ext.settings import Settings

RATE_HZ = 16000
ADDRESS = "http://127.0.0.1:7860"


@pytest.fixture
def host(tmp_path):
    """A stub webui that has loaded the extension; the modules of both are removed afterwards."""
    made = StubWebui(tmp_path / "webui data")
    yield from loaded(made)


def loaded(made):
    before = set(sys.modules)
    made.load_scripts()
    yield made
    made.call("script_unloaded")
    for name in [name for name in sys.modules if name not in before and name.startswith(("modules", "sadtalker_ext"))]:
        if name.startswith("modules") or name == "sadtalker_ext.webui.host":
            del sys.modules[name]
    for name in made.modules:
        sys.modules.pop(name, None)


@pytest.fixture
def webui_host(host):
    return extension_of(host).queue.host


def extension_of(host):
    return host.callbacks["ui_tabs"][-1].__self__


def write_voice(path, seconds):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = 0.3 * np.sin(2 * np.pi * 4 * time_s) ** 2 * np.sign(np.sin(2 * np.pi * 140 * time_s))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes((32767 * sound).astype("<i2").tobytes())
    return path


@pytest.fixture
def job_request(tmp_path):
    portrait = tmp_path / "portrait.png"
    Image.open(demo_portrait()).convert("RGB").resize((192, 192)).save(portrait)

    def make(seconds):
        inputs = Inputs(portrait, write_voice(tmp_path / "voice.wav", seconds))
        return JobRequest(inputs, tmp_path / "out" / "a.mp4", Settings())

    return make


def wait_for(condition, seconds=180):
    until_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_the_page_is_built_with_every_option_and_button(host):
    host.build()
    assert host.reports == []
    assert "sadtalker" in host.infotext_utils.paste_fields
    sources = sorted(binding.paste_button.elem_id for binding in host.infotext_utils.bindings)
    assert sources == ["pnginfo_send_to_sadtalker", "txt2img_send_to_sadtalker"]
    assert {"sadtalker_output", "sadtalker_move_model"} <= set(host.shared.opts.data_labels)


def test_a_tab_that_cannot_be_built_does_not_break_the_host(host, monkeypatch):
    module = sys.modules["sadtalker_ext.webui.host"]
    monkeypatch.setattr(module, "build_tab", lambda context: 1 / 0)
    demo = host.build()
    assert host.reports == []
    texts = [str(block.value) for block in demo.blocks.values() if hasattr(block, "value")]
    assert any("could not be built: division by zero" in text for text in texts)


FAULTS = {
    "settings": lambda host, module: (host.shared.opts, "add_option"),
    "send-to button": lambda host, module: (extension_of(host)._send_buttons, "_button"),
    "axes": lambda host, module: (module, "add_axes"),
    "restorers": lambda host, module: (module, "register_host_restorers"),
    "context": lambda host, module: (module, "PageContext"),
    "script": lambda host, module: (module, "audio_input"),
    "routes": lambda host, module: (module, "checkpoint_folders"),
}


@pytest.mark.parametrize("part", FAULTS)
def test_a_fault_anywhere_does_not_break_the_host(host, monkeypatch, part):
    owner, name = FAULTS[part](host, sys.modules["sadtalker_ext.webui.host"])
    monkeypatch.setattr(owner, name, lambda *_, **__: 1 / 0)
    demo = host.build()
    app = FastAPI()
    host.call("app_started", demo, app)
    ids = {getattr(block, "elem_id", None) for block in demo.blocks.values()}
    assert {"txt2img_gallery", "tab_sadtalker", "tab_pnginfo"} <= ids
    reported = [report for report in host.reports if "ZeroDivisionError" in report]
    shown = any("could not be built" in str(getattr(block, "value", "")) for block in demo.blocks.values())
    assert reported or shown
    assert len(reported) == len(host.reports)


def test_a_package_that_cannot_be_imported_does_not_break_the_host(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sadtalker_ext.webui.host", None)
    made = StubWebui(tmp_path)
    made.load_scripts()
    try:
        assert made.build() is not None
        assert "ModuleNotFoundError" in "".join(made.reports)
    finally:
        for name in made.modules:
            sys.modules.pop(name, None)


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
    with sys.modules["sadtalker_ext.webui.host"].image_model_unloaded():
        assert calls == ["unloaded"]
    host.shared.opts.sadtalker_move_model = False
    with sys.modules["sadtalker_ext.webui.host"].image_model_unloaded():
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


def test_routes_are_added_once_and_require_the_hosts_login(host):
    host.shared.cmd_opts.api_auth = "me:secret,you:other"
    app = FastAPI()
    host.call("app_started", None, app)
    count = len(app.routes)
    host.call("app_started", None, app)
    assert len(app.routes) == count
    client = TestClient(app, base_url=ADDRESS)
    assert client.get("/sadtalker/v1/health").status_code == 401
    assert client.get("/sadtalker/v1/health", auth=("you", "other")).json()["status"] == "ok"


def test_no_routes_are_added_without_the_hosts_api(host):
    host.shared.cmd_opts.api = False
    app = FastAPI()
    host.call("app_started", None, app)
    assert not any(route.path.startswith("/sadtalker") for route in app.routes)


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


def test_reload_registers_nothing_twice_and_leaves_no_thread(host, job_request):
    host.build()
    first = extension_of(host).queue
    first.submit(job_request(0.4)).finished.wait(180)
    counts = {kind: len(callbacks) for kind, callbacks in host.callbacks.items()}
    for _ in range(3):
        host.reload()
        host.build()
        assert {kind: len(callbacks) for kind, callbacks in host.callbacks.items()} == counts
    assert host.reports == []
    wait_for(lambda: not any(t.name == "sadtalker-jobs" and t.is_alive() for t in threading.enumerate()))
    assert extension_of(host).queue is not first


class Processed:
    """Result of a generation: a grid and two pictures."""

    index_of_first_image = 1
    all_seeds = (7, 8)
    comments = "by the host"

    def __init__(self, portrait):
        picture = Image.open(portrait)
        self.images = [Image.new("RGB", (400, 200)), picture, picture]


def test_the_script_animates_every_result_but_the_grid(host, job_request, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    script = host.scripts.scripts_data[0].script_class()
    processed, request = Processed(job_request(0.4).inputs.portrait), job_request(0.4)
    generation = types.SimpleNamespace(sadtalker_axis_values={"seed": 5})
    with host.call_queue.queue_lock:
        script.postprocess(generation, processed, True, str(request.inputs.voice), "starter", True, 1.2, 1.0, 1.0)
    videos = sorted((host.data_path / "outputs" / "SadTalker").glob("*/*.mp4"))
    assert len(videos) == 2
    assert {read_record(video).settings for video in videos} == {Settings(still=True, expression_scale=1.2, seed=5)}
    assert processed.comments.splitlines()[0] == "by the host"
    assert all(str(video) in processed.comments for video in videos)


def test_the_script_asks_for_a_missing_voice(host, job_request):
    script, processed = host.scripts.scripts_data[0].script_class(), Processed(job_request(0.4).inputs.portrait)
    script.postprocess(types.SimpleNamespace(), processed, True, None, "starter")
    assert "needs a voice" in processed.comments
    script.postprocess(types.SimpleNamespace(), processed, False)
    assert len(processed.comments.splitlines()) == 2


def test_axes_are_added_once_and_reach_the_script(host):
    class AxisOption:
        def __init__(self, label, type, apply):
            self.label, self.type, self.apply = label, type, apply

    grid = types.SimpleNamespace(axis_options=[], AxisOption=AxisOption)
    host.scripts.scripts_data.append(types.SimpleNamespace(module=grid, script_class=object))
    host.call("before_ui")
    host.call("before_ui")
    labels = [option.label for option in grid.axis_options]
    assert len(labels) == len(set(labels)) == 6
    generation = types.SimpleNamespace()
    for option, value in zip(grid.axis_options[:2], (0.5, 0.0), strict=True):
        option.apply(generation, option.type(value), [])
    expected = Settings.from_mapping(generation.sadtalker_axis_values)
    assert (expected.expression_scale, expected.head_motion_scale) == (0.5, 0.0)


def test_restorers_and_upscalers_are_offered_by_name(host, job_request):
    class Restorer:
        def name(self):
            return "CodeFormer"

        def restore(self, frame):
            return 255 - frame

    class Scaler:
        def upscale(self, picture, scale, path):
            return picture.resize((picture.width * scale, picture.height * scale))

    host.shared.face_restorers.append(Restorer())
    host.shared.sd_upscalers.append(types.SimpleNamespace(name="None", scaler=None, data_path=None))
    host.shared.sd_upscalers.append(types.SimpleNamespace(name="Lanczos", scaler=Scaler(), data_path=None))
    demo = host.build()
    (choice,) = [block for block in demo.blocks.values() if getattr(block, "elem_id", "") == "sadtalker_restore"]
    names = [choice[0] if isinstance(choice, tuple) else choice for choice in choice.choices]
    assert names == ["none", "CodeFormer", "upscale: Lanczos"]
    request = job_request(0.4)
    for settings in (Settings(restore="upscale: Lanczos"), Settings(upscale="Lanczos")):
        job = extension_of(host).queue.submit(replace(request, settings=settings))
        assert job.finished.wait(180)
        assert (job.error, job.result.size) == ("", (384, 384))


def test_only_one_file_imports_the_hosts_modules():
    importing = [
        path.name
        for path in (ROOT / "sadtalker_ext").rglob("*.py")
        if any(line.strip().startswith(("from modules", "import modules")) for line in path.read_text().splitlines())
    ]
    assert importing == ["host.py"]


HEAVY = """
import sys, types
sys.path.insert(0, {tests!r})
from stub_webui import StubWebui
before = set(sys.modules)
host = StubWebui({data!r})
host.load_scripts()
host.build()
print(*host.reports, *sorted({{name.split(".")[0] for name in set(sys.modules) - before}}))
"""


def test_the_start_imports_no_heavy_package(tmp_path):
    code = HEAVY.format(tests=str(Path(__file__).parent), data=str(tmp_path))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = set(run.stdout.split())
    assert "sadtalker_ext" in loaded
    assert not loaded & {"torch", "librosa", "mediapipe", "cv2", "scipy", "skimage", "kornia", "imageio_ffmpeg"}
    assert list(tmp_path.iterdir()) == []
