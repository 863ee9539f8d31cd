"""The face worker uses the private MediaPipe only if the host's MediaPipe has no face models."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

import pytest

from sadtalker_ext.faces import private_packages
from sadtalker_ext.pipeline.environment import missing_packages

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("host_models", [False, True])
@pytest.mark.parametrize("private_models", [False, True])
def test_private_folder_is_searched_if_only_it_has_face_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host_models: bool, private_models: bool
) -> None:
    host, private = tmp_path / "host", tmp_path / "private"
    for folder, has in ((host, host_models), (private / "mediapipe", private_models)):
        (folder / "python" / "solutions" if has else folder).mkdir(parents=True)
    spec = ModuleSpec("mediapipe", None, is_package=True)
    spec.submodule_search_locations = [str(host)]
    monkeypatch.setattr(importlib.util, "find_spec", {"mediapipe": spec, "imageio_ffmpeg": spec}.get)
    monkeypatch.setattr(private_packages, "PRIVATE_FOLDER", private)
    assert private_packages.private_path() == ([str(private)] if private_models and not host_models else [])
    assert bool(missing_packages()) is not (host_models or private_models)
