"""The bundled ffmpeg: where it is, how it is started and stopped, and what it says when it fails.

Floor 0, beside ``errors``: sound and video both stand on it and neither may import the other. Programs are
started with a list of arguments, never through a shell; their words are always read, so nothing blocks, and
they never outlive the block that started them.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO

from sadtalker_ext.errors import MediaError, MissingPackageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

KEPT_LINES = 60
"""A damaged file can make ffmpeg complain for megabytes; the last lines are enough."""
SHOWN_LINES = 2
PIPE_BYTES = 1 << 20
"""Where the system allows it, a pipe holds this much, so that neither side waits for the other at each 64 KiB."""
_NO_WINDOW = int(getattr(subprocess, "CREATE_NO_WINDOW", 0))
_CONTEXT = re.compile(r"^(\[[^\]]* @ (0x)?[0-9a-fA-F]+\]\s*)+")
_FOLLOW_UP = re.compile(
    r"^(Error opening (in|out)put files?\b|Error parsing options|To ignore this|Failed to set value"
    r"|Last message repeated|At least one output file|Conversion failed|Terminating thread|Task finished with error)"
)


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


def file_argument(path: Path) -> str:
    """``path`` as ffmpeg must be told it: a plain file, whatever colons, dashes or percent signs its name has."""
    return f"file:{path.absolute()}"


def require_file(path: str | Path, what: str) -> Path:
    """``path`` if it is a readable, non-empty file; ``what`` ("sound", "picture", "video") is named in the error."""
    file = Path(path)
    try:
        if file.is_dir():
            raise MediaError(f"The {what} {file} is a folder: name one file inside it")
        if not file.exists():
            raise MediaError(f"The {what} {file} does not exist: check its name and folder")
        if not file.is_file():
            raise MediaError(f"The {what} {file} is no ordinary file: save it to one first")  # it is read twice
        with file.open("rb") as opened:
            if not opened.read(1):
                raise MediaError(f"The {what} {file} is empty (0 bytes): export or download it again")
    except (OSError, ValueError) as e:
        raise MediaError(f"The {what} {file} cannot be opened ({reason(e)}): check its name and permissions") from e
    return file


def reason(error: OSError | ValueError) -> str:
    """The system's words for why a path will not do."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _widen(pipe: IO[bytes] | None) -> None:
    set_size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if pipe is not None and set_size is not None:
        with contextlib.suppress(OSError):  # only a comfort; some systems limit it
            fcntl.fcntl(pipe, set_size, PIPE_BYTES)


class Ffmpeg:
    """One running ffmpeg. Use as a context manager: leaving the block ends the process if it still runs.

    ``arguments`` follow the program's name. With ``feed`` the process reads ``stdin`` and its output is dropped;
    without it ``stdout`` is to be read and it gets no input.
    """

    def __init__(self, arguments: Sequence[str], *, feed: bool = False) -> None:
        self._process = subprocess.Popen(
            [ffmpeg_program(), "-hide_banner", *([] if feed else ["-nostdin"]), *arguments],
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if feed else subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches us, and we end it
            creationflags=_NO_WINDOW,
        )
        _widen(self._process.stdin or self._process.stdout)
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._listener = threading.Thread(target=self._listen, name="ffmpeg-words", daemon=True)
        self._listener.start()

    @property
    def stdin(self) -> IO[bytes]:
        """Where a fed process takes its input."""
        assert self._process.stdin is not None  # noqa: S101 - only asked of a fed process
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Where an unfed process writes its output."""
        assert self._process.stdout is not None  # noqa: S101 - only asked of an unfed process
        return self._process.stdout

    def __enter__(self) -> Ffmpeg:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # unwritten bytes for a process that has gone
                    pipe.close()
        self._listener.join()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - always a pipe
        for line in self._process.stderr:
            self._lines.append(line.decode("utf-8", "replace").rstrip())

    def finish(self) -> int:
        """Close the input if there is one, wait for the end, and return the exit code."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        code = self._process.wait()
        self._listener.join()
        return code

    def words(self) -> str:
        """What it last complained about, in one short line."""
        return last_words(self._lines)


def last_words(lines: Iterable[str]) -> str:
    """The complaint in ffmpeg's output, without addresses and consequences; "no reason given" if there is none."""
    plain = [_CONTEXT.sub("", line).strip() for line in lines]
    told = [line for line in plain if line and not _FOLLOW_UP.match(line)] or [line for line in plain if line]
    return "; ".join(dict.fromkeys(told[-SHOWN_LINES:])) or "no reason given"


def describe(path: Path) -> str:
    """What ffmpeg prints about a file without decoding it: complaints, format, duration, streams."""
    command = [ffmpeg_program(), "-hide_banner", "-nostdin", "-i", file_argument(path)]
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, creationflags=_NO_WINDOW
    )
    return done.stderr.decode("utf-8", "replace")


def read_blocks(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Blocks of exactly ``size`` bytes until the stream ends; the last one may be shorter, never empty."""
    while block := stream.read(size):
        yield block


