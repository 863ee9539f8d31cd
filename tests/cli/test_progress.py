"""Progress for people, on a terminal and in a log."""

import io

import numpy as np
import pytest

from sadtalker_ext.cli import progress as progress_module
from sadtalker_ext.cli.progress import ProgressLine, clock
from sadtalker_ext.pipeline.progress import Progress

FRAME = np.zeros((2, 2, 3), np.uint8)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def tick(monkeypatch):
    """Time that stands still until it is moved on."""
    now = [1000.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def tell(line, tick, pause_s, frames=100):
    line.report(Progress("portrait"))
    line.report(Progress("frames"))
    for done in range(1, frames + 1):
        tick(pause_s)
        line.report(Progress("frames", done, frames, 1 / pause_s, (frames - done) * pause_s, FRAME))


def test_a_log_gets_few_plain_lines(tick):
    log = io.StringIO()
    with ProgressLine(stream=log) as line:
        tell(line, tick, 0.5)
    lines = log.getvalue().splitlines()
    assert lines[:2] == ["portrait ...", "frames ..."]
    assert lines[2] == "frames [............................] 1/100  2.0 frames/s  0:50 left"
    assert lines[-1] == "frames [############################] 100/100  2.0 frames/s  0:00 left"
    assert len(lines) == 2 + 2 + 4
    assert "\r" not in log.getvalue()


def test_a_terminal_redraws_one_line_at_most_ten_times_a_second(tick):
    terminal = Terminal()
    with ProgressLine(stream=terminal) as line:
        tell(line, tick, 0.01)
    drawn = terminal.getvalue()
    assert drawn.count("\n") == 1
    assert drawn.endswith("\n")
    assert 12 <= drawn.count("\r") <= 16
    assert "100/100" in drawn


def test_quiet_says_nothing(tick):
    terminal = Terminal()
    with ProgressLine(quiet=True, stream=terminal) as line:
        tell(line, tick, 1.0)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00")]
)
def test_clock(seconds, shown):
    assert clock(seconds) == shown
