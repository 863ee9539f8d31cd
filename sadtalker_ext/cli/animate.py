"""``sadtalker animate``: portraits and voices become videos."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.cli.progress import ProgressLine, clock
from sadtalker_ext.cli.setting_flags import add_runtime, add_settings, runtime_of, settings_of
from sadtalker_ext.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sadtalker_ext.pipeline.animate import Result
    from sadtalker_ext.pipeline.batch import BatchJob, Outcome
    from sadtalker_ext.pipeline.inputs import Inputs

OUTPUT_FOLDER = Path("outputs")
EXAMPLES = """examples:
  sadtalker animate me.jpg voice.mp3
  sadtalker animate me.jpg voice.mp3 -o talking.mp4 --still --expression-scale 1.3
  sadtalker animate me.jpg voice.mp3 --yaw -10,10,0
  sadtalker animate portraits/ voices/ -o results/
  sadtalker animate a.png b.png c.png voice.wav
  sadtalker animate me.jpg --idle 8
  sadtalker animate me.jpg voice.mp3 --engine sadtalker --reference dancer.mp4 --reference-use pose
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its flags."""
    parser = commands.add_parser(
        "animate", help="make a portrait speak", allow_abbrev=False, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Make portraits speak. Several portraits and voices, or folders of them, make every pair.",
    )  # fmt: skip
    parser.add_argument(
        "inputs", nargs="+", metavar="PORTRAIT... VOICE...", type=Path,
        help="a picture (or a video, whose first frame is used), then a sound or a video with sound",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", default=None,
        help="the mp4 file to write; for several videos the folder they go to (default: the folder outputs)",
    )  # fmt: skip
    add_input_flags(parser)
    add_output_flags(parser)
    add_settings(parser)
    add_runtime(parser)
    parser.set_defaults(run=run)


def add_input_flags(parser: argparse.ArgumentParser) -> None:
    """``--idle``, ``--reference`` and ``--reference-use``."""
    parser.add_argument(
        "--idle", type=float, metavar="SECONDS", default=None,
        help="no voice: the portrait blinks and moves a little for so long; the video has no sound",
    )  # fmt: skip
    parser.add_argument(
        "--reference", type=Path, metavar="VIDEO", default=None,
        help="take after the face in this video (engine sadtalker); a shorter one is repeated",
    )  # fmt: skip
    parser.add_argument(
        "--reference-use", metavar="eyes|pose|eyes+pose|all", default="",
        help="what to take from it: blinks, head movement, both, or everything. Default: eyes+pose",
    )  # fmt: skip


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """``--json`` and ``--quiet``."""
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> int:
    """Make one video, or all pairs; 2 if any of them failed."""
    settings, runtime = settings_of(options), runtime_of(options)
    from sadtalker_ext.pipeline import batch
    from sadtalker_ext.pipeline.animate import make_video
    from sadtalker_ext.pipeline.progress import Watcher

    jobs, single = plan_jobs(options)
    with ProgressLine(quiet=options.quiet) as line:
        watcher = Watcher(line.report)
        if not single:
            return report_batch(told(batch.run(jobs, settings, runtime, watcher), len(jobs), line), options.json)
        result = make_video(jobs[0].inputs, jobs[0].output, settings, runtime, watcher)
    show_result(result, as_json=options.json)
    return 0


def told(outcomes: Iterator[Outcome], total: int, line: ProgressLine) -> list[Outcome]:
    """All outcomes, each told on stderr as soon as it is there."""
    done = []
    for outcome in outcomes:
        line.close()
        done.append(outcome)
        became = f"made {outcome.job.output}" if outcome.error is None else f"failed: {outcome.error}"
        sys.stderr.write(f"{len(done)}/{total} {outcome.job.name}: {became}\n")
    return done


def plan_jobs(options: argparse.Namespace) -> tuple[list[BatchJob], bool]:
    """The videos to make, and whether it is a single one that was asked for by its files."""
    from sadtalker_ext.pipeline import batch
    from sadtalker_ext.video.write import SUFFIX

    wanted, output = read_inputs(options), options.output
    single = len(wanted) == 1 and not any(path.is_dir() for path in options.inputs)
    if single and output is not None and not output.is_dir():
        return [batch.BatchJob(wanted[0], output)], single
    if output is not None and output.suffix.lower() == SUFFIX and not output.is_dir():
        raise MediaError(f"The output {output} is one file, but several videos are asked for; name a folder")
    return batch.plan(wanted, output or OUTPUT_FOLDER), single


def read_inputs(options: argparse.Namespace) -> list[Inputs]:
    """What each video is made from."""
    from sadtalker_ext.pipeline import batch
    from sadtalker_ext.pipeline.inputs import Inputs

    voices: Sequence[Path | None] = (None,)
    if options.idle is None:
        portraits, voices = batch.sort_inputs(options.inputs)
    else:
        portraits = batch.idle_portraits(options.inputs)
    return [
        Inputs(portrait, voice, options.idle, options.reference, options.reference_use)
        for portrait, voice in product(portraits, voices)
    ]


def show_result(result: Result, *, as_json: bool) -> None:
    """Say what was made: a JSON object for machines, a few lines for people."""
    if as_json:
        print(json.dumps(result.to_mapping()))
        return
    for note in result.notes:
        print(f"note: {note}")
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in result.stage_s.items())
    width, height = result.size
    print(f"{result.path}: {clock(result.duration_s)}, {result.frames} frames of {width}x{height}")
    print(f"stages: {stages}; first frame after {result.first_frame_s:.2f} s")
    print(f"took {result.total_s:.2f} s, {result.realtime_factor:.2f} x real time")


def report_batch(outcomes: Sequence[Outcome], as_json: bool) -> int:
    """Say what was made and what was not; the exit code."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if as_json:
        print(json.dumps({"results": [_as_json(outcome) for outcome in outcomes], "failed": len(failed)}))
    else:
        print(f"{len(outcomes) - len(failed)} of {len(outcomes)} videos made")
        for outcome in failed:
            print(f"failed: {outcome.job.name}: {outcome.error}")
    return 2 if failed else 0


def _as_json(outcome: Outcome) -> dict[str, object]:
    made_from = outcome.job.inputs
    voice = None if made_from.voice is None else str(made_from.voice)
    inputs: dict[str, object] = {"portrait": str(made_from.portrait), "voice": voice}
    if outcome.result is not None:
        return inputs | outcome.result.to_mapping()
    return inputs | {"error": str(outcome.error), "kind": type(outcome.error).__name__}
