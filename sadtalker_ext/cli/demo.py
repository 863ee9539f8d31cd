"""``sadtalker demo``: a real photograph speaks, with nothing but what is installed."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from sadtalker_ext.cli.animate import add_output_flags, show_result
from sadtalker_ext.cli.progress import ProgressLine
from sadtalker_ext.cli.setting_flags import add_runtime, add_settings, runtime_of, settings_of
from sadtalker_ext.errors import MissingPackageError

OUTPUT = Path("outputs") / "demo.mp4"
SHEET_EVERY = 5
SHEET_PART = (0.2, 0.0, 0.68, 0.48)
"""The head and shoulders of the demo's photograph."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its flags."""
    parser = commands.add_parser(
        "demo", help="watch a photograph speak", allow_abbrev=False,
        description="Make the astronaut portrait of scikit-image speak with the voice that comes with this package.",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT, help=f"the mp4 file to write (default: {OUTPUT})")
    parser.add_argument("--sheet", type=Path, metavar="PICTURE", help="also write frames side by side on one picture")
    parser.add_argument("--sheet-every", type=int, default=SHEET_EVERY, metavar="N", help="every N-th frame of it")
    add_output_flags(parser)
    add_settings(parser)
    add_runtime(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the demo and say where it is and how long it took."""
    settings, runtime = settings_of(options), runtime_of(options)
    from sadtalker_ext.pipeline.animate import animate
    from sadtalker_ext.pipeline.contact_sheet import ContactSheet
    from sadtalker_ext.pipeline.progress import Progress, Watcher

    sheet = ContactSheet(max(1, options.sheet_every), SHEET_PART) if options.sheet else None
    with ProgressLine(quiet=options.quiet) as line:

        def report(progress: Progress) -> None:
            line.report(progress)
            if sheet:
                sheet.report(progress)

        result = animate(demo_portrait(), demo_voice(), options.output, settings, runtime, Watcher(report))
    if sheet:
        sheet.write(options.sheet)
    show_result(result, as_json=options.json)
    return 0


def demo_portrait() -> Path:
    """The photograph of Eileen Collins (NASA, public domain) in scikit-image's own files, 512 x 512."""
    spec = find_spec("skimage")
    folders = spec.submodule_search_locations if spec else None
    path = Path(next(iter(folders or ["skimage"]))) / "data" / "astronaut.png"
    if not path.is_file():
        raise MissingPackageError("The demo's photograph comes with scikit-image: pip install scikit-image")
    return path


def demo_voice() -> Path:
    """The spoken clip that ships with this package; assets/README.md says how it was made."""
    import sadtalker_ext

    return Path(sadtalker_ext.__file__).parent / "assets" / "demo_voice.flac"
