"""Command ``sadtalker train check``: problems of data and runs, before hours are spent on training."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sadtalker_ext.errors import SettingsError

PROBLEMS: Final = 1
"""Exit code if there are problems; 0 without any, 2 if the check itself is not possible."""
DEFAULT_SAMPLE: Final = 200


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse has no public name for this type
    """Add ``check`` to the commands of ``train``."""
    check = recipes.add_parser(
        "check", help="find problems of a data set, and of a run, before hours are spent",
        description="Check videos before train prepare, or a data set of train practice or prepare: damaged files, "
        "copies, frame rate, sound that is apart, of another video or no voice, wrong crops, missing and flickering "
        "motion, too few speakers. With RUN also: exported weights that are not those of the training state, and "
        "predicted motion that is missing or flickers. Each problem is named with its clips and a remedy. Exit code: "
        "0 without problems, 1 with problems, 2 if the check is not possible.",
    )  # fmt: skip
    check.add_argument("data", type=Path, metavar="DATA", help="folder of the data set, or of videos")
    check.add_argument("run_folder", type=Path, nargs="?", metavar="RUN", help="folder of a run, or of train all")
    check.add_argument(
        "--sample", type=int, default=DEFAULT_SAMPLE, metavar="N",
        help="number of clips or videos, spread evenly, whose pictures and lips are compared with the sound; "
        f"0 checks all (default {DEFAULT_SAMPLE}, about a minute)",
    )  # fmt: skip
    check.add_argument("--json", action="store_true", help="print the result as JSON, with all clips")
    check.set_defaults(run=_check, when_stopped="stopped")


def _check(options: argparse.Namespace) -> int:
    from sadtalker_ext.cli.train_flags import show_progress
    from sadtalker_ext.training.clips.check_data import check_data
    from sadtalker_ext.training.clips.check_videos import check_videos
    from sadtalker_ext.training.clips.dataset import INFO_NAME
    from sadtalker_ext.training.clips.prepare_sources import has_videos

    if options.sample < 0:
        raise SettingsError(f"--sample is {options.sample}; it must be 0 or more")
    if not options.json:
        show_progress()
    videos = options.data.is_dir() and not (options.data / INFO_NAME).exists() and has_videos(options.data)
    if videos and options.run_folder is not None:
        raise SettingsError(f"{options.data} has videos; check a run with the data set that was prepared from them")
    report = (check_videos if videos else check_data)(options.data, options.sample)
    if options.run_folder is not None:
        from sadtalker_ext.training.sadtalker.check_run import check_run

        report = replace(report, findings=(*report.findings, *check_run(options.run_folder, options.data)))
    print(report.to_json() if options.json else report.to_text())
    return PROBLEMS if report.findings else 0
