"""Pieces of the page without a browser: every knob has a widget, strangers' texts are escaped, names stay inside."""

import os
import re
import threading
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
from sadtalker_ext.webui import engine_panel, html, results
from sadtalker_ext.webui.actions import USES_IN_WORDS, Actions, Wish, stem_of
from sadtalker_ext.webui.engine_panel import Download, panel_view
from sadtalker_ext.webui.html import clock, job_view, message, stage_words
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.setting_widgets import engine_specific, settings_of, values_of
from sadtalker_ext.webui.standalone import warm_up
from sadtalker_ext.webui.tab import build_tab

ORDER = JobRequest(Inputs(Path("a"), Path("b")), Path("c"), Settings())


@pytest.fixture
def page(tmp_path):
    with gradio.Blocks(analytics_enabled=False) as blocks:
        inputs = build_tab(PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,)))
    return blocks, inputs


def test_every_knob_has_a_widget_with_its_default(page):
    _, inputs = page
    widgets = inputs.knobs.in_order()
    assert [widget.elem_id for widget in widgets] == [f"sadtalker_{knob.name}" for knob in Settings.specs()]
    assert settings_of([widget.value for widget in widgets]) == Settings()


def test_ids_are_unique(page):
    blocks, _ = page
    ids = [block.elem_id for block in blocks.blocks.values() if getattr(block, "elem_id", None)]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("sadtalker_") for name in ids)


def test_widgets_and_settings_are_the_same_both_ways():
    wished = Settings(engine="sadtalker", still=True, yaw="-5,5", seed=9, size="512")
    assert settings_of(values_of(wished)) == wished


def test_knobs_of_another_engine_stay_at_their_defaults():
    values = dict(zip([knob.name for knob in Settings.specs()], values_of(Settings()), strict=True))
    values.update(size="512", mode="crop", engine="starter")
    assert settings_of(list(values.values())) == Settings()
    assert {"size", "mode", "parity"} <= set(engine_specific())


def test_a_bad_value_is_refused_in_words():
    values = dict(zip([knob.name for knob in Settings.specs()], values_of(Settings()), strict=True))
    with pytest.raises(SettingsError, match="yaw is '90'"):
        settings_of(list((values | {"yaw": "90"}).values()))


def test_texts_of_strangers_are_escaped():
    assert "<b>" not in message("<b>&")
    job = Job(ORDER, state=FAILED, error="<script>alert(1)</script>")
    assert "<script>" not in job_view(job)


def test_a_job_in_work_shows_bar_time_and_picture():
    frame = np.zeros((40, 30, 3), np.uint8)
    job = Job(ORDER, state=RUNNING)
    job.progress = Progress("frames", 25, 100, 12.5, 6.0, frame)
    shown = job_view(job)
    assert 'aria-valuenow="25"' in shown
    assert "25 of 100, 0:06 left" in shown
    assert "data:image/jpeg;base64" in shown
    assert stage_words(Progress("voice")) == "Listening to the voice ..."
    stamps = {re.search(r'data-busy="(\d+)"', job_view(job))[1] for _ in range(3)}
    assert len(stamps) == 3
    job.stop.set()
    assert "Stopping ..." in job_view(job)
    assert (clock(59.6), clock(-1)) == ("1:00", "0:00")


@pytest.mark.parametrize("name", ["../secret.mp4", "/etc/passwd", "day/none.mp4", "day/a.txt", "day", "", "\0"])
def test_only_results_are_shown(tmp_path, name):
    folder = tmp_path / "videos"
    (folder / "day").mkdir(parents=True)
    (folder / "day" / "a.txt").touch()
    (tmp_path / "secret.mp4").touch()
    assert results.result_named(name, folder) is None


def test_recent_results_are_the_newest_first(tmp_path):
    (tmp_path / "day").mkdir()
    for index in range(4):
        path = tmp_path / "day" / f"{index}.mp4"
        path.touch()
        os.utime(path, (index, index))
    assert [path.stem for path in results.recent(tmp_path, 3)] == ["3", "2", "1"]
    assert "will be shown here" in results.gallery_view(tmp_path)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("/t/hello.wav", "hello"), ("/t/tmpab12.wav", "talking"), ("/t/audio.wav", "talking"), ("/t/說話.mp3", "說話")],
)
def test_a_video_is_named_after_its_voice(name, stem):
    assert stem_of(name) == stem


def test_a_download_reports_and_stops(tmp_path, monkeypatch):
    asked, go_on = threading.Event(), threading.Event()

    def fetch(entry, folder, options):
        options.report(1, 4)
        asked.set()
        go_on.wait(10)
        options.report(2, 4)
        raise AssertionError("the download went on")

    monkeypatch.setattr("sadtalker_ext.weights.fetch.fetch", fetch)
    download = Download()
    name = "mapping_00109-model.pth.tar"
    download.begin([name], tmp_path, "github")
    assert asked.wait(10)
    assert download.running
    shown = panel_view("sadtalker", (tmp_path,), download)
    assert "data-busy" in shown
    assert 'aria-valuenow="25"' in shown
    download.stop()
    go_on.set()
    download._thread.join(10)
    assert "stopped" in download.error
    assert "stopped" in panel_view("sadtalker", (tmp_path,), download)


def test_a_failed_download_says_why(tmp_path, monkeypatch):
    def fetch(*_):
        raise WeightsError("The server answered 404; try another mirror")

    monkeypatch.setattr("sadtalker_ext.weights.fetch.fetch", fetch)
    download = Download()
    download.begin(["mapping_00109-model.pth.tar"], tmp_path, "github")
    download._thread.join(10)
    assert "404" in panel_view("sadtalker", (tmp_path,), download)


def test_a_look_alike_is_named_in_the_panel(tmp_path):
    (tmp_path / "mapping_00109-model.pth.tar.txt").touch()
    shown = panel_view("sadtalker", (tmp_path,), engine_panel.Download())
    assert "rename it to exactly mapping_00109-model.pth.tar" in shown
    assert panel_view("starter", (tmp_path,), engine_panel.Download()) == ""


@pytest.mark.parametrize("deep", [False, True])
def test_a_missing_file_is_called_so_once(tmp_path, deep):
    shown = panel_view("sadtalker", (tmp_path,), engine_panel.Download(), deep)
    rows = re.findall("<tr>.*?</tr>", shown)
    assert [row.count("missing") for row in rows] == [1, 1, 1]
    assert "MappingNet for the modes full and extfull" in rows[1]


def test_a_wish_becomes_inputs_or_a_sentence():
    assert "portrait first" in Wish(None, "v.wav", 0, None, "eyes").lack
    assert "voice first" in Wish("p.png", None, 0, None, "eyes").lack
    assert "remove the voice" in Wish("p.png", "v.wav", 3, None, "eyes").lack
    spoken, idle = Wish("p.png", "v.wav", 0, "r.mp4", "eyes"), Wish("p.png", None, 3, "r.mp4", "eyes")
    assert (spoken.lack, idle.lack) == ("", "")
    assert spoken.inputs(True) == Inputs(Path("p.png"), Path("v.wav"), None, Path("r.mp4"), "eyes")
    assert idle.inputs(True) == Inputs(Path("p.png"), None, 3, Path("r.mp4"), "eyes")
    assert idle.inputs(False) == Inputs(Path("p.png"), None, 3)


def test_an_order_that_was_refused_ends_before_it_begins():
    workshop, ticket = JobQueue(), "0123456789abcdef" * 2
    assert workshop.cancel_id(ticket) is None
    job = workshop.submit(replace(ORDER, job_id=ticket))
    assert (job.id, job.state, job.finished.is_set()) == (ticket, STOPPED, True)
    assert "nothing was kept" in job_view(job)
    assert workshop.cancel_id(ticket) is job
    workshop.close()


def test_a_ticket_makes_one_job_and_other_words_are_none(monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def work(*_):
        begun.set()
        go_on.wait(10)

    monkeypatch.setattr(JobQueue, "work_on", work)
    workshop = JobQueue(limits=Limits(waiting=2))
    first, again = (workshop.submit(replace(ORDER, job_id="f" * 32)) for _ in range(2))
    assert first is again
    other = workshop.submit(replace(ORDER, job_id="../task(1)"))
    assert other.id != "../task(1)"
    assert workshop.cancel_id("../task(1)") is None
    assert begun.wait(10)
    assert workshop.cancel_id("f" * 32) is first
    assert first.stop.is_set()
    workshop.submit(ORDER)
    with pytest.raises(BusyError, match="2 jobs are waiting"):
        workshop.submit(ORDER)
    assert workshop.submit(replace(ORDER, job_id="f" * 32)) is first
    go_on.set()
    assert other.finished.wait(10)
    workshop.close()


def test_only_the_latest_refusals_are_remembered():
    workshop = JobQueue()
    tickets = [f"{number:032x}" for number in range(MAX_EARLY_CANCELS + 1)]
    for ticket in tickets:
        workshop.cancel_id(ticket)
    assert list(workshop._cancelled_early) == tickets[1:]


def test_the_first_video_finds_its_engine_open(monkeypatch, caplog):
    opened = []
    entry = replace(registry.find_engine("starter"), open=lambda *_: opened.append("starter") or SimpleNamespace())
    monkeypatch.setitem(registry._ENTRIES, "starter", entry)
    workshop = JobQueue()
    warm_up(workshop)
    workshop.engines.acquire(Settings(), workshop.host.runtime(Settings()))
    assert opened == ["starter"]

    def refuse(*_):
        raise WeightsError("exp_net.safetensors is damaged; install the package again")

    monkeypatch.setitem(registry._ENTRIES, "starter", replace(entry, open=refuse))
    warm_up(JobQueue())
    assert "install the package again" in caplog.text


def test_nothing_to_interrupt_is_said(tmp_path):
    actions = Actions(PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,)))
    assert "Nothing is being made" in actions.interrupt("")
    assert "before it began" in actions.interrupt("a" * 32)


def test_every_use_of_a_reference_can_be_chosen():
    assert sorted(use for _, use in USES_IN_WORDS) == sorted(USES)


def test_the_page_offers_what_the_state_of_the_engine_says(tmp_path, monkeypatch):
    state = EngineState("other", "Other", references=(EYES, POSE))
    monkeypatch.setattr("sadtalker_ext.webui.actions.engine_state", lambda *_: state)
    _, _, part, uses = Actions(PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,))).switch("other")
    assert part["visible"]
    assert [use for _, use in uses["choices"]] == [EYES, POSE]


def test_every_stage_has_words():
    for stage in (*STAGES, REFERENCE_STAGE):
        assert stage in html.STAGES
