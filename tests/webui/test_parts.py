"""Parts of the page without a browser: widgets, actions, HTML fragments, results and downloads."""

import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio
import numpy as np
import pytest

from sadtalker_ext.engines import registry
from sadtalker_ext.engines.entry import EngineState
from sadtalker_ext.errors import SettingsError, WeightsError
from sadtalker_ext.pipeline.inputs import EYES, POSE, USES, Inputs
from sadtalker_ext.pipeline.job import FAILED, RUNNING, STOPPED, Job, JobRequest, Limits
from sadtalker_ext.pipeline.job_queue import MAX_EARLY_CANCELS, BusyError, JobQueue
from sadtalker_ext.pipeline.prepare import REFERENCE_STAGE, STAGES
from sadtalker_ext.pipeline.progress import Progress
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui import html
from sadtalker_ext.webui.actions import JobForm, PageActions, output_stem
from sadtalker_ext.webui.engine_actions import REFERENCE_USES
from sadtalker_ext.webui.html import format_duration, format_length, job_view, keep_units, message, stage_text
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.setting_widgets import engine_specific, make_widget, settings_from_values, widget_values
from sadtalker_ext.webui.standalone import warm_up
from sadtalker_ext.webui.tab import build_tab

REQUEST = JobRequest(Inputs(Path("a"), Path("b")), Path("c"), Settings())


@pytest.fixture
def page(tmp_path):
    with gradio.Blocks(analytics_enabled=False) as blocks:
        built = build_tab(PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,)))
    return blocks, built


def test_every_setting_has_a_widget_with_its_default(page):
    _, built = page
    widgets = built.settings.in_order()
    assert [widget.elem_id for widget in widgets] == [f"sadtalker_{spec.name}" for spec in Settings.specs()]
    assert settings_from_values([widget.value for widget in widgets]) == Settings()


def test_ids_are_unique(page):
    blocks, _ = page
    ids = [block.elem_id for block in blocks.blocks.values() if getattr(block, "elem_id", None)]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("sadtalker_") for name in ids)


def test_settings_survive_the_conversion_to_widget_values():
    settings = Settings(engine="sadtalker", still=True, yaw="-5,5", seed=9, size="512")
    assert settings_from_values(widget_values(settings)) == settings


def test_settings_of_another_engine_are_ignored():
    values = dict(zip([spec.name for spec in Settings.specs()], widget_values(Settings()), strict=True))
    values.update(size="512", mode="crop", engine="starter")
    assert settings_from_values(list(values.values())) == Settings()
    assert {"size", "mode", "parity"} <= {spec.name for spec in engine_specific()}


def test_a_refused_value_is_reported_with_the_label():
    values = dict(zip([spec.name for spec in Settings.specs()], widget_values(Settings()), strict=True))
    with pytest.raises(SettingsError, match=r"The setting Turn \(yaw\) is '90'"):
        settings_from_values(list((values | {"yaw": "90"}).values()))


def test_texts_are_escaped():
    assert "<b>" not in message("<b>&")
    job = Job(REQUEST, state=FAILED, error="<script>alert(1)</script>")
    assert "<script>" not in job_view(job)


def test_a_stage_that_is_complete_shows_no_remaining_time():
    job = Job(REQUEST, state=RUNNING)
    job.progress = Progress("motion", 100, 100, 50.0, 0.0)
    assert "100%" in job_view(job)
    assert "left" not in job_view(job)


def test_a_running_job_shows_progress_time_and_preview():
    frame = np.zeros((40, 30, 3), np.uint8)
    job = Job(REQUEST, state=RUNNING)
    job.progress = Progress("frames", 25, 100, 12.5, 6.0, frame)
    shown = job_view(job)
    assert 'aria-valuenow="25"' in shown
    assert "Rendering frames, 25%, 0:06 left" in shown
    assert "data:image/jpeg;base64" in shown
    assert stage_text(Progress("voice")) == "Analysing the voice ..."
    assert "Starting ..." in job_view(Job(REQUEST))
    waiting = [job_view(Job(REQUEST, created_s=time.time() - 60.0), ahead) for ahead in range(3)]
    assert ["until the server is free" in waiting[0], "1 video is ahead" in waiting[1]] == [True, True]
    assert "2 videos are ahead" in waiting[2]
    stamps = {re.search(r'data-busy="(\d+)"', job_view(job))[1] for _ in range(3)}
    assert len(stamps) == 3
    job.stop_requested.set()
    assert "Stopping ..." in job_view(job)
    assert (format_duration(59.6), format_duration(-1)) == ("1:00", "0:00")


def test_lengths_are_those_that_players_show():
    """Players show whole seconds that have passed: 2.5 s is 0:02 and not 0:03."""
    for seconds, shown in ((2.5, "0:02"), (2.99, "0:02"), (59.9, "0:59"), (60.0, "1:00"), (0.4, "0:00")):
        assert format_length(seconds) == shown


def test_sizes_do_not_break_over_two_lines():
    choices = make_widget(registry.setting_spec("engine")).choices
    (label,) = [label for label, value in choices if value == "sadtalker"]
    assert "1\N{NO-BREAK SPACE}GB download" in label
    assert keep_units("2 boxes of 1,036 MB") == "2 boxes of 1,036\N{NO-BREAK SPACE}MB"


@pytest.mark.parametrize(
    ("name", "stem"),
    [("/t/hello.wav", "hello"), ("/t/tmpab12.wav", "talking"), ("/t/audio.wav", "talking"), ("/t/說話.mp3", "說話")],
)
def test_a_video_is_named_after_its_voice(name, stem):
    assert output_stem(Inputs(Path("p.png"), Path(name))) == stem
    assert output_stem(Inputs(Path("p.png"), text="Good day, Bob")) == "Good_day_Bob"


def test_a_form_is_converted_to_inputs_or_a_problem():
    def form(source, portrait="p.png", voice=None, idle_s=None, text=""):
        return JobForm(portrait, voice, idle_s, "r.mp4", "eyes", text, source)

    assert "portrait first" in form("upload", portrait=None, voice="v.wav").problem
    missing = [form(source).problem for source in ("upload", "microphone", "text", "silent")]
    for problem, remedy in zip(missing, ("drop an audio file", "press Record", "Write a text", "length"), strict=True):
        assert remedy in problem
    speaking, silent = form("upload", voice="v.wav", idle_s=3, text="Hi"), form("silent", voice="v.wav", idle_s=3)
    assert (speaking.problem, silent.problem) == ("", "")
    assert speaking.inputs(True) == Inputs(Path("p.png"), Path("v.wav"), None, Path("r.mp4"), "eyes")
    assert silent.inputs(True) == Inputs(Path("p.png"), None, 3, Path("r.mp4"), "eyes")
    assert silent.inputs(False) == Inputs(Path("p.png"), None, 3)
    reading = form("text", voice="v.wav", text=" Hello\x00 ")
    assert (reading.problem, reading.inputs(False)) == ("", Inputs(Path("p.png"), text="Hello"))


def test_a_text_without_any_voice_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("sadtalker_ext.webui.actions.list_voices", lambda folders: [])
    page = PageActions(PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,)))
    values = [None, None, 5, None, "eyes", "", "text", *Settings().to_mapping().values()]
    assert "Text to speech is not installed" in page.generate("", *values)[1]


def test_a_job_cancelled_before_its_request_does_not_start():
    queue, job_id = JobQueue(), "0123456789abcdef" * 2
    assert queue.cancel_id(job_id) is None
    job = queue.submit(replace(REQUEST, job_id=job_id))
    assert (job.id, job.state, job.finished.is_set()) == (job_id, STOPPED, True)
    assert "no file was written" in job_view(job)
    assert queue.cancel_id(job_id) is job
    queue.close()


def test_a_repeated_job_id_makes_one_job_and_other_texts_are_no_job_ids(monkeypatch):
    started, go_on = threading.Event(), threading.Event()

    def run_now(*_):
        started.set()
        go_on.wait(10)

    monkeypatch.setattr(JobQueue, "run_now", run_now)
    queue = JobQueue(limits=Limits(waiting=2))
    first, again = (queue.submit(replace(REQUEST, job_id="f" * 32)) for _ in range(2))
    assert first is again
    other = queue.submit(replace(REQUEST, job_id="../task(1)"))
    assert other.id != "../task(1)"
    assert queue.cancel_id("../task(1)") is None
    assert started.wait(10)
    assert queue.cancel_id("f" * 32) is first
    assert first.stop_requested.is_set()
    queue.submit(REQUEST)
    with pytest.raises(BusyError, match="2 jobs are waiting"):
        queue.submit(REQUEST)
    assert queue.submit(replace(REQUEST, job_id="f" * 32)) is first
    go_on.set()
    assert other.finished.wait(10)
    queue.close()


def test_only_the_latest_early_cancels_are_kept():
    queue = JobQueue()
    job_ids = [f"{number:032x}" for number in range(MAX_EARLY_CANCELS + 1)]
    for job_id in job_ids:
        queue.cancel_id(job_id)
    assert list(queue._cancelled_early) == job_ids[1:]


def test_warming_up_opens_the_default_engine(monkeypatch, caplog):
    opened = []
    entry = replace(registry.find_engine("starter"), open=lambda *_: opened.append("starter") or SimpleNamespace())
    monkeypatch.setitem(registry._ENTRIES, "starter", entry)
    queue = JobQueue()
    warm_up(queue)
    queue.engines.acquire(Settings(), queue.host.runtime(Settings()))
    assert opened == ["starter"]

    def refuse(*_):
        raise WeightsError("exp_net.safetensors is damaged; install the package again")

    monkeypatch.setitem(registry._ENTRIES, "starter", replace(entry, open=refuse))
    warm_up(JobQueue())
    assert "install the package again" in caplog.text


def test_interrupt_without_a_job_says_so(tmp_path):
    actions = PageActions(PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,)))
    assert "No video is being made" in actions.interrupt("")
    assert "before it started" in actions.interrupt("a" * 32)


def test_every_use_of_a_reference_is_offered():
    assert sorted(use for _, use in REFERENCE_USES) == sorted(USES)


def test_the_page_offers_what_the_engine_supports(tmp_path, monkeypatch):
    state = EngineState("other", "Other", references=(EYES, POSE))
    monkeypatch.setattr("sadtalker_ext.webui.engine_actions.engine_state", lambda *_: state)
    actions = PageActions(PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,)))
    *own, checkpoints, part, uses, styles, panel, download, _, _ = actions.select_engine("starter")
    assert [spec.name for spec, update in zip(engine_specific(), own, strict=True) if update["visible"]] == ["weights"]
    assert not any(update["visible"] for update in (checkpoints, download))
    assert panel == ""
    assert styles["choices"][0] == "Natural"
    assert part["visible"]
    assert [use for _, use in uses["choices"]] == [EYES, POSE]


def test_every_stage_has_a_text():
    for stage in (*STAGES, REFERENCE_STAGE):
        assert stage in html.STAGE_TEXTS
