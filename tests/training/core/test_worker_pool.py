"""After a crash of a process, only the unfinished jobs are repeated."""

from __future__ import annotations

import ast
import os
import time
from pathlib import Path

import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.training.core import worker_pool
from sadtalker_ext.training.core.worker_pool import run_jobs


def crash_once(job, attempt):
    folder, name, always = job
    if name == "bad" and (attempt == 0 or always):
        os._exit(11)
    Path(folder, f"{name}{attempt}").touch()


def test_unfinished_jobs_are_repeated_after_a_crash(tmp_path: Path):
    run_jobs(crash_once, [(str(tmp_path), name, False) for name in ("a", "bad", "b")], 1)
    assert {path.name[:-1] for path in tmp_path.iterdir()} == {"a", "bad", "b"}
    assert (tmp_path / "bad1").exists()


def test_job_that_always_crashes_is_named(tmp_path: Path):
    with pytest.raises(MediaError) as caught:
        run_jobs(crash_once, [(str(tmp_path), "bad", True)], 1, lambda job: f"{job[1]}.npz")
    assert str(caught.value) == (
        "Processes crashed 4 times, and 1 part is not done, the first is bad.npz; run the same command again, which "
        "continues, with fewer --processes if memory ran out"
    )


def test_all_uses_of_the_pool_name_their_jobs():
    """Each call passes ``name``, so that no message shows an internal record."""
    uses = []
    for path in (Path(worker_pool.__file__).parents[1]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "run_jobs":
                uses.append((path.name, len(node.args)))
    assert len(uses) == 5
    assert all(count == 4 for _, count in uses), uses


def fail_first(job, _attempt):
    folder, number = job
    if number == 0:
        raise MediaError("The disk is full")
    time.sleep(0.05)
    Path(folder, str(number)).touch()


def test_after_an_error_the_other_jobs_are_not_begun(tmp_path: Path):
    with pytest.raises(MediaError, match="The disk is full"):
        run_jobs(fail_first, [(str(tmp_path), number) for number in range(60)], 1)
    assert len(list(tmp_path.iterdir())) < 10


def test_the_number_of_finished_jobs_is_reported(tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setattr(worker_pool, "PROGRESS_INTERVAL_S", 0.0)
    with caplog.at_level("INFO"):
        run_jobs(crash_once, [(str(tmp_path), name, False) for name in ("a", "b")], 1)
    assert [record.getMessage() for record in caplog.records] == ["1 of 2 parts are done", "2 of 2 parts are done"]
