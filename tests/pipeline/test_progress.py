"""Watched frames: order, progress, cancellation."""

import numpy as np
import pytest

from sadtalker_ext.errors import Cancelled
from sadtalker_ext.pipeline import progress
from sadtalker_ext.pipeline.progress import Watcher


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
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(seconds))
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
