"""Watcher: order of frames, progress reports and cancellation."""

import numpy as np
import pytest

from sadtalker_ext.errors import Cancelled
from sadtalker_ext.pipeline import progress
from sadtalker_ext.pipeline.progress import Watcher


def count_up(rendered):
    for index in range(5):
        rendered.append(index)
        yield np.full((2, 2, 3), index, np.uint8)


def test_frames_are_passed_on_one_at_a_time_and_then_reported():
    rendered, reports = [], []
    watched = Watcher(reports.append).watch(count_up(rendered), "frames", 5)
    assert next(watched)[0, 0, 0] == 0
    assert rendered == [0]
    assert [report.done for report in reports] == [0]
    assert next(watched)[0, 0, 0] == 1
    assert rendered == [0, 1]
    assert [report.done for report in reports] == [0, 1]
    assert reports[1].frame[0, 0, 0] == 0
    assert [frame[0, 0, 0] for frame in watched] == [2, 3, 4]
    assert [report.done for report in reports] == [0, 1, 2, 3, 4, 5]
    assert all(report.stage == "frames" and report.total == 5 for report in reports[1:])


def test_speed_and_time_left(monkeypatch):
    seconds = iter([100.0, 100.5, 101.0, 101.5, 102.0, 102.5])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(seconds))
    reports = []
    list(Watcher(reports.append).watch(count_up([]), "frames", 5))
    assert [report.frames_per_s for report in reports[1:]] == pytest.approx([2.0] * 5)
    assert [report.left_s for report in reports[1:]] == pytest.approx([2.0, 1.5, 1.0, 0.5, 0.0])


def test_cancellation_stops_before_the_next_frame():
    rendered, reports = [], []
    watched = Watcher(reports.append, lambda: len(rendered) == 2).watch(count_up(rendered), "frames", 5)
    with pytest.raises(Cancelled):
        list(watched)
    assert rendered == [0, 1]
    assert reports[-1].done == 1
