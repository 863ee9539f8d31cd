"""Child processes that end with this process, even after ``kill -9``.

POSIX: a shell starts the program and a watcher. The watcher reads from a pipe, the lifeline, whose only writer is this
process; when the kernel closes the writer, ``read`` returns and the watcher kills the program. ``PR_SET_PDEATHSIG`` is
not used: it exists only on Linux, must be set between fork and exec (``preexec_fn`` is unsafe with threads), and fires
when the forking thread ends, while frames are often read by another thread. Closing standard input is not enough
either: a program that waits for a disk or encodes long audio does not read its pipes.

The shell script is constant. The program and its arguments are positional parameters and are never parsed.

Windows: every child belongs to a job object that kills its processes when its last handle is closed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import IO

KILL_S = 5.0
"""Time that a killed process may take to end; it may take longer while it waits for a broken disk."""
_NO_WINDOW = int(getattr(subprocess, "CREATE_NO_WINDOW", 0))

_SUPERVISE = """
"$@" <&4 3<&- 4<&- & child=$!
exec 4<&- >/dev/null 2>&1
( read -r line; kill -9 "$child" ) <&3 & watcher=$!
exec 3<&-
wait "$child"; code=$?
kill -9 "$watcher"; wait "$watcher"
exit "$code"
"""
"""File descriptor 3 is the lifeline, 4 the standard input of the program. Afterwards only the program holds its pipes,
so that their ends are noticed; the shell waits for both children, so that no zombies remain in a container.
"""
_LIFELINE_IS_STDIN = "exec 3<&0 4</dev/null" + _SUPERVISE
_LIFELINE_IS_STDOUT = "exec 3<&1 4<&0 </dev/null >/dev/null" + _SUPERVISE
"""Only descriptors 0 to 2 can be set without ``preexec_fn``, so the lifeline uses the one that is free."""


class ChildProcess:
    """A running program that ends with this process; call :meth:`close` at the end.

    With ``feed`` standard input is a pipe and standard output is discarded; without it standard output is a pipe and
    standard input is empty. Standard error is a pipe.
    """

    def __init__(self, command: Sequence[str], *, feed: bool) -> None:
        self._lock = threading.Lock()
        self._lifeline: IO[bytes] | None = None
        shell = _shell()
        if shell is None:
            self._popen = _start(command, feed, subprocess.DEVNULL)
            _bind_to_job(self._popen)
            return
        script = _LIFELINE_IS_STDOUT if feed else _LIFELINE_IS_STDIN
        held, lifeline = os.pipe()
        self._lifeline = os.fdopen(lifeline, "wb", buffering=0)
        try:
            self._popen = _start([shell, "-c", script, "supervise", *command], feed, held)
        except BaseException:
            self._lifeline.close()
            raise
        finally:
            os.close(held)

    @property
    def stdin(self) -> IO[bytes] | None:
        """Writing end of the input pipe; None without ``feed``."""
        return self._popen.stdin

    @property
    def stdout(self) -> IO[bytes] | None:
        """Reading end of the output pipe; None with ``feed``."""
        return self._popen.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """Reading end of the error pipe."""
        assert self._popen.stderr is not None  # noqa: S101 - always a pipe
        return self._popen.stderr

    def running(self) -> bool:
        """Return whether the program still runs."""
        return self._popen.poll() is None

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Return the exit code, or None if the program still runs after ``timeout_s``."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kill the program without waiting; may be called from any thread."""
        with self._lock:
            if self._lifeline is None:
                if self._popen.poll() is None:
                    self._popen.kill()
            elif not self._lifeline.closed:
                with contextlib.suppress(OSError):  # the watcher has ended
                    self._lifeline.write(b"\n")  # closing is not enough if a forked process has a copy

    def close(self) -> None:
        """Kill the program if it still runs, wait for its end and close the pipes."""
        if self.running():
            self.kill()
            if self.wait(KILL_S) is None:
                self._kill_group()
        for pipe in (self._popen.stdin, self._popen.stdout, self._lifeline):
            if pipe is not None:
                with self._lock, contextlib.suppress(OSError):  # unwritten bytes for a process that has ended
                    pipe.close()

    def _kill_group(self) -> None:
        """Kill the process group of the shell, in case the watcher was killed."""
        if sys.platform != "win32" and self._lifeline is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self.wait(KILL_S)


def _start(command: Sequence[str], feed: bool, spare: int) -> subprocess.Popen[bytes]:
    """Start ``command``; ``spare`` replaces the one of standard input and output that the program does not use."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE if feed else spare,
        stdout=spare if feed else subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches this process, which ends the program
        creationflags=_NO_WINDOW,
    )


@lru_cache(maxsize=1)
def _shell() -> str | None:
    """Return the path of a POSIX shell.

    None on Windows, and in containers without a shell, where children may outlive a ``kill -9`` of this process.
    """
    return None if sys.platform == "win32" else shutil.which("sh", path="/bin:/usr/bin") or shutil.which("sh")


def _bind_to_job(child: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        from sadtalker_ext.system.windows_job import bind_to_job

        bind_to_job(child)
