"""When the face worker looks into the folder apart."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

import pytest

from sadtalker_ext.faces import private_packages as packages_apart
from sadtalker_ext.pipeline.environment import missing_packages

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("host_models", [False, True])
@pytest.mark.parametrize("apart_models", [False, True])
def test_it_is_searched_where_only_it_has_face_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host_models: bool, apart_models: bool
) -> None:
    host, apart = tmp_path / "host", tmp_path / "apart"
    for folder, has in ((host, host_models), (apart / "mediapipe", apart_models)):
        (folder / "python" / "solutions" if has else folder).mkdir(parents=True)
    spec = ModuleSpec("mediapipe", None, is_package=True)
    spec.submodule_search_locations = [str(host)]
    monkeypatch.setattr(importlib.util, "find_spec", {"mediapipe": spec, "imageio_ffmpeg": spec}.get)
    monkeypatch.setattr(packages_apart, "PRIVATE_FOLDER", apart)
    assert packages_apart.private_path() == ([str(apart)] if apart_models and not host_models else [])
    assert bool(missing_packages()) is not (host_models or apart_models)
