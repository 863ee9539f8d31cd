"""``sadtalker serve``: the REST interface alone."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sadtalker_ext.cli.setting_flags import add_runtime, runtime_of
from sadtalker_ext.errors import MissingPackageError, SettingsError

PORT = 7870
EXAMPLE = """example:
  sadtalker serve
  curl -F portrait=@me.jpg -F voice=@voice.mp3 http://127.0.0.1:7870/sadtalker/v1/jobs
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its flags."""
    parser = commands.add_parser(
        "serve", help="answer REST requests", allow_abbrev=False, epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serve the REST interface under /sadtalker/v1; /docs describes it.",
    )  # fmt: skip
    add_address(parser, PORT)
    parser.add_argument("-o", "--output", type=Path, help="keep the videos in this folder (default: for a day only)")
    parser.add_argument(
        "--allow-folder", type=Path, action="append", default=[], metavar="DIR",
        help="let requests name files in this folder of the server; may be given several times",
    )  # fmt: skip
    parser.add_argument("--allow-urls", action="store_true", help="fetch files from public addresses in requests")
    parser.add_argument("--auth", default="", metavar="NAME:PASSWORD", help="ask for this login; several with commas")
    parser.add_argument("--max-upload-mb", type=int, default=200, metavar="N", help="largest request (default: 200)")
    parser.add_argument("--max-minutes", type=float, default=120.0, metavar="N", help="longest voice (default: 120)")
    parser.add_argument("--max-waiting", type=int, default=50, metavar="N", help="longest queue (default: 50)")
    add_runtime(parser)
    parser.set_defaults(run=run)


def add_address(parser: argparse.ArgumentParser, port: int) -> None:
    """``--host``, ``--port`` and ``--allow-host``."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 is every one")
    parser.add_argument("--port", type=int, default=port, help=f"port to listen on (default: {port})")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="also answer browsers that call this server NAME, such as a reverse proxy's name or *.example.org; may be "
        "given several times (default: localhost, and the IP addresses that it listens on)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    doors_module, service = face("api.doors", "api"), face("api.service", "api")
    from sadtalker_ext.pipeline.job import Limits
    from sadtalker_ext.pipeline.job_queue import JobQueue
    from sadtalker_ext.pipeline.output import dated_output
    from sadtalker_ext.system.request_guard import AllowedHosts
    from sadtalker_ext.weights.files import search_folders

    logins = doors_module.read_logins(options.auth)
    if options.auth and not logins:
        raise SettingsError("The login must be NAME:PASSWORD; give --auth me:secret")
    folder = options.output
    doors = doors_module.ApiOptions(
        folders=tuple(options.allow_folder), urls=options.allow_urls, upload_bytes=options.max_upload_mb * 1_000_000,
        output=(lambda stem: dated_output(folder, stem)) if folder else None, logins=logins,
        checkpoints=search_folders(), allowed=AllowedHosts(bound=options.host, names=tuple(options.allow_host)),
    )  # fmt: skip
    limits = Limits(waiting=options.max_waiting, voice_s=options.max_minutes * 60.0)
    sys.stderr.write(f"SadTalker answers at http://{options.host}:{options.port}/sadtalker/v1, described at /docs\n")
    service.serve(JobQueue(standalone_host(options), limits), doors, options.host, options.port)
    return 0


def standalone_host(options: argparse.Namespace) -> Any:  # noqa: ANN401 - a Host, whose module is not imported for --help
    """A machine of our own that computes as the flags say."""
    from sadtalker_ext.pipeline.job import Host

    class StandaloneHost(Host):
        def runtime(self, settings: object) -> Any:  # noqa: ANN401
            return runtime_of(options)

    return StandaloneHost()


def face(name: str, extra: str) -> Any:  # noqa: ANN401 - a module
    """Another face of the program, started by its name: faces do not import each other."""
    try:
        return import_module(f"sadtalker_ext.{name}")
    except ImportError as e:
        if (e.name or "").startswith("sadtalker_ext"):
            raise
        raise MissingPackageError(
            f'The package {e.name} is missing: pip install -c constraints.txt -e ".[{extra}]"'
        ) from e
