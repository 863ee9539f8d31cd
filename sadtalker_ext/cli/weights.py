"""``sadtalker weights``: list, fetch, check and convert the official checkpoints, and write random ones for tests."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sadtalker_ext.weights.check import CheckResult

REDRAW_S = 0.2
"""Shortest time between two updates of the progress line."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command, its actions and their flags to the parser."""
    parser = commands.add_parser(
        "weights", help="list, fetch, check or convert the official checkpoints", allow_abbrev=False,
        description="Manage the checkpoints of the engine sadtalker. Only the action fetch downloads files.",
    )  # fmt: skip
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = _add_action(actions, "list", "list the checkpoints with size, licence and location", run_list)
    listing.add_argument("--json", action="store_true", help="print the result as JSON")
    fetching = _add_action(actions, "fetch", "download checkpoints; interrupted downloads are resumed", run_fetch)
    fetching.add_argument("names", nargs="*", metavar="NAME", help="file names (default: those that every mode needs)")
    fetching.add_argument("--mirror", default="github", help="github, huggingface, hf-mirror, or a URL")
    fetching.add_argument("--yes", action="store_true", help="do not ask before downloading")
    checking = _add_action(actions, "check", "check that the files are present, complete and valid", run_check)
    checking.description = (
        "Check that the files are present, complete and valid. Exit code: 2 if a file that exists cannot be used, or "
        "if a file given by name is missing; otherwise 0, because no mode needs all files."
    )
    checking.add_argument("names", nargs="*", metavar="NAME", help="file names (default: all, and those of measures)")
    checking.add_argument("--quick", action="store_true", help="skip the comparison of hashes")
    checking.add_argument("--json", action="store_true", help="print the result as JSON")
    _add_action(actions, "convert", "convert mapping pickles to safetensors files in the same folder", run_convert)
    _add_conversion(actions, "mediapipe", "0.10.9 to 0.10.21", "face and person networks", run_convert_mediapipe)
    _add_conversion(actions, "moonshine_voice", "0.0.49", "speech encoder", run_convert_moonshine)
    making = actions.add_parser(
        "make-random", aliases=["make-seeded"], allow_abbrev=False,
        help="write checkpoints with reproducible random weights, for tests and benchmarks",
        description="Write checkpoints with reproducible random weights, for tests and benchmarks.",
    )  # fmt: skip
    making.add_argument("target", type=Path, metavar="DIR", help="output folder (must be empty)")
    making.set_defaults(run=run_make_random)


def _add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=summary.capitalize() + ".", allow_abbrev=False)
    parser.add_argument(
        "--folder", type=Path, action="append", default=[], help="folder to search first; fetch downloads to it"
    )
    parser.set_defaults(run=run)
    return parser


def _add_conversion(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    package: str,
    versions: str,
    networks: str,
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the action that converts ``networks`` in the wheel of a package."""
    name = f"convert-{package.partition('_')[0]}"
    parser = actions.add_parser(
        name, allow_abbrev=False, help=f"convert the {networks} in a wheel of {package}",
        description=f"Convert the {networks} in a wheel of {package} {versions} (pip download --no-deps "
        f"{package}=={versions.partition(' ')[0]}) to the files that ship with this package.",
    )  # fmt: skip
    parser.add_argument("wheel", type=Path, metavar="WHEEL", help=f"the wheel of {package}, a .whl file")
    parser.add_argument("target", type=Path, metavar="DIR", help="folder for the converted files")
    parser.set_defaults(run=run)


def list_folders(options: argparse.Namespace) -> tuple[Path, ...]:
    """Return the folders to search, those of the command line first."""
    from sadtalker_ext.weights.files import search_folders

    return search_folders(options.folder)


def run_list(options: argparse.Namespace) -> int:
    """Print the catalog and the locations of its files."""
    from sadtalker_ext.weights.catalog import CATALOG
    from sadtalker_ext.weights.files import find_checkpoint
    from sadtalker_ext.weights.measure_files import ALL_FILES, find_measure_file

    folders = list_folders(options)
    paths = {entry.name: find_checkpoint(entry, folders) for entry in CATALOG}
    if options.json:
        rows = [vars(entry) | {"path": str(paths[entry.name] or "")} for entry in CATALOG]
        rows += [vars(entry) | {"path": str(find_measure_file(entry, folders) or "")} for entry in ALL_FILES]
        print(json.dumps(rows, indent=2))
        return 0
    for entry in CATALOG:
        print(f"{entry.name}  {entry.size_bytes / 1e6:,.0f} MB  {entry.licence}\n    {entry.purpose}")
        print(f"    {paths[entry.name] or 'not found'}")
    print("\nFiles for sadtalker evaluate --measure; download them yourself, fetch does not:")
    for measured in ALL_FILES:
        print(f"{measured.name}  {measured.licence}\n    {measured.measure}: {measured.purpose}")
        print(f"    {measured.url}\n    {find_measure_file(measured, folders) or 'not found'}")
    print("Searched: " + ", ".join(str(folder) for folder in folders))
    return 0


def run_fetch(options: argparse.Namespace) -> int:
    """Download the missing checkpoints after confirmation."""
    from sadtalker_ext.weights.catalog import RECOMMENDED, download_url, find_catalog_entry
    from sadtalker_ext.weights.fetch import FetchOptions, fetch
    from sadtalker_ext.weights.files import find_checkpoint
    from sadtalker_ext.weights.measure_files import refuse_to_fetch

    refuse_to_fetch(options.names)
    folders = list_folders(options)
    requested = [find_catalog_entry(name) for name in options.names] or list(RECOMMENDED)
    missing = [entry for entry in requested if find_checkpoint(entry, folders[:1]) is None]
    for entry in missing:
        print(f"{entry.name}  {entry.size_bytes / 1e6:,.0f} MB  from {download_url(entry, options.mirror)}")
    if not missing:
        print("All files are already downloaded.")
        return 0
    if not options.yes and not _confirm(f"Download to {folders[0]}?"):
        raise WeightsError("Nothing was downloaded; use --yes to download without confirmation")
    for entry in missing:
        line = ProgressLine(entry.name)
        path = fetch(entry, folders[0], FetchOptions(options.mirror, line.report))
        line.close()
        print(path)
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Print the result for each file; the exit code is 2 if an existing or a named file cannot be used."""
    from sadtalker_ext.weights.catalog import find_catalog_entry
    from sadtalker_ext.weights.check import check_all, check_checkpoint, check_measure_files

    folders, deep = list_folders(options), not options.quick
    named = [find_catalog_entry(name) for name in options.names]
    results = [check_checkpoint(entry, folders, deep) for entry in named]
    if not named:
        results = [*check_all(folders, deep), *check_measure_files(folders)]
    if options.json:
        print(json.dumps([_as_json(result) for result in results], indent=2))
    else:
        for result in results:
            mark = "good" if result.usable else "missing" if result.path is None else "BAD"
            print(f"{mark:8}{result.name}")
            if not result.missing:
                print(f"        {result.problem or result.note or result.path}")
        print("Searched: " + ", ".join(str(folder) for folder in folders))
        if any(result.missing for result in results):
            print("To download missing files: sadtalker weights fetch [NAME...]")
    return 2 if any(not result.usable and (named or result.path is not None) for result in results) else 0


def run_convert(options: argparse.Namespace) -> int:
    """Convert the mapping pickles that are found."""
    from sadtalker_ext.weights.files import find_file
    from sadtalker_ext.weights.official import MAPPINGS, convert_mapping

    folders = list_folders(options)
    found = [path for entry in MAPPINGS.values() if (path := find_file(entry.name, folders))]
    if not found:
        names = " or ".join(entry.name for entry in MAPPINGS.values())
        raise WeightsError(f"There is nothing to convert: {names} was not found; name the folder with --folder")
    for path in found:
        target, _ = convert_mapping(path)
        if target is None:
            raise WeightsError(f"{path.parent} is not writable; copy {path.name} to a writable folder")
        print(target)
    return 0


def run_convert_mediapipe(options: argparse.Namespace) -> int:
    """Convert the face networks in a wheel."""
    from sadtalker_ext.weights.convert_mediapipe import convert_wheel

    for path in convert_wheel(options.wheel, options.target):
        print(path)
    return 0


def run_convert_moonshine(options: argparse.Namespace) -> int:
    """Convert the speech encoder in a wheel."""
    from sadtalker_ext.weights.convert_moonshine import convert_moonshine_wheel

    print(convert_moonshine_wheel(options.wheel, options.target))
    return 0


def run_make_random(options: argparse.Namespace) -> int:
    """Write checkpoints with random weights."""
    from sadtalker_ext.weights.random_weights import make_random_weights

    for path in make_random_weights(options.target):
        print(path)
    return 0


def _as_json(result: CheckResult) -> dict[str, object]:
    path = str(result.path or "")
    return {
        "name": result.name, "path": path, "usable": result.usable, "problem": result.problem,
        "note": result.note,
    }  # fmt: skip


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


class ProgressLine:
    """Progress of a download on one line of stderr; prints nothing if stderr is not a terminal."""

    def __init__(self, name: str) -> None:
        self._name, self._drawn_s, self._terminal = name, 0.0, sys.stderr.isatty()

    def report(self, done: int, total: int) -> None:
        """Show the number of bytes done and the total."""
        now_s = time.monotonic()
        if self._terminal and (now_s - self._drawn_s >= REDRAW_S or done == total):
            self._drawn_s = now_s
            sys.stderr.write(f"\r{self._name}  {done / 1e6:,.0f} of {total / 1e6:,.0f} MB  {100 * done // total} %")
            sys.stderr.flush()

    def close(self) -> None:
        """Finish the line."""
        if self._terminal:
            sys.stderr.write("\n")
