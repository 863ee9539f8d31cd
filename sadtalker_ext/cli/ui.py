"""``sadtalker ui``: the page, without the webui."""

from __future__ import annotations

import argparse
from pathlib import Path

from sadtalker_ext.cli.animate import OUTPUT_FOLDER
from sadtalker_ext.cli.serve import add_address, face, standalone_host
from sadtalker_ext.cli.setting_flags import add_runtime

PORT = 7860


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its flags."""
    parser = commands.add_parser(
        "ui", help="open the page in a browser", allow_abbrev=False,
        description="Serve a page on which a picture and a voice become a video.",
    )  # fmt: skip
    add_address(parser, PORT)
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT_FOLDER, help="folder of the videos")
    parser.add_argument("--open", action="store_true", help="open it in your browser")
    add_runtime(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    standalone = face("webui.standalone", "webui")
    from sadtalker_ext.pipeline.job_queue import JobQueue

    place = standalone.Place(options.host, options.port, options.output, options.open, tuple(options.allow_host))
    standalone.serve(JobQueue(standalone_host(options)), place)
    return 0
