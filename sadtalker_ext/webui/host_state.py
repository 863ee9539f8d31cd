"""Compatibility of the queue, the progress display and Interrupt.

The first parameter of ``state.begin`` is called job in AUTOMATIC1111 and title in SD.Next, so it is passed by position.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from sadtalker_ext.webui.host_modules import find

_own_lock: Final = threading.Lock()
"""Replaces the webui's queue if it has none."""


def queue_lock() -> AbstractContextManager[Any]:
    """Return the lock that the webui holds while it works."""
    lock: AbstractContextManager[Any] = find("call_queue", "queue_lock") or _own_lock
    return lock


@contextmanager
def running_job(job_id: str) -> Iterator[None]:
    """Show a job as the running one of the webui for the block; its queue lock is held."""
    state, start_task = find("shared", "state"), find("progress", "start_task")
    begin, end = find("shared", "state.begin"), find("shared", "state.end")
    if begin is not None:
        begin(job_id)
    if state is not None:
        state.job_count = 1
    if start_task is not None:
        start_task(job_id)
    try:
        yield
    finally:
        if end is not None:
            end()
        clear_text()


def add_waiting(job_id: str) -> None:
    """Add a job to the webui's waiting tasks, which its page counts."""
    add = find("progress", "add_task_to_queue")
    if add is not None:
        add(job_id)


def add_finished(job_id: str) -> None:
    """Add a job to the webui's finished tasks, which ends its progress display."""
    waiting, finish = find("progress", "pending_tasks"), find("progress", "finish_task")
    if waiting is not None:
        waiting.pop(job_id, None)
    if finish is not None:
        finish(job_id)


def show_progress(text: str, done: int, total: int) -> None:
    """Show a text and the completed part of the running job in the webui's progress display."""
    state = find("shared", "state")
    if state is not None:
        state.textinfo = text
        state.sampling_steps, state.sampling_step = max(1, total), done


def clear_text() -> None:
    """Remove the text from the webui's progress display."""
    state = find("shared", "state")
    if state is not None:
        state.textinfo = None


def is_interrupted() -> bool:
    """Whether the webui's Interrupt was pressed since the running job began."""
    return bool(find("shared", "state.interrupted"))


@contextmanager
def without_new_jobs() -> Iterator[None]:
    """Keep the running job of the webui while its own functions are called.

    SD.Next's upscalers begin a job for each picture, which would end the displayed one and discard an interruption.
    """
    state = find("shared", "state")
    if state is None:
        yield
        return
    state.begin = state.end = _no_job
    try:
        yield
    finally:
        del state.begin, state.end


def _no_job(*_arguments: object, **_options: object) -> None:
    """Replace ``begin`` and ``end`` of ``shared.state``."""
