"""Commands ``sadtalker train practice`` and ``train prepare``: data sets for the SadTalker networks."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sadtalker_ext.cli.train_flags import require_positive, show_progress

log = logging.getLogger(__name__)


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse has no public name for this type
    """Add ``practice`` and ``prepare`` to the commands of ``train``."""
    practice = recipes.add_parser(
        "practice", help="sadtalker: render talking clips with known motion from portraits",
        description="Render talking clips with exactly known motion from portraits and speech. The same command "
        "resumes an interrupted run.",
    )  # fmt: skip
    _add_output(practice)
    practice.add_argument(
        "--clips", type=int, default=512, help="number of training clips; one eighth more is held out (default 512)"
    )
    practice.add_argument(
        "--portraits", type=Path, metavar="DIR", help="folder of portraits (default: the demo portrait)"
    )
    practice.add_argument(
        "--speech",
        type=Path,
        metavar="DIR",
        help="folder of train corpus or of audio files (default: the synthesiser flite, or the demo voice)",
    )
    practice.add_argument("--size", type=int, default=128, metavar="PX", help="side length of the frames (default 128)")
    practice.add_argument("--seconds", type=float, default=2.0, help="duration of each clip (default 2)")
    practice.add_argument("--seed", type=int, default=0, help="seed of motion and speech (default 0)")
    practice.set_defaults(run=_practice)
    _add_prepare(recipes)


def _add_prepare(recipes: Any) -> None:  # noqa: ANN401
    prepare = recipes.add_parser(
        "prepare", help="sadtalker: convert videos of talking people into clips",
        description="Convert videos into clips: plain folders, VoxCeleb (id10270/VIDEO/00001.mp4) or HDTF "
        "(WDA_Somebody_000.mp4). The same command resumes an interrupted run; report.md lists the excluded parts.",
    )  # fmt: skip
    prepare.add_argument("sources", type=Path, nargs="+", metavar="SOURCES", help="videos or folders of videos")
    _add_output(prepare)
    prepare.add_argument("--size", type=int, default=256, metavar="PX", help="side length of the frames (default 256)")
    prepare.add_argument("--seconds", type=float, default=4.0, help="maximum duration of a clip (default 4)")
    prepare.add_argument(
        "--shortest", type=float, default=2.0, metavar="SECONDS", help="minimum duration of a clip (default 2)"
    )
    prepare.add_argument(
        "--coefficients", choices=("auto", "bfm", "puppet"), default="auto",
        help="bfm: measured by FaceRecon, needs its checkpoint; puppet: measured from landmarks; auto: bfm if the "
        "checkpoint is found (default)",
    )  # fmt: skip
    prepare.add_argument(
        "--folder", type=Path, action="append", default=[], metavar="DIR", help="folder searched first for FaceRecon"
    )
    prepare.add_argument(
        "--wav2lip", type=Path, metavar="FILE", help="checkpoint wav2lip_gan.pth, used to render lip-only targets"
    )
    prepare.set_defaults(run=_prepare)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DATA", help="folder of the data set")
    parser.add_argument("--processes", type=int, default=1, help="number of parallel processes (default 1)")


def _practice(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.clips.practice import PracticePlan, make_practice

    show_progress()
    require_positive("--processes", options.processes)
    require_positive("--seconds", options.seconds)
    plan = PracticePlan(
        clips=options.clips, size_px=options.size, seconds=options.seconds, portraits=options.portraits,
        speech=options.speech, seed=options.seed,
    )  # fmt: skip
    _print_card(asdict(make_practice(options.output, plan, options.processes)), options.output)
    return 0


def _prepare(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.clips.prepare import prepare, select_coefficients
    from sadtalker_ext.training.clips.prepare_plan import PreparePlan
    from sadtalker_ext.weights.files import search_folders

    show_progress()
    for name, value in (
        ("--processes", options.processes), ("--seconds", options.seconds), ("--shortest", options.shortest),
    ):  # fmt: skip
        require_positive(name, value)
    folders = search_folders(options.folder)
    plan = PreparePlan(
        size_px=options.size, shortest_s=options.shortest, longest_s=options.seconds,
        coefficients=select_coefficients(options.coefficients, folders), folders=folders,
        wav2lip=options.wav2lip,
    )  # fmt: skip
    _print_card(asdict(prepare(options.sources, options.output, plan, options.processes)), options.output)
    return 0


def _print_card(card: dict[str, Any], data: Path) -> None:
    """Write the card of a data set to stdout as JSON, and the next step to stderr."""
    log.info("Next: sadtalker train check %s", shlex.quote(str(data)))
    print(json.dumps(card))
