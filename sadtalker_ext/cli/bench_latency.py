"""Lateness of a timer in this process while another one makes a video: what other programs notice of the work."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sadtalker_ext.errors import EngineError

TIMER_S: Final = 0.001
"""Interval of the timer."""
PERCENTILE: Final = 99.0


def lateness_during_video(portrait: Path, voice: Path, output: Path) -> list[float]:
    """Return by how many seconds each sleep of 1 ms was too long while ``sadtalker animate`` ran, start-up included."""
    command = [sys.executable, "-m", "sadtalker_ext", "animate", str(portrait), str(voice), "-o", str(output)]
    with subprocess.Popen([*command, "--quiet"], stdout=subprocess.DEVNULL) as child:
        try:
            late_s = lateness(lambda: child.poll() is None)
        finally:
            child.kill()
    if child.returncode != 0:
        raise EngineError("The video of the measured process failed; its message is above")
    return late_s


def lateness(
    running: Callable[[], bool],
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Return by how many seconds each sleep of :data:`TIMER_S` was too long while ``running``."""
    late_s = []
    while running():
        began_s = clock()
        sleep(TIMER_S)
        late_s.append(max(clock() - began_s - TIMER_S, 0.0))
    return late_s
