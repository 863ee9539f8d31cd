"""Progress on a terminal and in a log."""

import io

import numpy as np
import pytest

from sadtalker_ext.cli import progress as progress_module
from sadtalker_ext.cli.progress import ProgressLine, format_duration
from sadtalker_ext.pipeline.progress import Progress

FRAME = np.zeros((2, 2, 3), np.uint8)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def tick(monkeypatch):
    """Function that advances the time, which is otherwise constant."""
    now = [1000.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def report_frames(line, tick, interval_s, frames=100):
    line.report(Progress("portrait"))
    line.report(Progress("frames"))
    for done in range(1, frames + 1):
        tick(interval_s)
        line.report(Progress("frames", done, frames, 1 / interval_s, (frames - done) * interval_s, FRAME))


def test_log_gets_few_lines(tick):
    log = io.StringIO()
    with ProgressLine(stream=log) as line:
        report_frames(line, tick, 0.5)
    lines = log.getvalue().splitlines()
    assert lines[:2] == ["portrait ...", "frames ..."]
    assert lines[2] == "frames [............................] 1/100  2.0 frames/s  0:50 left"
    assert lines[-1] == "frames [############################] 100/100  2.0 frames/s  0:00 left"
    assert len(lines) == 2 + 2 + 4
    assert "\r" not in log.getvalue()


def test_terminal_line_is_redrawn_at_most_ten_times_a_second(tick):
    terminal = Terminal()
    with ProgressLine(stream=terminal) as line:
        report_frames(line, tick, 0.01)
    output = terminal.getvalue()
    assert output.count("\n") == 1
    assert output.endswith("\n")
    assert 12 <= output.count("\r") <= 16
    assert "100/100" in output


def test_quiet_prints_nothing(tick):
    terminal = Terminal()
    with ProgressLine(quiet=True, stream=terminal) as line:
        report_frames(line, tick, 1.0)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00")]
)
def test_duration_format(seconds, shown):
    assert format_duration(seconds) == shown
