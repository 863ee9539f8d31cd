"""The program ``sadtalker``: finds the command, runs it, and turns errors into one sentence and an exit code."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sadtalker_ext
from sadtalker_ext.cli import animate, bench, demo, evaluate, faces, serve, show, train, ui, weights
from sadtalker_ext.cli.setting_flags import join_negative
from sadtalker_ext.errors import Cancelled, SadTalkerError

if TYPE_CHECKING:
    from types import FrameType

OK = 0
REFUSED = 2
"""Something was asked that cannot be done; stderr says what."""
STOPPED = 130
"""Ended by Ctrl-C or SIGTERM; nothing is left behind."""

COMMANDS = (animate, demo, show, faces, evaluate, bench, serve, weights, ui, train)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; builds without importing anything heavy."""
    parser = argparse.ArgumentParser(
        prog="sadtalker", description="One portrait and a voice become a talking video.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"sadtalker {sadtalker_ext.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_command(commands)
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing but argparse's own refusals raises SystemExit."""
    options = build_parser().parse_args(join_negative(sys.argv[1:] if words is None else words))
    try:
        with terminate_like_interrupt():
            code: int = options.run(options)
    except (KeyboardInterrupt, Cancelled):
        sys.stderr.write("\nsadtalker: stopped; nothing was kept\n")
        return STOPPED
    except SadTalkerError as error:
        if getattr(options, "json", False):
            print(json.dumps({"error": str(error), "kind": type(error).__name__}))
        sys.stderr.write(f"sadtalker: {error}\n")
        return REFUSED
    return code


@contextmanager
def terminate_like_interrupt() -> Iterator[None]:
    """While inside, SIGTERM unwinds the work as Ctrl-C does, so that nothing half-written is left."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread: whoever owns that decides what SIGTERM means
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def entry_point() -> None:
    """The console script."""
    sys.exit(main())
