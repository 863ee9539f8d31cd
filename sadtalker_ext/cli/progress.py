"""Progress on stderr: one line that is redrawn on a terminal, separate lines in a log."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.progress import Progress

BAR_WIDTH: Final = 28
REDRAW_S: Final = 0.1
"""Shortest time between two updates on a terminal."""
LOG_INTERVAL_S: Final = 10.0
"""Time between two lines in a log."""


class ProgressLine:
    """Writes progress reports to stderr; a context manager that finishes the line at the end."""

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
        """Show ``progress``, on a terminal at most ten times a second.

        A log gets one line for each stage, for the first and the last frame, and every ten seconds in between.
        """
        now_s = time.monotonic()
        new_stage = progress.stage != self._stage
        important = new_stage or (progress.done in (1, progress.total) and progress.total > 0)
        interval_s = REDRAW_S if self._terminal else LOG_INTERVAL_S
        if self._quiet or (not important and now_s - self._last_s < interval_s):
            return
        self._stage, self._last_s = progress.stage, now_s
        if self._terminal:
            self._redraw(format_progress(progress))
        elif new_stage or progress.total:
            self._stream.write(format_progress(progress) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Finish the line that is being redrawn, if any, so that further output starts on a new one."""
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
        self._open, self._stage = False, ""

    def _redraw(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r" + text[:width].ljust(width))
        self._stream.flush()
        self._open = True


def format_progress(progress: Progress) -> str:
    """Return one line with stage, bar, frames, frames per second and time left."""
    if not progress.done:
        return f"{progress.stage} ..."
    filled = BAR_WIDTH * progress.done // progress.total
    bar = "#" * filled + "." * (BAR_WIDTH - filled)
    text = f"{progress.stage} [{bar}] {progress.done}/{progress.total}"
    if not progress.frames_per_s:
        return text
    return f"{text}  {progress.frames_per_s:.1f} frames/s  {format_duration(progress.left_s)} left"


def format_duration(seconds: float) -> str:
    """Return a duration as m:ss, or as h:mm:ss from one hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
