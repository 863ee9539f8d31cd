"""Progress for people: one line that redraws itself on a terminal, plain lines in a log."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.progress import Progress

BAR_WIDTH = 28
REDRAW_S = 0.1
LOG_EVERY_S = 10.0


class ProgressLine:
    """Writes progress to stderr; used in a ``with`` block, whose end leaves a line that is being redrawn."""

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._terminal = self._stream.isatty()
        self._last_s = 0.0
        self._stage = ""
        self._open = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def report(self, progress: Progress) -> None:
        """Show ``progress``: on a terminal at most ten times a second.

        A log gets a line for each stage, for the first and the last frame, and every ten seconds between them.
        """
        now_s = time.monotonic()
        fresh = progress.stage != self._stage
        telling = fresh or (progress.done in (1, progress.total) and progress.total > 0)
        pause_s = REDRAW_S if self._terminal else LOG_EVERY_S
        if self._quiet or (not telling and now_s - self._last_s < pause_s):
            return
        self._stage, self._last_s = progress.stage, now_s
        if self._terminal:
            self._redraw(describe(progress))
        elif fresh or progress.total:
            self._stream.write(describe(progress) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Leave the line, if one is being redrawn, so that the next words start on their own."""
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
        self._open, self._stage = False, ""

    def _redraw(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r" + text[:width].ljust(width))
        self._stream.flush()
        self._open = True


def describe(progress: Progress) -> str:
    """One line: stage, bar, frames, frames per second, time left."""
    if not progress.done:
        return f"{progress.stage} ..."
    filled = BAR_WIDTH * progress.done // progress.total
    bar = "#" * filled + "." * (BAR_WIDTH - filled)
    speed = f"{progress.frames_per_s:.1f} frames/s"
    return f"{progress.stage} [{bar}] {progress.done}/{progress.total}  {speed}  {clock(progress.left_s)} left"


def clock(seconds: float) -> str:
    """A length of time as m:ss, or h:mm:ss from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
