"""The program ``sadtalker``: runs a command and converts errors to a message and an exit code."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

import sadtalker_ext
from sadtalker_ext.cli import animate, bench, demo, evaluate, faces, mesh, serve, show, train, ui, voices, weights
from sadtalker_ext.cli.output_streams import OutputClosedError, OutputError, checked_output, discard_unwritten
from sadtalker_ext.cli.path_arguments import check_paths, check_words, dashed_names
from sadtalker_ext.cli.setting_flags import join_negative
from sadtalker_ext.errors import Cancelled, SadTalkerError

if TYPE_CHECKING:
    from types import FrameType

REFUSED: Final = 2
"""Exit code of a command that failed with a SadTalkerError; stderr has its message."""
STOPPED: Final = 130
"""Exit code after Ctrl-C or SIGTERM."""
STOPPED_MESSAGE: Final = "stopped; no partial output was kept"
"""Message after Ctrl-C or SIGTERM of a command whose parser has no default ``when_stopped``."""
UNREAD: Final = 141
"""Exit code after the reader of the output has ended: that of a program that SIGPIPE ended, as shells expect it."""

COMMANDS: Final = (animate, mesh, demo, show, faces, evaluate, bench, serve, weights, voices, ui, train)


_LONG_NUMBER: Final = re.compile(r"\d{50,}")
_LONG_WORD: Final = re.compile(r"\S{300,}")


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, and say what to do about file names that start with a dash."""

    given: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Print the message, and exit with code 2."""
        names = dashed_names(CommandParser.given)
        remedy = f"write ./{names[0]}, or put -- before the names" if names else ""
        if names:
            message = f"{message}; a name that starts with a dash is read as an option: {remedy}"
        self.exit(REFUSED, f"sadtalker: {shortened(message)}; see {self.prog} --help\n")


def shortened(message: str) -> str:
    """Return a message for users in which very long numbers and words, repeated from the input, are cut."""
    message = _LONG_NUMBER.sub(lambda found: f"{found[0][:20]}...", message)
    return _LONG_WORD.sub(lambda found: f"{found[0][:60]}...", message)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; heavy packages are not imported."""
    parser = CommandParser(
        prog="sadtalker", description="Make talking videos from a portrait and a voice.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"sadtalker {sadtalker_ext.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_command(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; only argparse raises SystemExit, for invalid arguments."""
    try:
        with checked_output():
            return _run(sys.argv[1:] if arguments is None else arguments)
    except OutputClosedError:
        return UNREAD
    except OutputError as error:
        sys.stderr.write(f"sadtalker: {error}\n")
        return REFUSED


def _run(arguments: Sequence[str]) -> int:
    CommandParser.given = arguments
    options = build_parser().parse_args(join_negative(arguments))
    try:
        check_words(arguments)
        check_paths(options)
        with terminate_like_interrupt():
            code: int = options.run(options)
    except (KeyboardInterrupt, Cancelled):
        sys.stderr.write(f"\nsadtalker: {getattr(options, 'when_stopped', STOPPED_MESSAGE)}\n")
        return STOPPED
    except OutputError:
        raise
    except SadTalkerError as error:
        if getattr(options, "json", False):
            print(json.dumps({"error": str(error), "kind": type(error).__name__}))
        sys.stderr.write(f"sadtalker: {shortened(str(error))}\n")
        return REFUSED
    return code


@contextmanager
def terminate_like_interrupt() -> Iterator[None]:
    """Within the block, SIGTERM raises KeyboardInterrupt like Ctrl-C, so that partial output is removed."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        previous = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread, which alone may set signal handlers
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def entry_point() -> None:
    """Run the command line of this process and exit."""
    try:
        code = main()
    finally:
        discard_unwritten()
    sys.exit(code)
