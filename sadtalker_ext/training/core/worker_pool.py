"""Process pool that repeats jobs whose process crashed (speech synthesisers are C libraries and may crash)."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from sadtalker_ext.errors import MediaError

log = logging.getLogger(__name__)

Job = TypeVar("Job")
ATTEMPTS: Final = 4
PROGRESS_INTERVAL_S: Final = 10.0
"""Time between two messages about finished jobs."""


def run_jobs(
    work: Callable[[Job, int], None], jobs: Sequence[Job], processes: int, name: Callable[[Job], str] = str
) -> None:
    """Call ``work(job, attempt)`` for every job in ``processes`` processes; repeat unfinished jobs after a crash.

    ``attempt`` counts from 0, so that ``work`` can use other random numbers. name: returns what users know a job by,
    such as the file that it writes, for messages. Raises MediaError after
    :data:`ATTEMPTS` attempts; an exception of ``work`` itself is raised at once.
    """
    left, shown_s = list(jobs), time.monotonic()
    for attempt in range(ATTEMPTS):
        if not left:
            return
        done: set[int] = set()
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = {pool.submit(work, job, attempt): index for index, job in enumerate(left)}
            try:
                for future in as_completed(futures):
                    future.result()
                    done.add(futures[future])
                    if time.monotonic() - shown_s >= PROGRESS_INTERVAL_S:
                        log.info("%d of %d parts are done", len(jobs) - len(left) + len(done), len(jobs))
                        shown_s = time.monotonic()
            except BrokenProcessPool:
                log.warning("A process crashed; parts that are not done are repeated: %d", len(left) - len(done))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # the end of the block would wait for all jobs
                raise
        left = [job for index, job in enumerate(left) if index not in done]
    if left:
        count = "1 part is" if len(left) == 1 else f"{len(left)} parts are"
        raise MediaError(
            f"Processes crashed {ATTEMPTS} times, and {count} not done, the first is {name(left[0])}; run the same "
            "command again, which continues, with fewer --processes if memory ran out"
        )
