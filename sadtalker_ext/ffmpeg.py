"""The bundled ffmpeg: which files it may read, how it is started, watched and stopped, and what it reports.

Sound and video both need it and neither may import the other. Every input gets a list of demuxers and protocols that
open nothing but the named file (:func:`~sadtalker_ext.system.input_files.file_input`). Every wait is limited and
ends when the work is cancelled (:func:`interruptible`). ffmpeg outlives neither the block that started it nor this
process.
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

from sadtalker_ext.errors import MediaError, MissingPackageError, StalledError
from sadtalker_ext.system.child_process import KILL_S, ChildProcess
from sadtalker_ext.system.input_files import (
    container_error,
    file_argument,
    file_input,
    reason,
    require_file,
    require_media,
)

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "Ffmpeg", "Pipe", "container_error", "convert", "describe", "ffmpeg_program", "file_argument", "file_input",
    "interruptible", "last_words", "read_blocks", "reason", "require_file", "require_media",
]  # fmt: skip

KEPT_LINES = 60
"""A damaged file can make ffmpeg complain for megabytes; the last lines are enough."""
KEPT_LINES_OF_PROBE = 5000
"""A file with many streams and tags is described in as many lines at most."""
LONGEST_LINE = 2000
SHOWN_LINES = 2
PIPE_BYTES = 1 << 20
"""Where the system allows it, a pipe holds this much, so that neither side waits for the other at each 64 KiB."""
PROBE_LIMIT_S: Final = 60.0
"""For all of a probe; a disk that has to start up, or a virus scanner that reads ffmpeg first, takes up to half."""
STALL_LIMIT_S: Final = 120.0
"""For reading and writing, since the last byte. The whole may take any time."""
TICK_S: Final = 0.25
"""How often a running ffmpeg is checked for a stall and for a cancelled job."""
_CONTEXT = re.compile(r"^(\[[^\]]* @ (0x)?[0-9a-fA-F]+\]\s*)+")
_FOLLOW_UP = re.compile(
    r"^(Error opening (in|out)put files?\b|Error parsing options|To ignore this|Failed to set value"
    r"|Last message repeated|At least one output file|Conversion failed|Terminating thread|Task finished with error)"
)
_NOT_ALLOWED = re.compile(r"(Format|Protocol).* not on whitelist")


def _no_check() -> None: ...


_CHECK: ContextVar[Callable[[], None]] = ContextVar("check", default=_no_check)


@contextlib.contextmanager
def interruptible(check: Callable[[], None]) -> Iterator[None]:
    """Let ``check`` end every ffmpeg that this thread starts inside the block.

    ``check`` is called from another thread, every :data:`TICK_S` seconds. What it raises ends that ffmpeg and is raised
    again by whatever waits for it.
    """
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)


@lru_cache(maxsize=1)
def ffmpeg_program() -> str:
    """Path of the ffmpeg that imageio-ffmpeg ships (IMAGEIO_FFMPEG_EXE overrides it); no system ffmpeg is needed."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError as e:
        raise MissingPackageError(
            "The package imageio-ffmpeg, which brings ffmpeg, is not installed: pip install imageio-ffmpeg"
        ) from e
    try:
        return str(get_ffmpeg_exe())
    except RuntimeError as e:
        raise MissingPackageError(
            f"No ffmpeg was found ({e}): reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg program"
        ) from e


def _widen(pipe: IO[bytes] | None) -> None:
    set_size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if pipe is not None and set_size is not None:
        with contextlib.suppress(OSError):  # only a comfort; some systems limit it
            fcntl.fcntl(pipe, set_size, PIPE_BYTES)


class Pipe:
    """One end of a pipe to or from ffmpeg. Each call waits a limited time and may be interrupted."""

    def __init__(self, pipe: IO[bytes], process: Ffmpeg) -> None:
        self._pipe = pipe
        self._process = process

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, or what is left."""
        with self._process.waiting():
            return self._pipe.read(size)

    def readline(self) -> bytes:
        """A line with its end."""
        with self._process.waiting():
            return self._pipe.readline()

    def readinto(self, buffer: bytearray) -> int:
        """Fill ``buffer``; how many bytes there were."""
        with self._process.waiting():
            return int(self._pipe.readinto(buffer))  # type: ignore[attr-defined]  # a buffered reader

    def write(self, data: bytes | memoryview) -> None:
        """Write all of ``data``; OSError if ffmpeg has ended by itself."""
        with self._process.waiting():
            self._pipe.write(data)


class Ffmpeg:
    """One running ffmpeg. Use as a context manager: leaving the block ends the process if it still runs.

    arguments: follow the program's name. task: what it does, for the message of a stall ("Reading the sound a.wav").
    feed: it reads ``stdin`` and its output is dropped; otherwise its ``stdout`` is to be read and it gets no input.
    output: the file that it writes; its growth counts as progress. probe: it ends soon, and all its messages matter.
    """

    def __init__(
        self, arguments: Sequence[str], task: str = "The work of ffmpeg", *, feed: bool = False,
        output: Path | None = None, probe: bool = False,
    ) -> None:  # fmt: skip
        self._task, self._output, self._limit_s = task, output, PROBE_LIMIT_S if probe else STALL_LIMIT_S
        self._check = _CHECK.get()
        self._child = ChildProcess(
            [ffmpeg_program(), "-hide_banner", *([] if feed else ["-nostdin"]), *arguments], feed=feed
        )
        _widen(self._child.stdin or self._child.stdout)
        self._lines: deque[str] = deque(maxlen=KEPT_LINES_OF_PROBE if probe else KEPT_LINES)
        self._stop: BaseException | None = None
        self._waits, self._waited_s = False, 0.0
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"ffmpeg-{name}", daemon=True)
            for name, work in (("messages", self._listen), ("watchdog", self._watch))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def stdin(self) -> Pipe:
        """Where a fed process takes its input."""
        assert self._child.stdin is not None  # noqa: S101 - only asked of a fed process
        return Pipe(self._child.stdin, self)

    @property
    def stdout(self) -> Pipe:
        """Where an unfed process writes its output."""
        assert self._child.stdout is not None  # noqa: S101 - only asked of an unfed process
        return Pipe(self._child.stdout, self)

    def __enter__(self) -> Ffmpeg:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._child.close()
        for thread in self._threads:
            thread.join(KILL_S)
        if not self._threads[0].is_alive():
            self._child.stderr.close()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for ffmpeg; raise what ended the process, if anything did."""
        self._waited_s, self._waits = 0.0, True
        try:
            yield
        except OSError as e:
            if self._stop is not None:
                raise self._stop from e
            raise
        finally:
            self._waits = False
        if self._stop is not None:
            raise self._stop

    def _listen(self) -> None:
        while line := self._child.stderr.readline(LONGEST_LINE):
            self._lines.append(line.decode("utf-8", "replace").rstrip())

    def _watch(self) -> None:
        """End the process when the work is cancelled or it makes no progress.

        Ticks are counted instead of reading a clock, so that a suspended computer or a stopped process is no stall.
        """
        written = self._written()
        while not self._over.wait(TICK_S):
            try:
                self._check()
            except BaseException as e:  # noqa: BLE001 - raised again where ffmpeg is waited for
                self._end(e)
                return
            before, written = written, self._written()
            self._waited_s = self._waited_s + TICK_S if self._waits and before == written else 0.0
            if self._waited_s >= self._limit_s:
                self._end(StalledError(
                    f"{self._task} made no progress for {self._limit_s:.0f} s and was stopped: check that the disk "
                    "works, or export the file again"
                ))  # fmt: skip
                return

    def _written(self) -> tuple[int, int]:
        if self._output is not None:
            with contextlib.suppress(OSError):
                told = self._output.stat()
                return told.st_size, told.st_mtime_ns
        return 0, 0

    def _end(self, reason: BaseException) -> None:
        self._stop = reason
        self._child.kill()

    def finish(self) -> int:
        """Close the input if there is one, wait for the end, and return the exit code."""
        if self._child.stdin is not None:
            with contextlib.suppress(OSError), self.waiting():
                self._child.stdin.close()
        with self.waiting():
            code = self._child.wait()
            self._threads[0].join()
        assert code is not None  # noqa: S101 - it was waited for without a limit
        return code

    def words(self) -> str:
        """What it last complained about, in one short line."""
        return last_words(self._lines)

    def text(self) -> str:
        """All of its messages that were kept."""
        return "\n".join(self._lines)

    def refused_container(self) -> bool:
        """Whether the input needs a demuxer or protocol that is not allowed."""
        return any(_NOT_ALLOWED.search(line) for line in self._lines)


def last_words(lines: Iterable[str]) -> str:
    """The complaint in ffmpeg's output, without addresses and consequences; "no reason given" if there is none."""
    plain = [_CONTEXT.sub("", line).strip() for line in lines]
    told = [line for line in plain if line and not _FOLLOW_UP.match(line)] or [line for line in plain if line]
    return "; ".join(dict.fromkeys(told[-SHOWN_LINES:])) or "no reason given"


def describe(path: Path) -> str:
    """What ffmpeg prints about a file without decoding it: complaints, format, duration, streams.

    ContainerError if the file needs a demuxer that is not allowed.
    """
    with Ffmpeg(file_input(path), f"Reading the header of {path}", probe=True) as process:
        process.finish()
        if process.refused_container():
            raise container_error(path)
        return process.text()


def convert(data: bytes, source: Sequence[str], arguments: Sequence[str]) -> bytes:
    """Sound through ffmpeg in memory. source: arguments that describe ``data``. MediaError if it fails."""
    source = ("-protocol_whitelist", "pipe", *source, "-i", "pipe:0")
    command = [ffmpeg_program(), "-hide_banner", "-v", "error", *source, *arguments, "pipe:1"]
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=STALL_LIMIT_S)
    except subprocess.TimeoutExpired as e:
        raise MediaError(f"ffmpeg did not finish {arguments} within {STALL_LIMIT_S:.0f} s: try again") from e
    if done.returncode:
        words = last_words(done.stderr.decode("utf-8", "replace").splitlines())
        raise MediaError(f"ffmpeg could not run {arguments}: {words}")
    return done.stdout


def read_blocks(stream: Pipe, size: int) -> Iterator[bytes]:
    """Blocks of exactly ``size`` bytes until the stream ends; the last one may be shorter, never empty."""
    while block := stream.read(size):
        yield block


