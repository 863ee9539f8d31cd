"""Work for several processes, some of which may crash: synthesisers are libraries in C."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from sadtalker_ext.errors import MediaError

log = logging.getLogger(__name__)

Job = TypeVar("Job")
ATTEMPTS: Final = 4


def run_jobs(work: Callable[[Job, int], None], jobs: Sequence[Job], processes: int) -> None:
    """Call ``work(job, attempt)`` for every job; when a process crashes, what is left is tried again.

    ``attempt`` counts from 0, so that work can take another random path. MediaError after :data:`ATTEMPTS` crashes.
    """
    left = list(jobs)
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
            except BrokenProcessPool:
                log.warning("a process crashed; %d pieces of work are tried again", len(left) - len(done))
        left = [job for index, job in enumerate(left) if index not in done]
    if left:
        raise MediaError(f"processes crashed {ATTEMPTS} times; {len(left)} pieces are left, first {left[0]}; try again")
