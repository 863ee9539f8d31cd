"""``sadtalker train prepare`` and ``practice``: talking clips for the SadTalker networks."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sadtalker_ext.cli.train_flags import log_progress, require_positive


def add_recipes(recipes: Any) -> None:  # noqa: ANN401 - argparse gives this type no public name
    """Add the commands that make data to those of ``train``."""
    practice = recipes.add_parser(
        "practice", help="sadtalker: render talking clips with known motion, without any data set",
        description="Render talking clips with exactly known motion from portraits and speech. The same command goes "
        "on after a stop.",
    )  # fmt: skip
    _add_output(practice)
    practice.add_argument(
        "--clips", type=int, default=512, help="for training; an eighth more is held out (default 512)"
    )
    practice.add_argument("--portraits", type=Path, metavar="DIR", help="folder of pictures (default: the demo's)")
    practice.add_argument(
        "--speech", type=Path, metavar="DIR", help="from train corpus, or sound files (default: what this machine has)"
    )
    practice.add_argument("--size", type=int, default=128, metavar="PX", help="side of the pictures (default 128)")
    practice.add_argument("--seconds", type=float, default=2.0, help="of each clip (default 2)")
    practice.add_argument("--seed", type=int, default=0, help="of motion and speech (default 0)")
    practice.set_defaults(run=_practice)
    _add_prepare(recipes)


def _add_prepare(recipes: Any) -> None:  # noqa: ANN401
    prepare = recipes.add_parser(
        "prepare", help="sadtalker: turn videos of talking people into clips",
        description="Turn videos into clips: plain folders, VoxCeleb (id10270/VIDEO/00001.mp4) or HDTF "
        "(WDA_Somebody_000.mp4). The same command goes on after a stop; report.md says what was left out and why.",
    )  # fmt: skip
    prepare.add_argument("sources", type=Path, nargs="+", metavar="SOURCES", help="videos or folders of videos")
    _add_output(prepare)
    prepare.add_argument("--size", type=int, default=256, metavar="PX", help="side of the pictures (default 256)")
    prepare.add_argument("--seconds", type=float, default=4.0, help="of the longest clip (default 4)")
    prepare.add_argument("--shortest", type=float, default=2.0, metavar="SECONDS", help="clip that is kept (default 2)")
    prepare.add_argument(
        "--coefficients", choices=("auto", "bfm", "puppet"), default="auto",
        help="bfm: by FaceRecon, whose checkpoint must be there; puppet: from landmarks (default: bfm if it is there)",
    )  # fmt: skip
    prepare.add_argument(
        "--folder", type=Path, action="append", default=[], metavar="DIR", help="look for the checkpoint here first"
    )
    prepare.add_argument(
        "--wav2lip", type=Path, metavar="FILE", help="render lip-only targets by this checkpoint (wav2lip_gan.pth)"
    )
    prepare.set_defaults(run=_prepare)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DATA", help="folder for shards and card")
    parser.add_argument("--processes", type=int, default=1, help="at work at once (default 1)")


def _practice(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.clips.practice import PracticePlan, make_practice

    log_progress()
    require_positive("--processes", options.processes)
    plan = PracticePlan(
        clips=options.clips, size_px=options.size, seconds=options.seconds, portraits=options.portraits,
        speech=options.speech, seed=options.seed,
    )  # fmt: skip
    print(json.dumps(asdict(make_practice(options.output, plan, options.processes))))
    return 0


def _prepare(options: argparse.Namespace) -> int:
    from sadtalker_ext.training.clips.prepare import coefficients_named, prepare
    from sadtalker_ext.training.clips.prepare_clips import PreparePlan
    from sadtalker_ext.weights.files import search_folders

    log_progress()
    require_positive("--processes", options.processes)
    folders = search_folders(options.folder)
    plan = PreparePlan(
        size_px=options.size, shortest_s=options.shortest, longest_s=options.seconds,
        coefficients=coefficients_named(options.coefficients, folders), folders=folders,
        wav2lip=options.wav2lip,
    )  # fmt: skip
    print(json.dumps(asdict(prepare(options.sources, options.output, plan, options.processes))))
    return 0
