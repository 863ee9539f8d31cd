"""Registered restorers and upscalers: order, strength and unknown names."""

import numpy as np
import pytest

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.pipeline.restoration import registry
from sadtalker_ext.pipeline.restoration.files import open_restorer_file
from sadtalker_ext.pipeline.restoration.registry import open_restorers, register_restorer, register_upscaler
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings


def count_up():
    for index in range(5):
        yield np.full((2, 2, 3), index, np.uint8)


@pytest.fixture
def registries(monkeypatch, tmp_path):
    """Empty registries, and a runtime whose only checkpoint folder is empty."""
    monkeypatch.setattr(registry, "_RESTORERS", {})
    monkeypatch.setattr(registry, "_UPSCALERS", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Runtime(folders=(tmp_path,))


class Doubling:
    """A restorer that doubles the brightness, or an upscaler that doubles the size."""

    def __init__(self, enlarge=False):
        self.enlarge = enlarge

    def restore(self, frames, portrait):
        for frame in frames:
            yield frame.repeat(2, axis=0).repeat(2, axis=1) if self.enlarge else frame * 2


def restore_all(settings, runtime):
    frames = count_up()
    for restorer in open_restorers(settings, runtime, open_restorer_file):
        frames = restorer.restore(frames, None)
    return list(frames)


def test_nothing_is_restored_by_default_and_unknown_names_are_refused(registries):
    assert open_restorers(Settings(), registries, open_restorer_file) == []
    with pytest.raises(SettingsError, match=r"no face restorer named 'GFPGAN' \(none is available\); choose none"):
        open_restorers(Settings(restore="GFPGAN"), registries, open_restorer_file)
    with pytest.raises(SettingsError, match=r"no upscaler named 'ESRGAN' \(none is available\); choose none"):
        open_restorers(Settings(upscale="ESRGAN"), registries, open_restorer_file)


def test_registered_restorer_is_opened_when_it_is_needed(registries):
    opened = []
    register_restorer("Sharp", lambda: opened.append(1) or "restorer")
    assert opened == []
    assert open_restorers(Settings(restore="Sharp"), registries, open_restorer_file) == ["restorer"]
    with pytest.raises(SettingsError, match="available: Sharp"):
        open_restorers(Settings(restore="Other"), registries, open_restorer_file)


def test_restored_face_is_blended_by_its_strength(registries):
    register_restorer("bright", Doubling)
    for part, expected in ((1.0, [0, 2, 4, 6, 8]), (0.5, [0, 2, 3, 4, 6]), (0.25, [0, 1, 2, 4, 5])):
        frames = restore_all(Settings(restore="bright", restore_strength=part), registries)
        assert [frame[0, 0, 0] for frame in frames] == expected
    assert open_restorers(Settings(restore="bright", restore_strength=0), registries, open_restorer_file) == []


def test_frames_are_enlarged_before_the_face_is_restored(registries):
    register_restorer("bright", Doubling)
    register_upscaler("large", lambda: Doubling(enlarge=True))
    frames = restore_all(Settings(restore="bright", upscale="large"), registries)
    assert [frame.shape for frame in frames] == [(4, 4, 3)] * 5
    assert [frame[0, 0, 0] for frame in frames] == [0, 2, 4, 6, 8]


def test_names_with_folders_are_refused(registries):
    with pytest.raises(SettingsError, match="accepts a file name without folders"):
        open_restorers(Settings(restore="../secret.pth"), registries, open_restorer_file)
