"""Command ``sadtalker serve``: the REST API as a standalone server."""

from __future__ import annotations

import argparse
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.cli.setting_flags import add_runtime, read_runtime
from sadtalker_ext.constants import MAX_CLIP_S
from sadtalker_ext.errors import MissingPackageError, SettingsError
from sadtalker_ext.pipeline.job import Host

if TYPE_CHECKING:
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

PORT: Final = 7870
MAX_UPLOAD_MB: Final = 200
MAX_MINUTES: Final = MAX_CLIP_S / 60.0
MAX_WAITING: Final = 50
ORIGIN: Final = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?/?")
EXAMPLE: Final = """example:
  sadtalker serve
  curl -F portrait=@me.jpg -F voice=@voice.mp3 http://127.0.0.1:7870/sadtalker/v1/jobs
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "serve", help="start the REST API server", allow_abbrev=False, epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serve the REST API under /sadtalker/v1; its documentation is at /docs.",
    )  # fmt: skip
    add_address(parser, PORT)
    parser.add_argument(
        "-o", "--output", type=Path, help="output folder of the videos (default: temporary, deleted after a day)"
    )
    parser.add_argument(
        "--allow-folder", type=Path, action="append", default=[], metavar="DIR",
        help="folder of the server whose files requests may name by path; can be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--allow-origin", action="append", default=[], metavar="ORIGIN",
        help="web site whose pages may send requests (CORS), such as https://app.example.org, or * for every one; can "
        "be repeated",
    )  # fmt: skip
    parser.add_argument("--allow-urls", action="store_true", help="download files from public addresses in requests")
    parser.add_argument(
        "--auth", default="", metavar="NAME:PASSWORD", help="login that clients must send; several with commas"
    )
    limits = (
        ("--max-upload-mb", int, MAX_UPLOAD_MB, "maximum size of a request in MB"),
        ("--max-minutes", float, MAX_MINUTES, "maximum duration of a voice in minutes"),
        ("--max-waiting", int, MAX_WAITING, "maximum number of waiting jobs"),
    )
    for flag, kind, default, text in limits:
        parser.add_argument(flag, type=kind, default=default, metavar="N", help=f"{text} (default: {default:g})")
    add_runtime(parser)
    parser.set_defaults(run=run, when_stopped="stopped")


def add_address(parser: argparse.ArgumentParser, port: int) -> None:
    """Add ``--host``, ``--port`` and ``--allow-host``."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on, 0.0.0.0 for all (default: 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=port, help=f"port to listen on (default: {port})")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="additional host name of this server, such as that of a reverse proxy, or *.example.org; can be repeated "
        "(default: localhost and the IP addresses that it listens on)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    check_limits(options)
    api_options, app = import_front_end("api.options", "api"), import_front_end("api.app", "api")
    from sadtalker_ext.pipeline.job import Limits
    from sadtalker_ext.pipeline.job_queue import JobQueue
    from sadtalker_ext.pipeline.output import dated_output
    from sadtalker_ext.system.request_guard import AllowedHosts
    from sadtalker_ext.weights.files import search_folders

    logins = api_options.read_logins(options.auth)
    if options.auth and not logins:
        raise SettingsError("The login must have the form NAME:PASSWORD; use for example --auth me:secret")
    folder = options.output
    served = api_options.ApiOptions(
        folders=tuple(options.allow_folder), urls=options.allow_urls,
        upload_bytes=options.max_upload_mb * api_options.MEGABYTE,
        output=(lambda stem: dated_output(folder, stem)) if folder else None, logins=logins,
        checkpoints=search_folders(), allowed=AllowedHosts(
            bound=options.host, names=tuple(options.allow_host), origins=tuple(options.allow_origin)
        ),
    )  # fmt: skip
    limits = Limits(waiting=options.max_waiting, voice_s=options.max_minutes * 60.0)
    queue = JobQueue(StandaloneHost(read_runtime(options)), limits)
    app.serve(queue, served, options.host, options.port, _announce)
    return 0


def _announce(address: str) -> None:
    sys.stderr.write(f"The REST API is at {address}sadtalker/v1, its documentation at {address}docs\n")
    sys.stderr.flush()


def check_limits(options: argparse.Namespace) -> None:
    """Raise SettingsError for a limit that is not positive, or an origin that is not one."""
    for name in ("max_upload_mb", "max_minutes", "max_waiting"):
        if not getattr(options, name) > 0:
            flag = "--" + name.replace("_", "-")
            raise SettingsError(f"{flag} is {getattr(options, name):g}; it must be greater than 0")
    for origin in options.allow_origin:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise SettingsError(f"The origin {origin!r} is not valid; it must look like https://app.example.org")


class StandaloneHost(Host):
    """Runs the jobs of a server of this package with the runtime of its command line."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def runtime(self, settings: Settings) -> Runtime:
        """Return the device and folders for a job."""
        return self._runtime


def import_front_end(name: str, extra: str) -> Any:  # noqa: ANN401 - a module
    """Return a module of another front end, which is imported by name because front ends do not import each other.

    extra: name of the extra in pyproject.toml that installs its packages, for the error message.
    """
    try:
        return import_module(f"sadtalker_ext.{name}")
    except ImportError as e:
        if (e.name or "").startswith("sadtalker_ext"):
            raise
        raise MissingPackageError(
            f'The package {e.name} is not installed; run: pip install -c constraints.txt -e ".[{extra}]"'
        ) from e
