"""Command ``sadtalker demo``: makes a video from a photograph and a voice that are installed with the package."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from sadtalker_ext.assets import demo_portrait, demo_voice
from sadtalker_ext.cli.animate import OutputAction, add_output_flags, is_output_folder, print_result
from sadtalker_ext.cli.progress import ProgressLine
from sadtalker_ext.cli.setting_flags import add_runtime, add_settings, read_runtime, read_settings, whole_number
from sadtalker_ext.settings import VIEWS
from sadtalker_ext.system.fast_imports import fast_imports

OUTPUT: Final = Path("outputs") / "demo.mp4"
SHEET_EVERY: Final = 5
MAX_STEP: Final = 999_999_999
"""Largest number of frames from one picture of the contact sheet to the next."""
HEAD_AND_SHOULDERS: Final = (0.2, 0.0, 0.68, 0.48)
"""Part of the demo photograph that the contact sheet shows: left, top, right, bottom as shares of its size."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "demo", help="make a video from the demo portrait and voice", allow_abbrev=False,
        description="Make a video from the photograph of an astronaut and the voice that ship with this package.",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", action=OutputAction, metavar="OUT", default=OUTPUT,
        help="output file (.mp4), or output folder: an existing one, or a name that ends in / "
        f"(default: {OUTPUT})",
    )  # fmt: skip
    parser.add_argument("--sheet", type=Path, metavar="PICTURE", help="also write a contact sheet of the video")
    parser.add_argument(
        "--free-view", action="store_true",
        help="move the camera around the head, the same as --view orbit unless --view names another path",
    )  # fmt: skip
    parser.add_argument(
        "--sheet-every", type=partial(whole_number, low=1, high=MAX_STEP), default=SHEET_EVERY, metavar="N",
        help=f"show every N-th frame on the contact sheet (default: {SHEET_EVERY})",
    )  # fmt: skip
    add_output_flags(parser)
    add_settings(parser)
    add_runtime(parser)
    parser.set_defaults(run=run, output_is_folder=False)


def run(options: argparse.Namespace) -> int:
    """Make the demo video and print where it is and how long it took."""
    settings, runtime = read_settings(options), read_runtime(options)
    if options.free_view and settings.view not in VIEWS:
        settings = replace(settings, view=VIEWS[0])
    with fast_imports():
        from sadtalker_ext.pipeline.animate import animate
        from sadtalker_ext.pipeline.contact_sheet import ContactSheet, check_picture_output
        from sadtalker_ext.pipeline.output import free_name
        from sadtalker_ext.pipeline.progress import Progress, Watcher

    if options.sheet:
        check_picture_output(options.sheet)
    output = free_name(options.output, OUTPUT.stem) if is_output_folder(options) else options.output
    sheet = ContactSheet(options.sheet_every, HEAD_AND_SHOULDERS) if options.sheet else None
    with ProgressLine(quiet=options.quiet) as line:

        def report(progress: Progress) -> None:
            line.report(progress)
            if sheet:
                sheet.report(progress)

        result = animate(demo_portrait(), demo_voice(), output, settings, runtime, Watcher(report))
    if sheet:
        sheet.write(options.sheet)
    print_result(result, as_json=options.json)
    return 0
