"""Stages of the work on a video: measured, run in parallel where possible, and cancelled on request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from sadtalker_ext.ffmpeg import interruptible

if TYPE_CHECKING:
    from types import TracebackType

    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.pipeline.progress import Watcher

P = ParamSpec("P")
T = TypeVar("T")
TEXT_STAGE: Final = "text"
"""Stage that reads a text aloud, or the first section of a long one, if there is one."""
CANCEL_CHECK_S: Final = 0.1
"""Seconds between two checks for cancellation while a stage runs."""


@dataclass
class Stopwatch:
    """Seconds of each stage, and of the time to the first frame, since the object was created."""

    began_s: float = field(default_factory=time.perf_counter)
    stage_s: dict[str, float] = field(default_factory=dict)
    first_frame_s: float = 0.0

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.began_s

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block as a stage."""
        began_s = self.now_s
        yield
        self.stage_s[name] = self.now_s - began_s

    def note_first(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass every frame on, and note when the consumer asks for the second."""
        for index, frame in enumerate(frames):
            yield frame
            if index == 0:
                self.first_frame_s = self.now_s


class ParallelStages:
    """Runs each stage in a separate thread; leaving the context does not wait for unfinished ones.

    When the work is cancelled, whatever they read through ffmpeg ends as well.
    """

    def __init__(self, watcher: Watcher, stopwatch: Stopwatch) -> None:
        self._watcher = watcher
        self._stopwatch = stopwatch
        self._pool = ThreadPoolExecutor(thread_name_prefix="sadtalker")

    def __enter__(self) -> ParallelStages:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, stage: str, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Start a stage and report it."""

        def timed() -> T:
            with self._stopwatch.stage(stage), interruptible(self._watcher.check):
                return work(*arguments, **named)

        self._watcher.stage(stage)
        return self._pool.submit(timed)

    def in_background(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Start work that is not measured as a stage; leaving the context does not stop it."""

        def interrupted() -> T:
            with interruptible(self._watcher.check):
                return work(*arguments, **named)

        pool = ThreadPoolExecutor(1, thread_name_prefix="sadtalker")
        try:
            return pool.submit(interrupted)
        finally:
            pool.shutdown(wait=False)

    def result(self, future: Future[T]) -> T:
        """Wait for the result of a stage, or raise its error; raise Cancelled if the caller asked to stop."""
        while not wait((future,), CANCEL_CHECK_S).done:
            self._watcher.check()
        return future.result()

    @staticmethod
    def when_done(future: Future[T], use: Callable[[T], object]) -> None:
        """Call ``use`` with the result of a stage as soon as it has one; not if it fails or was never started."""

        def finish(done: Future[T]) -> None:
            if not done.cancelled() and done.exception() is None:
                use(done.result())

        future.add_done_callback(finish)
