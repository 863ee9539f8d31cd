"""Jobs of a server: the request, its state, and the host that they run on."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.constants import MAX_CLIP_S
from sadtalker_ext.pipeline.progress import Progress
from sadtalker_ext.runtime import Runtime

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.animate import Result
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.settings import Settings

WAITING, RUNNING, DONE, FAILED, STOPPED = "waiting", "running", "done", "failed", "stopped"
JOB_ID: Final = re.compile("[0-9a-f]{32}")
"""Form of a job id."""


@dataclass(frozen=True)
class JobRequest:
    """A video to make.

    output: the mp4 file to write.
    scratch: folder with the inputs, removed when the job has ended, or None.
    temporary: whether the video is removed together with the job.
    names: display names of files, for messages; the user does not know the paths of uploads.
    job_id: id of the job, 32 hexadecimal digits, chosen by the client so that it can cancel the job before its request
        has arrived; empty: the queue chooses one.
    owner: user name that the request was sent with; empty if there are no logins.
    """

    inputs: Inputs
    output: Path
    settings: Settings
    scratch: Path | None = None
    temporary: bool = False
    names: Mapping[Path, str] = field(default_factory=dict)
    job_id: str = ""
    owner: str = ""


@dataclass(frozen=True)
class Limits:
    """Limits of a job queue.

    waiting: jobs that may wait. job_s: seconds one job may take. voice_s: longest voice or idle clip, seconds.
    kept: ended jobs that are kept. kept_s: seconds after which an ended job is removed.
    """

    waiting: int = 50
    job_s: float = 4 * 3600.0
    voice_s: float = MAX_CLIP_S
    kept: int = 100
    kept_s: float = 24 * 3600.0


@dataclass(eq=False)
class Job:
    """A request and its state; any thread may read the attributes, only the queue writes them.

    stop_requested: set to cancel the job. finished: set when the job has ended.
    """

    request: JobRequest
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: str = WAITING
    progress: Progress = field(default_factory=lambda: Progress(""))
    result: Result | None = None
    error: str = ""
    created_s: float = field(default_factory=time.time)
    began_s: float = 0.0
    ended_s: float = 0.0
    stop_requested: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in (DONE, FAILED, STOPPED)


class Host:
    """The program that jobs run in. This one has the machine to itself; stable-diffusion-webui has its own subclass."""

    def runtime(self, settings: Settings) -> Runtime:
        """Return the device and folders for a job."""
        return Runtime()

    @contextmanager
    def exclusive(self, job: Job) -> Iterator[None]:
        """Hold the device for the block; wait until it is free."""
        yield

    def job_queued(self, job: Job) -> None:
        """Called when a job enters the queue."""

    def job_ended(self, job: Job) -> None:
        """Called when a job has ended or was cancelled before it started."""

    def keeps_engine(self) -> bool:
        """Whether the engine stays open after a job, so that the next one starts sooner."""
        return True

    def report(self, progress: Progress) -> None:
        """Called with every progress report of the running job."""

    def interrupted(self) -> bool:
        """Whether the user asked the host to stop the running job."""
        return False
