"""A crashing process costs its piece of work one more try, not the whole build."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.training.core.worker_pool import run_jobs


def crash_once(job, attempt):
    folder, name, stubborn = job
    if name == "bad" and (attempt == 0 or stubborn):
        os._exit(11)
    Path(folder, f"{name}{attempt}").touch()


def test_work_goes_on_after_a_crash(tmp_path: Path):
    run_jobs(crash_once, [(str(tmp_path), name, False) for name in ("a", "bad", "b")], 1)
    assert {path.name[:-1] for path in tmp_path.iterdir()} == {"a", "bad", "b"}
    assert (tmp_path / "bad1").exists()


def test_work_that_always_crashes_is_named(tmp_path: Path):
    with pytest.raises(MediaError, match="processes crashed 4 times; 1 pieces are left"):
        run_jobs(crash_once, [(str(tmp_path), "bad", True)], 1)
