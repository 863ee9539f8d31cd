"""Checkpoints on a full disk: the reason is named, and no part of a file is left."""

from types import SimpleNamespace

import pytest
import torch

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.training.core import checkpoint
from sadtalker_ext.training.core.checkpoint import TrainingState


@pytest.mark.parametrize(("free", "message"), [(0, "is full: free some space"), (1 << 30, "unexpected pos 64 vs 0")])
def test_a_full_disk_is_named(tmp_path, monkeypatch, free, message):
    def fail(_content, path):
        path.write_bytes(b"part")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", fail)
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(WeightsError, match=message):
        TrainingState({}, {}, {}, {}).save(tmp_path / "checkpoint.pt", 1)
    assert list(tmp_path.iterdir()) == []
