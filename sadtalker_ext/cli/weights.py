"""``sadtalker weights``: the official checkpoints - list, fetch, check, convert, and noise in their place for tests."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import WeightsError

if TYPE_CHECKING:
    from sadtalker_ext.weights.check import Verdict

REDRAW_S = 0.2


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command, its actions and their flags."""
    parser = commands.add_parser(
        "weights", help="list, fetch, check or convert the official checkpoints", allow_abbrev=False,
        description="The checkpoints of the engine sadtalker. Nothing is downloaded without being asked for.",
    )  # fmt: skip
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = _action(actions, "list", "what there is, how large, and what is already here")
    listing.add_argument("--json", action="store_true", help="for machines")
    fetching = _action(actions, "fetch", "download checkpoints; goes on where an earlier download stopped")
    fetching.add_argument("names", nargs="*", metavar="NAME", help="file names; without any, those every mode needs")
    fetching.add_argument("--mirror", default="github", help="github, huggingface, hf-mirror, or an address")
    fetching.add_argument("--yes", action="store_true", help="do not ask before downloading")
    checking = _action(actions, "check", "say of each file whether it is missing, cut short, foreign or good")
    checking.add_argument("--quick", action="store_true", help="do not read all bytes to compare the hash")
    checking.add_argument("--json", action="store_true", help="for machines")
    _action(actions, "convert", "make safetensors of the mapping pickles, beside them")
    making = actions.add_parser("make-seeded", help="write checkpoints of reproducible noise, for tests and benchmarks")
    making.add_argument("target", type=Path, metavar="DIR", help="an empty folder")
    making.set_defaults(run=run_make_seeded)
    for action, run in (
        (listing, run_list), (fetching, run_fetch), (checking, run_check), (actions.choices["convert"], run_convert)
    ):  # fmt: skip
        action.set_defaults(run=run)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, wording: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=wording, description=wording.capitalize() + ".", allow_abbrev=False)
    parser.add_argument("--folder", type=Path, action="append", default=[], help="look here (and fetch to here) first")
    return parser


def folders_of(options: argparse.Namespace) -> tuple[Path, ...]:
    """The folders to look in, those of the command line first."""
    from sadtalker_ext.weights.files import search_folders

    return search_folders(options.folder)


def run_list(options: argparse.Namespace) -> int:
    """Print the catalogue and where its files are."""
    from sadtalker_ext.weights.catalog import CATALOG
    from sadtalker_ext.weights.files import find_checkpoint

    folders = folders_of(options)
    places = {entry.name: find_checkpoint(entry, folders) for entry in CATALOG}
    if options.json:
        rows = [vars(entry) | {"path": str(places[entry.name] or "")} for entry in CATALOG]
        print(json.dumps(rows, indent=2))
        return 0
    for entry in CATALOG:
        print(f"{entry.name}  {entry.size_bytes / 1e6:,.0f} MB  {entry.licence}\n    {entry.purpose}")
        print(f"    {places[entry.name] or 'not here'}")
    print("Searched: " + ", ".join(str(folder) for folder in folders))
    return 0


def run_fetch(options: argparse.Namespace) -> int:
    """Download, after asking."""
    from sadtalker_ext.weights.catalog import RECOMMENDED, address, checkpoint
    from sadtalker_ext.weights.fetch import FetchOptions, fetch
    from sadtalker_ext.weights.files import find_checkpoint

    folders = folders_of(options)
    wanted = [checkpoint(name) for name in options.names] or list(RECOMMENDED)
    wanted = [entry for entry in wanted if find_checkpoint(entry, folders[:1]) is None]
    for entry in wanted:
        print(f"{entry.name}  {entry.size_bytes / 1e6:,.0f} MB  from {address(entry, options.mirror)}")
    if not wanted:
        print("Everything is here.")
        return 0
    if not options.yes and not _agreed(f"Download to {folders[0]}?"):
        raise WeightsError("Nothing was downloaded; say --yes to download without being asked")
    for entry in wanted:
        line = DownloadLine(entry.name)
        path = fetch(entry, folders[0], FetchOptions(options.mirror, line.report))
        line.close()
        print(path)
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Print a verdict on each file; the exit code is 2 if a file that is here cannot be used."""
    from sadtalker_ext.weights.check import check_all

    verdicts = check_all(folders_of(options), deep=not options.quick)
    if options.json:
        print(json.dumps([_row(verdict) for verdict in verdicts], indent=2))
    else:
        for verdict in verdicts:
            mark = "good" if verdict.usable else "missing" if verdict.path is None else "BAD"
            print(f"{mark:8}{verdict.checkpoint.name}\n        {verdict.problem or verdict.note or verdict.path}")
    return 2 if any(verdict.path is not None and not verdict.usable for verdict in verdicts) else 0


def run_convert(options: argparse.Namespace) -> int:
    """Convert the mapping pickles that are here."""
    from sadtalker_ext.weights.files import find_file
    from sadtalker_ext.weights.official import MAPPINGS, convert_mapping

    folders = folders_of(options)
    found = [path for entry in MAPPINGS.values() if (path := find_file(entry.name, folders))]
    if not found:
        names = " or ".join(entry.name for entry in MAPPINGS.values())
        raise WeightsError(f"There is nothing to convert: {names} is in none of the folders searched; name --folder")
    for path in found:
        target, _ = convert_mapping(path)
        if target is None:
            raise WeightsError(f"{path.parent} cannot be written; copy {path.name} to a folder that can")
        print(target)
    return 0


def run_make_seeded(options: argparse.Namespace) -> int:
    """Write checkpoints that make noise."""
    from sadtalker_ext.weights.random_weights import make_random_weights

    for path in make_random_weights(options.target):
        print(path)
    return 0


def _row(verdict: Verdict) -> dict[str, object]:
    path = str(verdict.path or "")
    return {
        "name": verdict.checkpoint.name, "path": path, "usable": verdict.usable, "problem": verdict.problem,
        "note": verdict.note,
    }  # fmt: skip


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


class DownloadLine:
    """One line on stderr that redraws itself; silent where there is no terminal."""

    def __init__(self, name: str) -> None:
        self._name, self._drawn_s, self._terminal = name, 0.0, sys.stderr.isatty()

    def report(self, done: int, total: int) -> None:
        """Show bytes done of bytes in all."""
        now_s = time.monotonic()
        if self._terminal and (now_s - self._drawn_s >= REDRAW_S or done == total):
            self._drawn_s = now_s
            sys.stderr.write(f"\r{self._name}  {done / 1e6:,.0f} of {total / 1e6:,.0f} MB  {100 * done // total} %")
            sys.stderr.flush()

    def close(self) -> None:
        """End the line."""
        if self._terminal:
            sys.stderr.write("\n")
