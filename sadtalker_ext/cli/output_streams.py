"""Standard output and error of the program: text they cannot encode is escaped, and failed writes are handled."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import IO, TYPE_CHECKING, Any, cast

from sadtalker_ext.errors import SadTalkerError

if TYPE_CHECKING:
    from collections.abc import Callable


class OutputError(SadTalkerError):
    """Standard output cannot be written, for example because its device is full."""


class OutputClosedError(OutputError):
    """The program that reads standard output has ended, such as ``head``."""


@contextmanager
def checked_output() -> Iterator[None]:
    """Within the block, errors in writing standard output raise :class:`OutputError`; standard output is flushed.

    Messages on standard error that cannot be written are dropped, because there is no other place for them and a video
    is worth more than its progress line. Characters that standard output cannot encode are written as escape sequences.
    """
    with _escaped(sys.stdout), _redirected(redirect_stdout, _raise), _redirected(redirect_stderr, _drop):
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()


def discard_unwritten() -> None:
    """Point standard output and error at the null device if they cannot be written.

    Otherwise Python would report the data in their buffers once more when it exits, with exit code 120.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Checked:
    """A text stream that calls ``on_error`` with the OSError of a failed write; otherwise like ``stream``."""

    def __init__(self, stream: IO[str], on_error: Callable[[OSError], None]) -> None:
        self._stream = stream
        self._on_error = on_error

    def write(self, text: str) -> int:
        """Write ``text``."""
        try:
            return self._stream.write(text)
        except OSError as e:
            self._on_error(e)
            return len(text)

    def flush(self) -> None:
        """Write what is in the buffer."""
        try:
            self._stream.flush()
        except OSError as e:
            self._on_error(e)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a stream
        return getattr(self._stream, name)


def _raise(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise OutputClosedError("The program that reads the output has ended") from error
    reason = error.strerror or str(error)
    raise OutputError(f"The standard output cannot be written ({reason}); direct it to another place") from error


def _drop(_: OSError) -> None: ...


@contextmanager
def _redirected(redirect: Any, on_error: Callable[[OSError], None]) -> Iterator[None]:  # noqa: ANN401 - a class
    stream = sys.stdout if redirect is redirect_stdout else sys.stderr
    if stream is None:  # the stream was closed before the program was started
        yield
        return
    with redirect(cast("IO[str]", _Checked(stream, on_error))):
        yield


@contextmanager
def _escaped(stream: object) -> Iterator[None]:
    """Within the block, escape characters that the encoding of ``stream`` lacks, unless it has a rule for them."""
    if not isinstance(stream, io.TextIOWrapper) or stream.errors != "strict":
        yield
        return
    stream.reconfigure(errors="backslashreplace")
    yield
    stream.reconfigure(errors="strict")  # not after an exception: this flushes the stream, which may fail again
