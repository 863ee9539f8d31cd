"""Watching frames: order, progress, cancel; restorers by name."""

import numpy as np
import pytest

from sadtalker_ext.errors import Cancelled, SettingsError
from sadtalker_ext.pipeline import progress as frames_module
from sadtalker_ext.pipeline.progress import Watcher, open_restorers, register_restorer, register_upscaler
from sadtalker_ext.runtime import Runtime
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


@pytest.fixture
def registries(monkeypatch, tmp_path):
    """Nothing registered, and no files but those in the folder given."""
    monkeypatch.setattr(frames_module, "_RESTORERS", {})
    monkeypatch.setattr(frames_module, "_UPSCALERS", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Runtime(folders=(tmp_path,))


class Doubling:
    """A restorer that makes twice as bright, or an upscaler that makes twice as large."""

    def __init__(self, larger=False):
        self.larger = larger

    def restore(self, frames, portrait):
        for frame in frames:
            yield frame.repeat(2, axis=0).repeat(2, axis=1) if self.larger else frame * 2


def finish(settings, runtime):
    frames = count_up([])
    for restorer in open_restorers(settings, runtime):
        frames = restorer.restore(frames, None)
    return list(frames)


def test_nothing_is_restored_by_default_and_unknown_names_are_refused(registries):
    assert open_restorers(Settings(), registries) == []
    with pytest.raises(SettingsError, match=r"no face restorer named 'GFPGAN'; none is available here; use none"):
        open_restorers(Settings(restore="GFPGAN"), registries)
    with pytest.raises(SettingsError, match=r"no upscaler named 'ESRGAN'; none is available here; use none"):
        open_restorers(Settings(upscale="ESRGAN"), registries)


def test_a_registered_restorer_is_opened_when_asked_for(registries):
    opened = []
    register_restorer("Sharp", lambda: opened.append(1) or "restorer")
    assert opened == []
    assert open_restorers(Settings(restore="Sharp"), registries) == ["restorer"]
    with pytest.raises(SettingsError, match="there are Sharp"):
        open_restorers(Settings(restore="Other"), registries)


def test_only_the_wished_part_of_a_restorer_is_shown(registries):
    register_restorer("bright", Doubling)
    for part, expected in ((1.0, [0, 2, 4, 6, 8]), (0.5, [0, 2, 3, 4, 6]), (0.25, [0, 1, 2, 4, 5])):
        frames = finish(Settings(restore="bright", restore_strength=part), registries)
        assert [frame[0, 0, 0] for frame in frames] == expected
    assert open_restorers(Settings(restore="bright", restore_strength=0), registries) == []


def test_frames_are_enlarged_before_the_face_is_restored(registries):
    register_restorer("bright", Doubling)
    register_upscaler("large", lambda: Doubling(larger=True))
    frames = finish(Settings(restore="bright", upscale="large"), registries)
    assert [frame.shape for frame in frames] == [(4, 4, 3)] * 5
    assert [frame[0, 0, 0] for frame in frames] == [0, 2, 4, 6, 8]


def test_names_lead_to_no_folders(registries):
    with pytest.raises(SettingsError, match="takes a name without folders; name the folder with --folder"):
        open_restorers(Settings(restore="../secret.pth"), registries)
