"""Stages of a job that run in parallel: results, errors and cancellation."""

import threading

import pytest

from sadtalker_ext.errors import Cancelled
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.pipeline.stages import ParallelStages, Stopwatch


def test_stages_run_in_parallel():
    barrier = threading.Barrier(2, timeout=120)
    watch = Stopwatch()
    with ParallelStages(Watcher(), watch) as stages:
        both = [stages.begin(name, barrier.wait) for name in ("a", "b")]
        assert sorted(stages.result(future) for future in both) == [0, 1]
    assert set(watch.stage_s) == {"a", "b"}


def test_error_of_the_first_requested_stage_is_raised():
    """Not that of the stage that fails first, so that the same inputs always raise the same error."""
    with ParallelStages(Watcher(), Stopwatch()) as stages:
        failed = threading.Event()

        def fail_late():
            failed.wait(120)
            raise KeyError

        late = stages.begin("late", fail_late)
        early = stages.begin("early", lambda: 1 // 0)
        assert isinstance(early.exception(120), ZeroDivisionError)
        failed.set()
        with pytest.raises(KeyError):
            stages.result(late)


def test_cancellation_ends_the_wait_for_a_stage():
    finish = threading.Event()
    cancelled = []
    with ParallelStages(Watcher(cancelled=lambda: len(cancelled) > 0), Stopwatch()) as stages:
        long = stages.begin("long", finish.wait, 300)
        cancelled.append(True)
        with pytest.raises(Cancelled):
            stages.result(long)
        finish.set()
