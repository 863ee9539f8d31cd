"""The bundled ffmpeg: starting it, watching for stalls and cancelled jobs, and reading its messages.

The audio and video packages both use it. Every input has an allow-list of demuxers and protocols that open only the
named file (:func:`~sadtalker_ext.system.input_files.file_input`). Every wait has a time limit and ends when the job is
cancelled (:func:`interruptible`). ffmpeg ends with the ``with`` block that started it and with this process.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

from sadtalker_ext.errors import FileRef, MediaError, MissingPackageError, StalledError
from sadtalker_ext.system.child_process import KILL_S, ChildProcess
from sadtalker_ext.system.input_files import container_error, file_argument, file_input, require_file, require_media

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "Ffmpeg", "Pipe", "container_error", "convert", "ffmpeg_program", "file_argument", "file_input", "interruptible",
    "last_message", "read_blocks", "read_header", "require_file", "require_media",
]  # fmt: skip

KEPT_LINES = 60
"""Last lines of messages that are kept: a damaged file can cause megabytes of them."""
KEPT_HEADER_LINES = 5000
"""Last lines that are kept of the description of a file, which may have many streams and tags."""
MAX_LINE_BYTES = 2000
SHOWN_LINES = 2
"""Lines of messages in an error message."""
PIPE_BYTES = 1 << 20
"""Size of the pipes where the system allows it; with the default of 64 KiB both sides wait more often."""
PROBE_LIMIT_S: Final = 60.0
"""Limit for reading a header; a disk that starts up or a virus scanner that reads ffmpeg takes up to half of it."""
STALL_LIMIT_S: Final = 120.0
"""Limit for reading and writing since the last byte; the total time is not limited."""
TICK_S: Final = 0.25
"""Interval between checks for a stall and for a cancelled job."""
_LOG_PREFIX = re.compile(r"^(\[[^\]]* @ (0x)?[0-9a-fA-F]+\]\s*)+")
_FOLLOW_UP = re.compile(
    r"^(Error opening (in|out)put files?\b|Error parsing options|To ignore this|Failed to set value"
    r"|Last message repeated|At least one output file|Conversion failed|Terminating thread|Task finished with error"
    r"|Could not open encoder before EOF|Nothing was written into output file)"
)
_NOT_ALLOWED = re.compile(r"(Format|Protocol).* not on whitelist")


def _no_check() -> None: ...


_CHECK: ContextVar[Callable[[], None]] = ContextVar("check", default=_no_check)


@contextlib.contextmanager
def interruptible(check: Callable[[], None]) -> Iterator[None]:
    """Stop every ffmpeg that this thread starts inside the block when ``check`` raises an exception.

    ``check`` is called from another thread every :data:`TICK_S` seconds. Its exception ends ffmpeg and is raised again
    in the thread that waits for ffmpeg.
    """
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)


@lru_cache(maxsize=1)
def ffmpeg_program() -> str:
    """Return the path of the ffmpeg in imageio-ffmpeg (IMAGEIO_FFMPEG_EXE overrides it); no system ffmpeg is used."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError as e:
        raise MissingPackageError(
            "The package imageio-ffmpeg, which contains ffmpeg, is not installed: pip install imageio-ffmpeg"
        ) from e
    try:
        return str(get_ffmpeg_exe())
    except RuntimeError as e:
        raise MissingPackageError(
            f"ffmpeg was not found ({e}): reinstall imageio-ffmpeg or set IMAGEIO_FFMPEG_EXE to an ffmpeg program"
        ) from e


def _enlarge(pipe: IO[bytes] | None) -> None:
    """Set the pipe size to :data:`PIPE_BYTES` if the system allows it."""
    set_size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if pipe is not None and set_size is not None:
        with contextlib.suppress(OSError):  # only faster; some systems limit the size
            fcntl.fcntl(pipe, set_size, PIPE_BYTES)


class Pipe:
    """One end of a pipe to or from ffmpeg; each call has a time limit and can be interrupted."""

    def __init__(self, pipe: IO[bytes], process: Ffmpeg) -> None:
        self._pipe = pipe
        self._process = process

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes, or all that are left."""
        with self._process.waiting():
            return self._pipe.read(size)

    def readline(self) -> bytes:
        """Read a line including its end."""
        with self._process.waiting():
            return self._pipe.readline()

    def readinto(self, buffer: bytearray) -> int:
        """Fill ``buffer`` and return the number of bytes."""
        with self._process.waiting():
            return int(self._pipe.readinto(buffer))  # type: ignore[attr-defined]  # a buffered reader

    def write(self, data: bytes | memoryview) -> None:
        """Write all of ``data``; OSError if ffmpeg has ended."""
        with self._process.waiting():
            self._pipe.write(data)


class Ffmpeg:
    """A running ffmpeg; a context manager that ends the process if it still runs at the end of the block.

    arguments: arguments after the program name. task: beginning of the message about a stall, such as
    ``("Reading the ", FileRef("voice", path))``. feed: the process reads ``stdin`` and its output is discarded;
    otherwise it has no input and ``stdout`` must be read. output: the file that it writes; growth of this file counts
    as progress. probe: the process only reads a header; its time limit is shorter and more messages are kept.
    """

    def __init__(
        self, arguments: Sequence[str], task: Sequence[str | FileRef] = ("ffmpeg",), *, feed: bool = False,
        output: Path | None = None, probe: bool = False,
    ) -> None:  # fmt: skip
        self._task, self._output, self._limit_s = task, output, PROBE_LIMIT_S if probe else STALL_LIMIT_S
        self._check = _CHECK.get()
        self._child = ChildProcess(
            [ffmpeg_program(), "-hide_banner", *([] if feed else ["-nostdin"]), *arguments], feed=feed
        )
        _enlarge(self._child.stdin or self._child.stdout)
        self._lines: deque[str] = deque(maxlen=KEPT_HEADER_LINES if probe else KEPT_LINES)
        self._stop: BaseException | None = None
        self._waiting, self._waited_s = False, 0.0
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"ffmpeg-{name}", daemon=True)
            for name, work in (("messages", self._collect_messages), ("watchdog", self._watch))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def stdin(self) -> Pipe:
        """Input pipe of a process with ``feed``."""
        assert self._child.stdin is not None  # noqa: S101 - used with ``feed`` only
        return Pipe(self._child.stdin, self)

    @property
    def stdout(self) -> Pipe:
        """Output pipe of a process without ``feed``."""
        assert self._child.stdout is not None  # noqa: S101 - used without ``feed`` only
        return Pipe(self._child.stdout, self)

    def __enter__(self) -> Ffmpeg:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._child.close()
        for thread in self._threads:
            thread.join(KILL_S)
        if not self._threads[0].is_alive():
            self._child.stderr.close()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside the block as waiting for ffmpeg; raise the exception that ended the process, if any."""
        self._waited_s, self._waiting = 0.0, True
        try:
            yield
        except OSError as e:
            if self._stop is not None:
                raise self._stop from e
            raise
        finally:
            self._waiting = False
        if self._stop is not None:
            raise self._stop

    def _collect_messages(self) -> None:
        while line := self._child.stderr.readline(MAX_LINE_BYTES):
            self._lines.append(line.decode("utf-8", "replace").rstrip())

    def _watch(self) -> None:
        """Stop the process when the job is cancelled or there is no progress.

        Counts ticks instead of reading a clock, so that a suspended computer or process does not count as a stall.
        """
        written = self._output_state()
        while not self._ended.wait(TICK_S):
            try:
                self._check()
            except BaseException as e:  # noqa: BLE001 - raised again in the waiting thread
                self._stop_process(e)
                return
            before, written = written, self._output_state()
            self._waited_s = self._waited_s + TICK_S if self._waiting and before == written else 0.0
            if self._waited_s >= self._limit_s:
                self._stop_process(StalledError(
                    *self._task, f" made no progress for {self._limit_s:.0f} s and was stopped: check that the disk "
                    "works, or export the file again"
                ))  # fmt: skip
                return

    def _output_state(self) -> tuple[int, int]:
        if self._output is not None:
            with contextlib.suppress(OSError):
                status = self._output.stat()
                return status.st_size, status.st_mtime_ns
        return 0, 0

    def _stop_process(self, reason: BaseException) -> None:
        self._stop = reason
        self._child.kill()

    def finish(self) -> int:
        """Close the input if there is one, wait for the process and return its exit code."""
        if self._child.stdin is not None:
            with contextlib.suppress(OSError), self.waiting():
                self._child.stdin.close()
        with self.waiting():
            code = self._child.wait()
            self._threads[0].join()
        assert code is not None  # noqa: S101 - waited without a limit
        return code

    def last_message(self) -> str:
        """Return the last error message in one short line."""
        return last_message(self._lines)

    def text(self) -> str:
        """Return all messages that were kept."""
        return "\n".join(self._lines)

    def refused_container(self) -> bool:
        """Return whether the input needs a demuxer or protocol that is not allowed."""
        return any(_NOT_ALLOWED.search(line) for line in self._lines)


def last_message(lines: Iterable[str]) -> str:
    """Return the error message in ffmpeg's output without addresses and follow-up errors, or "no reason given"."""
    plain = [_LOG_PREFIX.sub("", line).strip() for line in lines]
    messages = [line for line in plain if line and not _FOLLOW_UP.match(line)] or [line for line in plain if line]
    return "; ".join(dict.fromkeys(messages[-SHOWN_LINES:])) or "no reason given"


def read_header(path: Path, role: str) -> str:
    """Return what ffmpeg prints about a file without decoding it: errors, format, duration, streams.

    role: name of the file in error messages. ContainerError if the file needs a demuxer that is not allowed.
    """
    with Ffmpeg(file_input(path), ("Reading the header of the ", FileRef(role, path)), probe=True) as process:
        process.finish()
        if process.refused_container():
            raise container_error(path, role)
        return process.text()


def convert(data: bytes, source: Sequence[str], arguments: Sequence[str]) -> bytes:
    """Convert audio in memory. source: arguments that describe ``data``. MediaError if ffmpeg fails."""
    source = ("-protocol_whitelist", "pipe", *source, "-i", "pipe:0")
    command = [ffmpeg_program(), "-hide_banner", "-v", "error", *source, *arguments, "pipe:1"]
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=STALL_LIMIT_S)
    except subprocess.TimeoutExpired as e:
        raise MediaError(f"ffmpeg did not finish {arguments} within {STALL_LIMIT_S:.0f} s: try again") from e
    if done.returncode:
        message = last_message(done.stderr.decode("utf-8", "replace").splitlines())
        raise MediaError(f"ffmpeg failed with {arguments}: {message}")
    return done.stdout


def read_blocks(stream: Pipe, size: int) -> Iterator[bytes]:
    """Yield blocks of ``size`` bytes until the stream ends; the last one may be shorter but is not empty."""
    while block := stream.read(size):
        yield block
