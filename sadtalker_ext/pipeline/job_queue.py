"""A queue of jobs for servers (web UI, REST): one job runs at a time, in a thread of the queue."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.registry import check_settings
from sadtalker_ext.engines.session import EngineCache, EngineSource
from sadtalker_ext.errors import Cancelled, FileRef, MediaError, SadTalkerError
from sadtalker_ext.ffmpeg import interruptible
from sadtalker_ext.pipeline.job import DONE, FAILED, JOB_ID, RUNNING, STOPPED, WAITING, Host, Job, JobRequest, Limits
from sadtalker_ext.pipeline.mesh_files import chosen_outputs
from sadtalker_ext.pipeline.progress import Progress, Watcher

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.animate import Result

log = logging.getLogger(__name__)
STOPPED_BEFORE_START: Final = "Stopped before it started; no file was written"
MAX_EARLY_CANCELS: Final = 100
"""Ids of jobs that were cancelled before their request arrived, kept at most."""
MIN_WAIT_S: Final = 0.01
"""Shortest wait for the next job that expires, as clocks are rounded."""
MAX_BUG_TEXT: Final = 200
"""Characters of an unexpected exception that users see."""


class BusyError(SadTalkerError):
    """Too many jobs wait."""


class JobQueue:
    """Runs jobs one after another in a thread that starts with the first job; another thread removes old ones."""

    def __init__(self, host: Host | None = None, limits: Limits | None = None) -> None:
        self.host = host or Host()
        self.limits = limits or Limits()
        self.engines = EngineCache()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._cancelled_early: OrderedDict[str, None] = OrderedDict()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._accepting = True

    def submit(self, request: JobRequest) -> Job:
        """Add a job and return it; a second request with the same job id returns the first one's job.

        Raises SettingsError if the engine does not support the settings, BusyError if too many jobs wait.
        """
        with self._change:
            self._remove_old()
            if (known := self._jobs.get(request.job_id)) is not None:
                _remove_folder(request.scratch)
                return known
            try:
                self._check(request)
            except SadTalkerError:
                _remove_folder(request.scratch)
                raise
            job = Job(request, request.job_id) if JOB_ID.fullmatch(request.job_id) else Job(request)
            self._jobs[job.id] = job
            self._start_threads()
            if job.id in self._cancelled_early:
                self._end(job, STOPPED, STOPPED_BEFORE_START)
                return job
            self.host.job_queued(job)
            self._change.notify_all()
        return job

    def find(self, job_id: str) -> Job | None:
        """Return the job with this id, or None if there is none or it was removed."""
        return self._jobs.get(job_id)

    def jobs(self) -> list[Job]:
        """Return all jobs that are kept, the oldest first."""
        with self._change:
            return list(self._jobs.values())

    def cancel(self, job: Job) -> None:
        """Stop a job: a waiting one at once, the running one within a frame."""
        with self._change:
            job.stop_requested.set()
            if job.state == WAITING:
                self._end(job, STOPPED, STOPPED_BEFORE_START)

    def cancel_id(self, job_id: str) -> Job | None:
        """Stop the job with this id; if its request has not arrived yet, it will end before it starts."""
        with self._change:
            job = self._jobs.get(job_id)
            if job is not None:
                self.cancel(job)
            elif JOB_ID.fullmatch(job_id):
                self._cancelled_early[job_id] = None
                if len(self._cancelled_early) > MAX_EARLY_CANCELS:
                    self._cancelled_early.popitem(last=False)
            return job

    def remove(self, job: Job) -> None:
        """Stop a job and remove it."""
        self.cancel(job)
        with self._change:
            if self._jobs.pop(job.id, None) is not None and job.ended:
                _remove_result(job)

    def close(self, wait_s: float = 2.0) -> None:
        """Stop all jobs, wait up to ``wait_s`` seconds for the running one, and remove temporary results."""
        with self._change:
            self._accepting = False
            jobs = list(self._jobs.values())
        for job in jobs:
            self.cancel(job)
        with self._change:
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(wait_s)
        if self._thread is None or not self._thread.is_alive():
            self.engines.close()
        for job in jobs:
            _remove_result(job)

    def run_now(self, job: Job) -> Result:
        """Run one job in this thread, without waiting for the host's device."""
        try:
            return make_job_video(job, self.host, self.limits, self.engines)
        finally:
            if not self.host.keeps_engine():
                self.engines.close()

    def _check(self, request: JobRequest) -> None:
        check_settings(request.settings)
        waiting = sum(job.state == WAITING for job in self._jobs.values())
        if not self._accepting or waiting >= self.limits.waiting:
            raise BusyError(f"{waiting} jobs are waiting already; try again later")

    def _start_threads(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sadtalker-jobs", daemon=True)
            self._thread.start()
            threading.Thread(target=self._expire, name="sadtalker-expiry", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._change:
                job = self._next()
                while job is None:
                    if not self._accepting:
                        return
                    self._change.wait()
                    job = self._next()
            self._run_job(job)

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state == WAITING), None)

    def _run_job(self, job: Job) -> None:
        try:
            with self.host.exclusive(job):
                with self._change:
                    if job.state != WAITING:
                        return
                    job.state, job.began_s = RUNNING, time.time()
                job.result = self.run_now(job)
            self._end(job, DONE)
        except Cancelled as stopped:
            self._end(job, STOPPED, str(stopped))
        except SadTalkerError as error:
            self._end(job, FAILED, error.describe(job.request.names))
        except Exception as bug:
            log.exception("A job failed")
            text = str(bug).split("\n")[0][:MAX_BUG_TEXT]
            self._end(job, FAILED, f"Internal error ({type(bug).__name__}: {text}); the log has the details")

    def _end(self, job: Job, state: str, message: str = "") -> None:
        with self._change:
            if job.ended:
                return
            job.error, job.ended_s = message, time.time()
            job.progress = Progress(job.progress.stage, job.progress.done, job.progress.total)
            _remove_folder(job.request.scratch)
            job.state = state
            self.host.job_ended(job)
            job.finished.set()
            if job.id not in self._jobs:
                _remove_result(job)
            self._change.notify_all()

    def _expire(self) -> None:
        """Remove ended jobs when their time is up, also while nothing else happens."""
        with self._change:
            while self._accepting:
                self._remove_old()
                ended_s = [job.ended_s for job in self._jobs.values() if job.ended]
                left_s = min(ended_s) + self.limits.kept_s - time.time() if ended_s else None
                self._change.wait(left_s if left_s is None else max(left_s, MIN_WAIT_S))

    def _remove_old(self) -> None:
        ended = [job for job in self._jobs.values() if job.ended]
        oldest_s = time.time() - self.limits.kept_s
        for index, job in enumerate(ended):
            if len(ended) - index > self.limits.kept or job.ended_s < oldest_s:
                del self._jobs[job.id]
                _remove_result(job)


def make_job_video(job: Job, host: Host, limits: Limits, engines: EngineSource) -> Result:
    """Make the video of one job; MediaError if it takes longer than the limit."""
    from sadtalker_ext.pipeline.animate import make_video

    request, until_s = job.request, time.monotonic() + limits.job_s

    def report(progress: Progress) -> None:
        job.progress = progress
        host.report(progress)

    def cancelled() -> bool:
        if time.monotonic() > until_s:
            raise MediaError(f"The job took longer than the allowed {limits.job_s:.0f} s; use a shorter voice")
        return job.stop_requested.is_set() or host.interrupted()

    watcher = Watcher(report, cancelled)
    watcher.check()
    runtime = host.runtime(request.settings)
    with interruptible(watcher.check):
        _check_length(request, limits.voice_s)
    inputs = replace(request.inputs, longest_s=limits.voice_s)
    return make_video(inputs, request.output, request.settings, runtime, watcher, engine=engines)


def _check_length(request: JobRequest, limit_s: float) -> None:
    """Raise MediaError for a clip longer than this server allows; the audio reader has its own upper limit.

    The speech of a text is checked while it is read.
    """
    from sadtalker_ext.pipeline.prepare import load_speech

    inputs = request.inputs
    if limit_s >= Limits.voice_s:
        return
    if inputs.voice is not None and load_speech(inputs, request.settings).duration_s > limit_s:
        ref = FileRef("voice", inputs.voice)
        raise MediaError("The ", ref, f" is longer than the allowed {limit_s:.0f} s; use a shorter one")
    if inputs.idle_s is not None and inputs.idle_s > limit_s:
        raise MediaError(f"An idle clip of {inputs.idle_s:g} s is longer than the allowed {limit_s:.0f} s")


def _remove_folder(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_result(job: Job) -> None:
    if not job.request.temporary:
        return
    video, model = chosen_outputs(job.request.output, job.request.settings)
    for path in (video, *(() if model is None else (model.glb, model.wav))):
        with suppress(OSError):
            path.unlink(missing_ok=True)
