"""Missing optional packages are reported with what does not work and the remedy."""

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from sadtalker_ext.pipeline import environment
from sadtalker_ext.pipeline.environment import missing_packages


@pytest.mark.parametrize(
    ("folders", "message"),
    [(None, "the package mediapipe is missing. Install"), ((), "no face models"), (("python", "solutions"), "")],
)
def test_mediapipe_without_face_models_is_reported(tmp_path, monkeypatch, folders, message):
    tmp_path.joinpath(*(folders or ())).mkdir(parents=True, exist_ok=True)
    found = ModuleSpec("mediapipe", None, is_package=True)
    found.submodule_search_locations = [str(tmp_path)]
    specs = {"imageio_ffmpeg": found, "mediapipe": None if folders is None else found}
    monkeypatch.setattr(importlib.util, "find_spec", specs.get)
    monkeypatch.setattr(environment, "find_spec", specs.get)
    sentences = missing_packages()
    assert len(sentences) == bool(message)
    assert message in " ".join(sentences)
