"""Command ``sadtalker show``: prints the settings stored in a result."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from sadtalker_ext.cli.setting_flags import format_flags


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "show", help="print the settings stored in a video", allow_abbrev=False,
        description="Print the settings that a video was made with, as JSON that the flag --settings-from accepts.",
    )  # fmt: skip
    parser.add_argument("video", type=Path, metavar="RESULT", help="an mp4 file made by this program")
    parser.add_argument("--flags", action="store_true", help="print command-line flags instead of JSON")
    parser.set_defaults(run=run, json=False)


def run(options: argparse.Namespace) -> int:
    """Print the settings."""
    from sadtalker_ext.pipeline.result_metadata import read_record

    settings = read_record(options.video).settings
    if options.flags:
        print(shlex.join(format_flags(settings.changes())))
    else:
        print(json.dumps(settings.to_mapping(), indent=2))
    return 0
