"""The engine registry: states, supported settings, and a new engine in one file and one line."""

from dataclasses import replace

import numpy as np
import pytest
import toy_engine
from PIL import Image
from skimage.data import astronaut

from sadtalker_ext import Settings, animate, open_engine
from sadtalker_ext.cli.demo import demo_voice
from sadtalker_ext.engines import registry
from sadtalker_ext.engines.entry import MISSING
from sadtalker_ext.engines.registry import check_settings, engine_names, engine_state, engine_states, setting_specs
from sadtalker_ext.engines.sadtalker.engine import engine_spec
from sadtalker_ext.engines.starter.engine import StarterEngine
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.video.read import read_frames
from sadtalker_ext.weights.packaged import PackagedConfig


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    registry.register(toy_engine.TOY)


def test_every_engine_has_a_state(tmp_path):
    assert engine_names() == ("starter", "sadtalker")
    assert [state.name for state in engine_states([tmp_path])] == list(engine_names())


def test_the_state_lists_the_references_that_the_engine_supports(tmp_path):
    official = engine_spec(PackagedConfig(256), "x")
    assert engine_state("sadtalker", [tmp_path]).references == official.references
    assert engine_state("starter", [tmp_path]).references == StarterEngine(Runtime("cpu")).spec.references


@pytest.mark.parametrize("deep", [False, True])
def test_absent_checkpoints_are_reported_as_missing(tmp_path, deep):
    state = engine_state("sadtalker", [tmp_path], deep)
    assert {file.problem for file in state.checkpoints} == {MISSING}
    assert state.message.startswith("3 of 3 checkpoints are missing")


def test_an_unknown_engine_is_refused_with_the_names_that_exist():
    with pytest.raises(SettingsError, match="no engine 'wav2lip'; choose starter or sadtalker"):
        check_settings(Settings(engine="wav2lip"))


def test_engines_are_choices_of_the_setting(toy):
    specs = {spec.name: spec for spec in setting_specs()}
    assert specs["engine"].choices == ("starter", "sadtalker", "toy")
    assert specs["mode"].help.startswith("Only for the engine sadtalker.")


def test_a_new_engine_animates_after_one_line_of_registration(toy, tmp_path):
    Image.fromarray(astronaut()).resize((128, 128)).save(tmp_path / "p.png")
    result = animate(tmp_path / "p.png", demo_voice(), tmp_path / "v.mp4", Settings(engine="toy", still=True))
    frames = list(read_frames(tmp_path / "v.mp4"))
    assert len(frames) == result.frames
    assert np.mean(frames[0]) == pytest.approx(toy_engine.LEVEL, abs=2)
    with pytest.raises(SettingsError, match="engine toy does not support the setting size"):
        animate(tmp_path / "p.png", demo_voice(), tmp_path / "w.mp4", Settings(engine="toy", size="512"))


def test_options_decide_whether_an_engine_is_opened_again(tmp_path):
    entry = registry.find_engine("sadtalker")
    settings = Settings(engine="sadtalker")
    assert entry.options(settings) == entry.options(replace(settings, seed=5, yaw="3"))
    for changed in ({"mode": "crop"}, {"size": "512"}, {"parity": True}, {"paste": "seamless"}):
        assert entry.options(settings) != entry.options(replace(settings, **changed))
    assert len({entry.options(settings), entry.options(replace(settings, mode="crop"))}) == 2


def test_open_engine_rejects_settings_of_another_engine(tmp_path):
    with open_engine("starter") as engine, pytest.raises(SettingsError, match="opened with other settings"):
        engine.acquire(Settings(engine="sadtalker"), Runtime())
