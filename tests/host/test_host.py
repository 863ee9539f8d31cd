"""The extension inside a host: its page, routes, script and options, none of which breaks the host."""

import subprocess
import sys
import threading
import types
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("gradio")
from fastapi import FastAPI
from fastapi.testclient import TestClient
from host_tools import ADDRESS, Processed, extension_of, wait_for
from stub_sdnext import StubSdNext
from stub_webui import ROOT, StubWebui

from sadtalker_ext.pipeline.result_metadata import read_record
from sadtalker_ext.settings import Settings


def test_the_page_is_built_with_every_option_and_button(host):
    host.build()
    assert host.reports == []
    assert "sadtalker" in host.infotext_utils.paste_fields
    sources = sorted(binding.paste_button.elem_id for binding in host.infotext_utils.bindings)
    assert sources == ["pnginfo_send_to_sadtalker", "txt2img_send_to_sadtalker"]
    assert {"sadtalker_output", "sadtalker_move_model"} <= set(host.shared.opts.data_labels)


def test_the_options_are_in_a_separate_category_if_the_host_has_categories(host):
    names = {}
    host.modules["modules.options"] = types.SimpleNamespace(
        categories=types.SimpleNamespace(register_category=names.__setitem__)
    )
    sys.modules["modules.options"] = host.modules["modules.options"]
    host.build()
    assert names == {"sadtalker": "SadTalker"}
    options = [info for key, info in host.shared.opts.data_labels.items() if key.startswith("sadtalker_")]
    assert {(info.section, info.category_id) for info in options} == {(("sadtalker", "SadTalker"), "sadtalker")}


def test_the_page_opens_with_the_hosts_default_engine_style_and_quality(host):
    opts = host.shared.opts
    host.build()
    (label,) = [
        choice for choice in opts.data_labels["sadtalker_default_engine"].component_args["choices"] if "1 GB" in choice
    ]
    opts.sadtalker_default_engine, opts.sadtalker_default_style, opts.sadtalker_default_quality = label, "Calm", "Best"

    def shown(demo):
        blocks = {getattr(block, "elem_id", None): block for block in demo.blocks.values()}
        return [blocks[f"sadtalker_{name}"].value for name in ("engine", "pose_style", "quality")]

    assert shown(host.build()) == ["sadtalker", "Style 2", "best"]
    opts.sadtalker_default_engine, opts.sadtalker_default_style, opts.sadtalker_default_quality = "?", "Calm", "?"
    assert shown(host.build()) == ["starter", "Calm", "good"]


def test_a_tab_that_cannot_be_built_does_not_break_the_host(host, monkeypatch):
    module = sys.modules["sadtalker_ext.webui.host"]
    monkeypatch.setattr(module, "build_tab", lambda context: 1 / 0)
    demo = host.build()
    assert host.reports == []
    texts = [str(block.value) for block in demo.blocks.values() if hasattr(block, "value")]
    assert any("could not be built: division by zero" in text for text in texts)


FAULTS = {
    "settings": ("host", "add_options"),
    "send-to button": ("host_send_buttons", "tool_button"),
    "send-to target": ("host_send_buttons", "set_target"),
    "axes": ("host", "add_axes"),
    "restorers": ("host", "register_host_restorers"),
    "context": ("host", "PageContext"),
    "script": ("host_script", "audio_input"),
    "routes": ("host", "checkpoint_folders"),
    "unloading": ("queue", "close"),
}


@pytest.mark.parametrize("part", FAULTS)
def test_any_error_is_logged_and_does_not_reach_the_host(host, monkeypatch, caplog, part):
    """An error without a message in the page is logged with what does not work."""
    module, name = FAULTS[part]
    owner = extension_of(host).queue if module == "queue" else sys.modules[f"sadtalker_ext.webui.{module}"]
    monkeypatch.setattr(owner, name, lambda *_, **__: 1 / 0)
    demo = host.build()
    host.call("app_started", demo, FastAPI())
    host.call("script_unloaded")
    assert host.reports == []
    ids = {getattr(block, "elem_id", None) for block in demo.blocks.values()}
    assert {"txt2img_gallery", "tab_sadtalker", "tab_pnginfo"} <= ids
    assert [record for record in caplog.records if "ZeroDivisionError" in str(record.exc_info)]
    shown = any("could not be built" in str(getattr(block, "value", "")) for block in demo.blocks.values())
    assert shown or "SadTalker cannot" in caplog.text


@pytest.mark.parametrize("stub", [StubWebui, StubSdNext])
@pytest.mark.parametrize("name", ["sadtalker_ext.webui.host", "sadtalker_ext.api.router", "sadtalker_ext.webui.tab"])
def test_a_package_that_cannot_be_imported_is_named_in_the_tab(tmp_path, monkeypatch, caplog, stub, name):
    for loaded in [loaded for loaded in sys.modules if loaded.startswith("sadtalker_ext.webui.host")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, name, None)
    made = stub(tmp_path)
    made.load_scripts()
    try:
        demo = made.build()
    finally:
        for module in made.modules:
            sys.modules.pop(module, None)
    assert made.reports == []
    texts = [str(block.value) for block in demo.blocks.values() if hasattr(block, "value")]
    assert any("SadTalker cannot be loaded: " in text and name in text for text in texts)
    assert "ModuleNotFoundError" in caplog.text


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
    assert len(app.routes) == len(FastAPI().routes)
    assert TestClient(app, base_url=ADDRESS).get("/sadtalker/v1/health").status_code == 404


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
    folder = host.data_path / "outputs" / "SadTalker"
    made = [f"SadTalker made {video.relative_to(folder).as_posix()} (Seed: 5)" for video in videos]
    assert sorted(processed.comments.splitlines()[1:]) == made
    assert str(host.data_path) not in processed.comments


def test_an_image_without_a_face_does_not_stop_the_others(host, job_request, tmp_path, monkeypatch):
    """The sentence names the image, and a remedy that the script has."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    script = host.scripts.scripts_data[0].script_class()
    request = job_request(0.4)
    processed = Processed(request.inputs.portrait)
    processed.images[1] = processed.images[0].resize((256, 256))
    with host.call_queue.queue_lock:
        script.postprocess(types.SimpleNamespace(), processed, True, str(request.inputs.voice), "starter")
    _, problem, made = processed.comments.splitlines()
    assert problem.startswith("No face was found in image 1. Describe one face seen from the front in the prompt")
    assert made.startswith("SadTalker made ")
    processed.images[1:], processed.comments = [processed.images[1]], ""
    with host.call_queue.queue_lock:
        script.postprocess(types.SimpleNamespace(), processed, True, str(request.inputs.voice), "starter")
    assert processed.comments.startswith("No face was found. Describe one face")


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
    assert names == ["None", "CodeFormer", "upscale: Lanczos"]
    (choice,) = [block for block in demo.blocks.values() if getattr(block, "elem_id", "") == "sadtalker_upscale"]
    names = [choice[0] if isinstance(choice, tuple) else choice for choice in choice.choices]
    assert names == ["None", "Lanczos"]
    request = job_request(0.4)
    for settings in (Settings(restore="upscale: Lanczos"), Settings(upscale="Lanczos")):
        job = extension_of(host).queue.submit(replace(request, settings=settings))
        assert job.finished.wait(180)
        assert (job.error, job.result.size) == ("", (384, 384))


def test_only_one_file_imports_the_hosts_modules():
    """It looks them up by name."""
    importing = [
        path.name
        for path in (ROOT / "sadtalker_ext").rglob("*.py")
        if any(line.strip().startswith(("from modules", "import modules")) for line in path.read_text().splitlines())
    ]
    assert importing == []
    users = [path.name for path in (ROOT / "sadtalker_ext").rglob("*.py") if '"modules.' in path.read_text("utf-8")]
    assert users == ["host_modules.py"]


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
    assert not loaded & {"torch", "librosa", "cv2", "scipy", "skimage", "kornia", "imageio_ffmpeg"}
    assert list(tmp_path.iterdir()) == []
