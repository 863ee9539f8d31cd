"""Command ``sadtalker ui``: the web UI without stable-diffusion-webui."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from sadtalker_ext.cli.animate import OUTPUT_FOLDER
from sadtalker_ext.cli.serve import StandaloneHost, add_address, import_front_end
from sadtalker_ext.cli.setting_flags import add_runtime, read_runtime

PORT: Final = 7860


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "ui", help="start the web UI for the browser", allow_abbrev=False,
        description="Start a web UI that makes videos from portraits and voices.",
    )  # fmt: skip
    add_address(parser, PORT)
    parser.add_argument(
        "-o", "--output", type=Path, default=OUTPUT_FOLDER,
        help=f"output folder of the videos (default: {OUTPUT_FOLDER})",
    )  # fmt: skip
    parser.add_argument(
        "--share", action="store_true",
        help="also make the page available on the Internet under a temporary address, through Gradio's relay",
    )  # fmt: skip
    parser.add_argument("--open", action="store_true", help="open the web UI in the browser")
    add_runtime(parser)
    parser.set_defaults(run=run, when_stopped="stopped")


def run(options: argparse.Namespace) -> int:
    """Serve the web UI until Ctrl-C."""
    standalone = import_front_end("webui.standalone", "webui")
    from sadtalker_ext.pipeline.job_queue import JobQueue

    page_options = standalone.PageOptions(
        options.host, options.port, options.output, options.open, tuple(options.allow_host), options.share
    )
    standalone.serve(JobQueue(StandaloneHost(read_runtime(options))), page_options)
    return 0
