"""``sadtalker show``: the settings inside a result, in a form that can be fed in again."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from sadtalker_ext.cli.setting_flags import flags_of


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its flags."""
    parser = commands.add_parser(
        "show", help="print the settings inside a result", allow_abbrev=False,
        description="Print the settings that made a video, as JSON that --settings-from takes back.",
    )  # fmt: skip
    parser.add_argument("video", type=Path, metavar="RESULT", help="an mp4 file that this program made")
    parser.add_argument("--flags", action="store_true", help="print them as command-line flags instead")
    parser.set_defaults(run=run, json=False)


def run(options: argparse.Namespace) -> int:
    """Print the settings."""
    from sadtalker_ext.pipeline.result_metadata import read_record

    settings = read_record(options.video).settings
    if options.flags:
        print(shlex.join(flags_of(settings.changes())))
    else:
        print(json.dumps(settings.to_mapping(), indent=2))
    return 0
