"""Stages of the work: timed, side by side where they do not need each other, stopped when a person asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from sadtalker_ext.ffmpeg import interruptible

if TYPE_CHECKING:
    from types import TracebackType

    from sadtalker_ext.engines.engine import Frame
    from sadtalker_ext.pipeline.frames import Watcher

P = ParamSpec("P")
T = TypeVar("T")
CANCEL_EVERY_S = 0.1
"""How often a person's wish to stop is looked up while a stage is waited for."""


@dataclass
class Stopwatch:
    """Seconds since it was made, seconds of each stage, and when the first frame was through."""

    began_s: float = field(default_factory=time.perf_counter)
    stage_s: dict[str, float] = field(default_factory=dict)
    first_frame_s: float = 0.0

    @property
    def now_s(self) -> float:
        """Seconds since the work began."""
        return time.perf_counter() - self.began_s

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note the seconds that the work inside takes."""
        began_s = self.now_s
        yield
        self.stage_s[name] = self.now_s - began_s

    def note_first(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Pass every frame on, and note when the consumer has taken the first."""
        for index, frame in enumerate(frames):
            yield frame
            if index == 0:
                self.first_frame_s = self.now_s


class SideBySide:
    """Stages that run in threads of their own; leaving it waits for none of them.

    When the work is cancelled, whatever they read through ffmpeg ends as well.
    """

    def __init__(self, watcher: Watcher, stopwatch: Stopwatch) -> None:
        self._watcher = watcher
        self._stopwatch = stopwatch
        self._pool = ThreadPoolExecutor(thread_name_prefix="sadtalker")

    def __enter__(self) -> SideBySide:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, stage: str, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Begin one stage."""

        def timed() -> T:
            with self._stopwatch.stage(stage), interruptible(self._watcher.check):
                return work(*arguments, **named)

        self._watcher.stage(stage)
        return self._pool.submit(timed)

    def result(self, future: Future[T]) -> T:
        """What a stage gives, or its error: with several at fault, the one that is asked for first is told."""
        while not wait((future,), CANCEL_EVERY_S).done:
            self._watcher.check()
        return future.result()
