"""The panel of the checkpoints of an engine, and their download."""

import re
import threading
from types import SimpleNamespace

import pytest

pytest.importorskip("gradio")

from sadtalker_ext.engines.registry import engine_state
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.webui.actions import PageActions
from sadtalker_ext.webui.engine_panel import CheckpointDownload, panel_view
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.weights.catalog import MIRROR_LABELS, MIRRORS

NAME = "mapping_00109-model.pth.tar"


def view(folder, download=None, engine="sadtalker", deep=False):
    return panel_view(engine_state(engine, (folder,), deep), (folder,), download or CheckpointDownload())


@pytest.fixture
def actions(tmp_path):
    return PageActions(PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,)))


def test_a_download_reports_and_stops(tmp_path, monkeypatch):
    requested, go_on = threading.Event(), threading.Event()

    def fetch(entry, folder, options):
        options.report(1, 4)
        requested.set()
        go_on.wait(10)
        options.report(2, 4)
        raise AssertionError("the download continued")

    monkeypatch.setattr("sadtalker_ext.weights.fetch.fetch", fetch)
    download = CheckpointDownload()
    download.start([NAME], tmp_path, "github")
    assert requested.wait(10)
    assert download.running
    shown = view(tmp_path, download)
    assert "data-busy" in shown
    assert 'aria-valuenow="25"' in shown
    download.stop()
    go_on.set()
    download._thread.join(10)
    assert "stopped" in download.error
    assert "stopped" in view(tmp_path, download)


def test_a_failed_download_says_why_until_another_source_is_chosen(actions, tmp_path, monkeypatch):
    def fetch(entry, *_):
        address = "https://x.org/a"
        raise WeightsError(f"{entry.name} could not be fetched from {address}: the server answered 404; try again")

    monkeypatch.setattr("sadtalker_ext.weights.fetch.fetch", fetch)
    actions.start_download("sadtalker", "github")
    actions._context.download._thread.join(10)
    shown, button, source, verify = actions.engine_panel("sadtalker")
    assert "the server answered 404. Try again" in shown
    assert "choose another source under Download from" in shown
    assert "https://" not in shown
    assert (button["visible"], source["visible"], verify["visible"]) == (True, True, False)
    assert button["value"] == "Resume the download"
    again, button, *_ = actions.forget_error("sadtalker")
    assert "404" not in again
    assert button["value"] == "Download 1,036 MB"


def test_the_panel_is_neutral_and_states_the_use_of_the_engine(tmp_path):
    shown = view(tmp_path)
    assert "sharper faces" in shown
    assert "1.0\N{NO-BREAK SPACE}GB" in shown
    assert "st-error" not in shown
    assert view(tmp_path, engine="starter") == ""


def test_a_misnamed_checkpoint_is_named_in_the_panel(tmp_path):
    (tmp_path / f"{NAME}.txt").touch()
    assert f"rename it to exactly {NAME}" in view(tmp_path)


@pytest.mark.parametrize("deep", [False, True])
def test_a_missing_checkpoint_is_reported_once(tmp_path, deep):
    rows = re.findall("<tr>.*?</tr>", view(tmp_path, deep=deep))
    assert [row.count("not downloaded yet") for row in rows] == [1, 1, 1]
    assert "MappingNet for the modes full and extfull" in rows[1]


def test_a_source_that_does_not_exist_is_refused(actions):
    shown, *_ = actions.start_download("sadtalker", "https://evil.example/")
    assert "Choose one of the sources" in shown
    assert actions._context.download._thread is None


def test_no_button_remains_when_every_file_is_present(actions, monkeypatch):
    files = (SimpleNamespace(problem="", path="a", size_bytes=5, name="a", note="", purpose="b"),)
    state = SimpleNamespace(ready=True, checkpoints=files, message="All checkpoints are present.")
    monkeypatch.setattr("sadtalker_ext.webui.engine_actions.engine_state", lambda *_: state)
    shown, button, source, verify = actions.engine_panel("sadtalker")
    assert "All checkpoints are present." in shown
    assert (button["visible"], source["visible"], verify["visible"]) == (False, False, True)


def test_every_mirror_has_a_label():
    assert list(MIRROR_LABELS) == list(MIRRORS)
