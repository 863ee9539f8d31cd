"""Watching frames: order, progress, cancel; restorers by name."""

import numpy as np
import pytest

from sadtalker_ext.errors import Cancelled, SettingsError
from sadtalker_ext.pipeline import frames as frames_module
from sadtalker_ext.pipeline.frames import Watcher, open_restorer, register_restorer
from sadtalker_ext.settings import Settings


def count_up(made):
    for index in range(5):
        made.append(index)
        yield np.full((2, 2, 3), index, np.uint8)


def test_frames_pass_one_at_a_time_and_are_reported_when_taken():
    made, reports = [], []
    watched = Watcher(reports.append).watch(count_up(made), "frames", 5)
    assert next(watched)[0, 0, 0] == 0
    assert made == [0]
    assert [report.done for report in reports] == [0]
    assert next(watched)[0, 0, 0] == 1
    assert made == [0, 1]
    assert [report.done for report in reports] == [0, 1]
    assert reports[1].frame[0, 0, 0] == 0
    assert [frame[0, 0, 0] for frame in watched] == [2, 3, 4]
    assert [report.done for report in reports] == [0, 1, 2, 3, 4, 5]
    assert all(report.stage == "frames" and report.total == 5 for report in reports[1:])


def test_speed_and_time_left(monkeypatch):
    seconds = iter([100.0, 100.5, 101.0, 101.5, 102.0, 102.5])
    monkeypatch.setattr(frames_module.time, "perf_counter", lambda: next(seconds))
    reports = []
    list(Watcher(reports.append).watch(count_up([]), "frames", 5))
    assert [report.frames_per_s for report in reports[1:]] == pytest.approx([2.0] * 5)
    assert [report.left_s for report in reports[1:]] == pytest.approx([2.0, 1.5, 1.0, 0.5, 0.0])


def test_cancel_stops_before_the_next_frame_is_made():
    made, reports = [], []
    watched = Watcher(reports.append, lambda: len(made) == 2).watch(count_up(made), "frames", 5)
    with pytest.raises(Cancelled):
        list(watched)
    assert made == [0, 1]
    assert reports[-1].done == 1


def test_no_restorer_by_default_and_unknown_ones_are_refused(monkeypatch):
    monkeypatch.setattr(frames_module, "_RESTORERS", {})
    assert open_restorer(Settings()) is None
    with pytest.raises(SettingsError, match=r"no face restorer named 'GFPGAN'; none is available here; use none"):
        open_restorer(Settings(restore="GFPGAN"))


def test_a_registered_restorer_is_opened_when_asked_for(monkeypatch):
    monkeypatch.setattr(frames_module, "_RESTORERS", {})
    opened = []
    register_restorer("Sharp", lambda: opened.append(1) or "restorer")
    assert opened == []
    assert open_restorer(Settings(restore="Sharp")) == "restorer"
    with pytest.raises(SettingsError, match="there are Sharp"):
        open_restorer(Settings(restore="Other"))
