"""A workshop for long-lived faces (page, REST): jobs wait in a queue, one is worked on, anyone may look or stop."""

from __future__ import annotations

import re
import shutil
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.shelf import Shelf, using
from sadtalker_ext.errors import Cancelled, MediaError, SadTalkerError
from sadtalker_ext.ffmpeg import interruptible
from sadtalker_ext.pipeline.frames import Progress, Watcher
from sadtalker_ext.pipeline.naming import renamed
from sadtalker_ext.runtime import Runtime

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.animate import Result
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.settings import Settings

WAITING, RUNNING, DONE, FAILED, STOPPED = "waiting", "running", "done", "failed", "stopped"
STATES: Final = (WAITING, RUNNING, DONE, FAILED, STOPPED)
TICKET: Final = re.compile("[0-9a-f]{32}")
"""What a ticket looks like; other words are none."""
BEFORE = "Stopped before it began; nothing was kept"
REFUSALS: Final = 100
"""Tickets of orders that shall not begin when they arrive, remembered at most."""
DEFECT = "Something went wrong inside the program ({kind}: {words}); the log tells more"


@dataclass(frozen=True)
class Order:
    """What to make.

    inputs: portrait, voice or seconds of silence, reference. output: the mp4 to write. scratch: a folder with the
    inputs that is removed when the job has ended, or None. fleeting: whether the video is removed when the job is
    forgotten. names: what its files are called in sentences, for those that lie where nobody put them. ticket: id of
    the job, 32 hexadecimal digits, chosen by whoever orders to be able to stop it before its order has arrived.
    """

    inputs: Inputs
    output: Path
    settings: Settings
    scratch: Path | None = None
    fleeting: bool = False
    names: Mapping[Path, str] = field(default_factory=dict)
    ticket: str = ""


@dataclass(frozen=True)
class Limits:
    """waiting: jobs that may wait. job_s: seconds one job may take. voice_s: longest voice or idle clip, seconds.

    kept: ended jobs that are remembered. kept_s: seconds after which an ended job is forgotten.
    """

    waiting: int = 50
    job_s: float = 4 * 3600.0
    voice_s: float = 7200.0
    kept: int = 100
    kept_s: float = 24 * 3600.0


@dataclass(eq=False)
class Job:
    """One order and what has become of it; attributes are read from any thread, written by the workshop only."""

    order: Order
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: str = WAITING
    progress: Progress = field(default_factory=lambda: Progress(""))
    result: Result | None = None
    error: str = ""
    created_s: float = field(default_factory=time.time)
    began_s: float = 0.0
    ended_s: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in (DONE, FAILED, STOPPED)


class Room:
    """Where jobs are worked on: alone on the machine. A host has a room of its own, with its rules."""

    def runtime(self, settings: Settings) -> Runtime:
        """How this machine computes."""
        return Runtime()

    @contextmanager
    def turn(self, job: Job) -> Iterator[None]:
        """Hold the machine while inside; entering waits until it is free."""
        yield

    def expect(self, job: Job) -> None:
        """A job has come into the queue."""

    def dismiss(self, job: Job) -> None:
        """A job has ended, or will never begin."""

    def keeps_engine(self) -> bool:
        """Whether the engine stays open after a job, so that the next one begins sooner."""
        return True

    def report(self, progress: Progress) -> None:
        """Told everything that the job's own progress is told."""

    def interrupted(self) -> bool:
        """Whether the room's own stop button was pressed."""
        return False


class Workshop:
    """Takes orders and works on them one after the other in a thread of its own, which starts with the first order."""

    def __init__(self, room: Room | None = None, limits: Limits = Limits()) -> None:
        self.room = room or Room()
        self.limits = limits
        self.shelf = Shelf()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._refused: OrderedDict[str, None] = OrderedDict()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._open = True

    def submit(self, order: Order) -> Job:
        """Put an order into the queue; a SadTalkerError when too many wait. A ticket makes one job, however often its
        order arrives.
        """
        with self._change:
            self._forget_old()
            if (known := self._jobs.get(order.ticket)) is not None:
                _remove(order.scratch)
                return known
            waiting = sum(job.state == WAITING for job in self._jobs.values())
            if not self._open or waiting >= self.limits.waiting:
                _remove(order.scratch)
                raise BusyError(f"{waiting} jobs are waiting already; try again when some of them are done")
            job = Job(order, order.ticket) if TICKET.fullmatch(order.ticket) else Job(order)
            self._jobs[job.id] = job
            if job.id in self._refused:
                self._end(job, STOPPED, BEFORE)
                return job
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sadtalker-jobs", daemon=True)
                self._thread.start()
            self.room.expect(job)
            self._change.notify_all()
        return job

    def find(self, job_id: str) -> Job | None:
        """The job of that id, None where there is none (any more)."""
        return self._jobs.get(job_id)

    def jobs(self) -> list[Job]:
        """All jobs that are remembered, the oldest first."""
        with self._change:
            return list(self._jobs.values())

    def cancel(self, job: Job) -> None:
        """Stop a job: one that waits at once, one that is worked on within a frame."""
        with self._change:
            job.stop.set()
            if job.state == WAITING:
                self._end(job, STOPPED, BEFORE)

    def refuse(self, ticket: str) -> Job | None:
        """Stop the job of that ticket or id; where there is none yet, see to it that it ends before it begins."""
        with self._change:
            job = self._jobs.get(ticket)
            if job is not None:
                self.cancel(job)
            elif TICKET.fullmatch(ticket):
                self._refused[ticket] = None
                if len(self._refused) > REFUSALS:
                    self._refused.popitem(last=False)
            return job

    def forget(self, job: Job) -> None:
        """Stop a job and remember it no longer."""
        self.cancel(job)
        with self._change:
            if self._jobs.pop(job.id, None) is not None and job.ended:
                _remove_result(job)

    def close(self, wait_s: float = 2.0) -> None:
        """Stop everything, wait a little for the job in work, and remove what was kept for a while only."""
        with self._change:
            self._open = False
            jobs = list(self._jobs.values())
        for job in jobs:
            self.cancel(job)
        with self._change:
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(wait_s)
        if self._thread is None or not self._thread.is_alive():
            self.shelf.close()
        for job in jobs:
            _remove_result(job)

    def work_on(self, job: Job) -> Result:
        """Do the work of one job in this thread, without asking the room for a turn."""
        try:
            with using(self.shelf):
                return make(job, self.room, self.limits)
        finally:
            if not self.room.keeps_engine():
                self.shelf.close()

    def _work(self) -> None:
        while True:
            with self._change:
                job = self._next()
                while job is None:
                    if not self._open:
                        return
                    self._change.wait()
                    job = self._next()
            self._do(job)

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state == WAITING), None)

    def _do(self, job: Job) -> None:
        try:
            with self.room.turn(job):
                with self._change:
                    if job.state != WAITING:
                        return
                    job.state, job.began_s = RUNNING, time.time()
                job.result = self.work_on(job)
            self._end(job, DONE)
        except Cancelled as stopped:
            self._end(job, STOPPED, str(stopped))
        except SadTalkerError as refused:
            self._end(job, FAILED, str(refused))
        except Exception as defect:
            import logging

            logging.getLogger(__name__).exception("A job failed")
            self._end(job, FAILED, DEFECT.format(kind=type(defect).__name__, words=str(defect).split("\n")[0][:200]))

    def _end(self, job: Job, state: str, words: str = "") -> None:
        with self._change:
            if job.ended:
                return
            job.error, job.ended_s = renamed(words, job.order.names), time.time()
            job.progress = Progress(job.progress.stage, job.progress.done, job.progress.total)
            _remove(job.order.scratch)
            job.state = state
            self.room.dismiss(job)
            job.over.set()
            if job.id not in self._jobs:
                _remove_result(job)

    def _forget_old(self) -> None:
        ended = [job for job in self._jobs.values() if job.ended]
        late_s = time.time() - self.limits.kept_s
        for index, job in enumerate(ended):
            if len(ended) - index > self.limits.kept or job.ended_s < late_s:
                del self._jobs[job.id]
                _remove_result(job)


class BusyError(SadTalkerError):
    """Too many jobs wait."""


def make(job: Job, room: Room, limits: Limits) -> Result:
    """The video of one job."""
    from sadtalker_ext.pipeline.animate import make_video

    order, until_s = job.order, time.monotonic() + limits.job_s

    def report(progress: Progress) -> None:
        job.progress = progress
        room.report(progress)

    def stopped() -> bool:
        if time.monotonic() > until_s:
            raise MediaError(f"The work took longer than the {limits.job_s:.0f} s allowed here; give a shorter voice")
        return job.stop.is_set() or room.interrupted()

    watcher = Watcher(report, stopped)
    watcher.check()
    with interruptible(watcher.check):
        _check_length(order.inputs, limits.voice_s)
    return make_video(order.inputs, order.output, order.settings, room.runtime(order.settings), watcher)


def _check_length(inputs: Inputs, most_s: float) -> None:
    """Refuse a clip longer than this service allows; the longest of all is known to the reader of voices."""
    from sadtalker_ext.audio.speech import open_speech

    if most_s >= Limits.voice_s:
        return
    if inputs.voice is not None and open_speech(inputs.voice).duration_s > most_s:
        raise MediaError(f"The voice is longer than the {most_s:.0f} s allowed here; give a shorter one")
    if inputs.idle_s is not None and inputs.idle_s > most_s:
        raise MediaError(f"An idle clip of {inputs.idle_s:g} s is longer than the {most_s:.0f} s allowed here")


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_result(job: Job) -> None:
    if job.order.fleeting:
        with suppress(OSError):
            job.order.output.unlink(missing_ok=True)
