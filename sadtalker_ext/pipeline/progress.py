"""Progress reports and cancellation of the work on a video."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sadtalker_ext.errors import Cancelled

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Frame


@dataclass(frozen=True)
class Progress:
    """State of the work.

    stage: name of the stage, one of :data:`~sadtalker_ext.pipeline.prepare.STAGES`.
    done, total: frames, or parts of a text that is read aloud; both 0 in a stage that counts neither.
    frames_per_s: since the stage began; 0 if unknown.
    left_s: estimated seconds to the end of the stage; 0 if unknown.
    frame: (H, W, 3) uint8 RGB, the frame just finished, for a preview; None in a stage without frames.
    """

    stage: str
    done: int = 0
    total: int = 0
    frames_per_s: float = 0.0
    left_s: float = 0.0
    frame: Frame | None = None


class Watcher:
    """Reports progress to the caller and stops the work on request.

    report: called at the start of each stage and after each frame, with a :class:`Progress`.
    cancelled: called as often; if it returns True, the work ends with :class:`~sadtalker_ext.errors.Cancelled`.
    """

    def __init__(
        self, report: Callable[[Progress], None] | None = None, cancelled: Callable[[], bool] | None = None
    ) -> None:
        self._report = report or _ignore
        self._cancelled = cancelled or _never

    def stage(self, name: str) -> None:
        """Report the start of a stage without frames."""
        self.check()
        self._report(Progress(name))

    def check(self) -> None:
        """Raise Cancelled if the caller asked to stop."""
        if self._cancelled():
            raise Cancelled("Stopped; no file was written")

    def counter(self, stage: str, total: int) -> Callable[[int], None]:
        """Return a function that reports how many of ``total`` frames are done in a stage that makes no pictures."""
        began_s = time.perf_counter()

        def report(done: int) -> None:
            rate = done / max(time.perf_counter() - began_s, 1e-9)
            self._report(Progress(stage, done, total, rate, (total - done) / max(rate, 1e-9)))

        return report

    def part_counter(self, stage: str) -> Callable[[int, int], None]:
        """Return a function that reports how many parts of how many are done, and checks for cancellation."""

        def report(done: int, total: int) -> None:
            self.check()
            self._report(Progress(stage, done, total))

        return report

    def watch(self, frames: Iterator[Frame], stage: str, total: int | Callable[[], int]) -> Iterator[Frame]:
        """Pass every frame on, and report it as done when the consumer asks for the next one.

        total: number of frames, or a function that returns its present estimate.
        """
        self.stage(stage)
        began_s = time.perf_counter()
        for done, frame in enumerate(frames, start=1):
            yield frame
            self.check()
            rate = done / max(time.perf_counter() - began_s, 1e-9)
            expected = total if isinstance(total, int) else max(done, total())
            self._report(Progress(stage, done, expected, rate, (expected - done) / rate, frame))


def _ignore(_: Progress) -> None: ...


def _never() -> bool:
    return False
