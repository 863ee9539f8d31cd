"""What is told of an engine before it is opened agrees with what it says of itself."""

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from sadtalker_ext.engines.sadtalker.engine import SadTalkerOptions, engine_spec
from sadtalker_ext.engines.starter.engine import StarterEngine
from sadtalker_ext.pipeline.engine_states import ENGINES, MISSING, engine_names, engine_state, missing_packages
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.weights.packaged import PackagedConfig


def test_every_engine_is_known():
    assert tuple(ENGINES) == engine_names()
    assert all(name == state.name for name, state in ENGINES.items())


def test_references_are_those_of_the_specs(tmp_path):
    official = engine_spec(PackagedConfig(256), "x", SadTalkerOptions())
    assert engine_state("sadtalker", [tmp_path]).references == official.references
    assert engine_state("starter", [tmp_path]).references == StarterEngine(Runtime("cpu")).spec.references


@pytest.mark.parametrize("deep", [False, True])
def test_files_that_are_nowhere_are_missing_and_no_more(tmp_path, deep):
    state = engine_state("sadtalker", [tmp_path], deep)
    assert {file.problem for file in state.checkpoints} == {MISSING}
    assert state.words.startswith("3 of 3 checkpoints are missing")


@pytest.mark.parametrize(
    ("there", "told"),
    [(None, "the package mediapipe is missing. Start again"), ((), "no face models"), (("python", "solutions"), "")],
)
def test_a_mediapipe_that_finds_no_faces_is_told_of(tmp_path, monkeypatch, there, told):
    tmp_path.joinpath(*(there or ())).mkdir(parents=True, exist_ok=True)
    found = ModuleSpec("mediapipe", None, is_package=True)
    found.submodule_search_locations = [str(tmp_path)]
    specs = {"imageio_ffmpeg": found, "mediapipe": None if there is None else found}
    monkeypatch.setattr(importlib.util, "find_spec", specs.get)
    sentences = missing_packages()
    assert len(sentences) == bool(told)
    assert told in " ".join(sentences)
