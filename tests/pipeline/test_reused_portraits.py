"""A portrait is read, and prepared for rendering, once for several voices; a different one is prepared again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.assets import demo_portrait
from sadtalker_ext.engines.session import open_engine
from sadtalker_ext.pipeline import batch, portrait
from sadtalker_ext.pipeline.animate import make_video
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.puppet import renderer
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings

IDLE_S = 0.2


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often a portrait is read, and how often one is prepared for rendering."""
    counted: Counter[str] = Counter()
    for name, module in (("_read_portrait", portrait), ("build_rig", renderer)):
        original = getattr(module, name)

        def counting(*arguments: object, _name: str = name, _original=original, **named: object) -> object:
            counted[_name] += 1
            return _original(*arguments, **named)

        monkeypatch.setattr(module, name, counting)
    return counted


@pytest.fixture
def faces(tmp_path: Path) -> list[Path]:
    """Two small portraits."""
    picture = Image.open(demo_portrait()).convert("RGB").crop((100, 0, 356, 256))
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    picture.save(paths[0])
    Image.fromarray(np.asarray(picture)[:, ::-1]).save(paths[1])
    return paths


def test_a_batch_prepares_each_portrait_once(calls: Counter[str], faces: list[Path], tmp_path: Path) -> None:
    inputs = [Inputs(face, None, IDLE_S) for face in faces for _ in range(2)]
    jobs = batch.plan(inputs, tmp_path / "out")
    outcomes = list(batch.run(jobs, Settings(), Runtime(device="cpu"), Watcher()))
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert calls == {"_read_portrait": 2, "build_rig": 2}


def test_an_open_engine_prepares_a_portrait_once(calls: Counter[str], faces: list[Path], tmp_path: Path) -> None:
    with open_engine("starter", runtime=Runtime(device="cpu")) as engine:
        for name in ("first", "second"):
            make_video(Inputs(faces[0], None, IDLE_S), tmp_path / f"{name}.mp4", engine=engine)
        assert calls == {"_read_portrait": 1, "build_rig": 1}
        Image.open(faces[1]).save(faces[0])  # the file is replaced
        make_video(Inputs(faces[0], None, IDLE_S), tmp_path / "third.mp4", engine=engine)
    assert calls == {"_read_portrait": 2, "build_rig": 2}
