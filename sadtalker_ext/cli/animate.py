"""Command ``sadtalker animate``: makes videos from portraits and voices."""

from __future__ import annotations

import argparse
import json
import os
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.cli.progress import ProgressLine, format_duration
from sadtalker_ext.cli.setting_flags import add_runtime, add_settings, read_runtime, read_settings
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import require_file
from sadtalker_ext.system.fast_imports import fast_imports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sadtalker_ext.pipeline.animate import Result
    from sadtalker_ext.pipeline.batch import BatchJob, Outcome
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.pipeline.mesh_files import VideoOutputs

OUTPUT_FOLDER: Final = Path("outputs")
MAX_TEXT_BYTES: Final = 1 << 20
"""Text beyond this is not read; the longest text that is read aloud has fewer characters."""
EXAMPLES: Final = """examples:
  sadtalker animate me.jpg voice.mp3
  sadtalker animate me.jpg voice.mp3 -o talking.mp4 --still --expression-scale 1.3
  sadtalker animate me.jpg voice.mp3 --yaw -10,10,0
  sadtalker animate portraits/ voices/ -o results/
  sadtalker animate a.png b.png c.png voice.wav
  sadtalker animate me.jpg --say "Hello! I can read any text aloud."
  sadtalker animate me.jpg voice.mp3 -o talking.mp4 --mesh talking.glb
  sadtalker animate me.jpg --idle 8
  sadtalker animate me.jpg voice.mp3 --engine sadtalker --reference dancer.mp4 --reference-use pose
"""


class OutputAction(argparse.Action):
    """Stores a path, and in ``output_is_folder`` whether it ends with a separator, which ``Path`` omits."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, _: str | None = None
    ) -> None:
        """Store the value of the option."""
        namespace.output = Path(str(values))
        namespace.output_is_folder = str(values).endswith(tuple(filter(None, (os.sep, os.altsep))))


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "animate", help="make videos from portraits and voices", allow_abbrev=False, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Make portraits speak. For several portraits and voices, or folders of them, one video is made for "
        "each combination.",
    )  # fmt: skip
    parser.add_argument(
        "inputs", nargs="+", metavar="PORTRAIT... VOICE...", type=Path,
        help="portraits (pictures, or videos of which one frame is used), then voices (audio files, or videos with "
        "sound); a folder stands for its files",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", action=OutputAction, metavar="OUT", default=None,
        help="output file (.mp4), or output folder: an existing one, or a name that ends in / (default: outputs/)",
    )  # fmt: skip
    parser.add_argument(
        "--mesh", type=Path, metavar="OUT", default=None,
        help="also write the talking face as a 3D model (.glb) with its sound (.wav), for one video",
    )  # fmt: skip
    add_input_flags(parser)
    add_output_flags(parser)
    add_settings(parser)
    add_runtime(parser)
    parser.set_defaults(run=run, output_is_folder=False)


def add_input_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of inputs besides portraits and voices."""
    parser.add_argument(
        "--idle", type=float, metavar="SECONDS", default=None,
        help="duration of an idle clip without voice and sound, in which the portrait blinks and moves",
    )  # fmt: skip
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--say", metavar="TEXT", default=None, help="text that is read aloud; it replaces the voice")
    text.add_argument(
        "--say-file", type=Path, metavar="FILE", default=None,
        help="text file (UTF-8) that is read aloud; - reads standard input",
    )  # fmt: skip
    parser.add_argument(
        "--reference", type=Path, metavar="VIDEO", default=None,
        help="optional reference video whose face motion is copied (engine sadtalker); a short one is repeated",
    )  # fmt: skip
    parser.add_argument(
        "--reference-use", metavar="eyes|pose|eyes+pose|all", default="",
        help="what is copied from the reference: blinks, head motion, both, or all face motion (default: eyes+pose)",
    )  # fmt: skip


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--quiet``."""
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    parser.add_argument("--quiet", action="store_true", help="do not show progress")


def run(options: argparse.Namespace) -> int:
    """Make one video, or one for each combination of inputs; return 2 if any of them failed."""
    settings, runtime = read_settings(options), read_runtime(options)
    with fast_imports():
        from sadtalker_ext.pipeline import batch
        from sadtalker_ext.pipeline.animate import make_video
        from sadtalker_ext.pipeline.progress import Watcher

    jobs, single = plan_jobs(options)
    if options.mesh is not None and not single:
        raise MediaError(
            "The ", FileRef("output", options.mesh), " is one 3D model, but several videos are made; use --model-3d"
        )
    with ProgressLine(quiet=options.quiet) as line:
        watcher = Watcher(line.report)
        if not single:
            outcomes = log_outcomes(batch.run(jobs, settings, runtime, watcher), len(jobs), line)
            return print_batch(outcomes, as_json=options.json)
        output = video_outputs(jobs[0].output, options.mesh)
        result = make_video(jobs[0].inputs, output, settings, runtime, watcher)
    print_result(result, as_json=options.json)
    return 0


def video_outputs(video: Path, mesh: Path | None) -> Path | VideoOutputs:
    """Return the video, or the video and the 3D model that ``--mesh`` names."""
    from sadtalker_ext.pipeline.mesh_files import MeshFiles, VideoOutputs

    return video if mesh is None else VideoOutputs(video, MeshFiles(mesh))


def log_outcomes(outcomes: Iterator[Outcome], total: int, line: ProgressLine) -> list[Outcome]:
    """Return all outcomes; each is written to stderr as soon as it is available."""
    done = []
    for outcome in outcomes:
        line.close()
        done.append(outcome)
        summary = f"made {outcome.job.output}" if outcome.error is None else f"failed: {outcome.error}"
        sys.stderr.write(f"{len(done)}/{total} {outcome.job.name}: {summary}\n")
    return done


def plan_jobs(options: argparse.Namespace) -> tuple[list[BatchJob], bool]:
    """Return the videos to make, and whether it is a single one whose files were given by name."""
    from sadtalker_ext.pipeline import batch
    from sadtalker_ext.video.write import SUFFIX

    combinations, output = list_inputs(options), options.output
    single = len(combinations) == 1 and not any(path.is_dir() for path in options.inputs)
    is_folder = is_output_folder(options)
    if single and output is not None and not is_folder:
        _check_suffix(output)
        return [batch.BatchJob(combinations[0], output)], single
    if output is not None and output.suffix.lower() == SUFFIX and not is_folder:
        raise MediaError("The ", FileRef("output", output), " is one file, but several videos are made; name a folder")
    return batch.plan(combinations, output or OUTPUT_FOLDER), single


def is_output_folder(options: argparse.Namespace) -> bool:
    """Return whether ``-o`` names a folder: an existing one, or a name that ends with a separator."""
    return options.output_is_folder or (options.output is not None and options.output.is_dir())


def _check_suffix(output: Path) -> None:
    """Raise MediaError for a name without suffix, which may be meant as a folder."""
    from sadtalker_ext.video.write import SUFFIX

    if not output.suffix:
        named = f"name it {output.name}{SUFFIX}, or {output.name}/ for a folder"
        raise MediaError("The ", FileRef("output", output), f" does not end in {SUFFIX}: {named}")


def list_inputs(options: argparse.Namespace) -> list[Inputs]:
    """Return the inputs of each video."""
    from sadtalker_ext.pipeline import batch
    from sadtalker_ext.pipeline.inputs import Inputs

    voices: Sequence[Path | None] = (None,)
    text = read_text(options)
    if options.idle is None and text is None:
        portraits, voices = batch.sort_inputs(options.inputs)
    else:
        portraits = batch.portraits_only(options.inputs, "An idle clip" if text is None else "A text")
    return [
        Inputs(portrait, voice, options.idle, options.reference, options.reference_use, text)
        for portrait, voice in product(portraits, voices)
    ]


def read_text(options: argparse.Namespace) -> str | None:
    """Return the text to read aloud, or None."""
    path = options.say_file
    text: str | None = options.say
    if path is None:
        return text
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(MAX_TEXT_BYTES)
        else:
            with require_file(path, "text file").open("rb") as file:
                content = file.read(MAX_TEXT_BYTES)
        return content.decode("utf-8-sig")
    except OSError as e:
        raise MediaError("The ", FileRef("text file", path), f" cannot be read ({e.strerror or e}); check it") from e
    except UnicodeDecodeError as e:
        raise MediaError("The ", FileRef("text file", path), " is not UTF-8 text; save it as UTF-8") from e


def print_result(result: Result, *, as_json: bool) -> None:
    """Print the result of one video as a JSON object or as text."""
    if as_json:
        print(json.dumps(result.to_mapping()))
        return
    for note in result.notes:
        print(f"note: {note}")
    stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in result.stage_s.items())
    width, height = result.size
    print(f"{result.path}: {format_duration(result.duration_s)}, {result.frames} frames of {width}x{height}")
    if result.model is not None:
        print(f"3D model: {result.model}")
    print(f"stages: {stages}; first frame after {result.first_frame_s:.2f} s")
    print(f"total: {result.total_s:.2f} s, {result.realtime_factor:.2f} x real time")


def print_batch(outcomes: Sequence[Outcome], *, as_json: bool) -> int:
    """Print the results and failures of a batch as a JSON object or as text; return the exit code."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if as_json:
        print(json.dumps({"results": [_to_mapping(outcome) for outcome in outcomes], "failed": len(failed)}))
    else:
        print(f"{len(outcomes) - len(failed)} of {len(outcomes)} videos made")
        for outcome in failed:
            print(f"failed: {outcome.job.name}: {outcome.error}")
    return 2 if failed else 0


def _to_mapping(outcome: Outcome) -> dict[str, object]:
    portrait, voice = outcome.job.inputs.portrait, outcome.job.inputs.voice
    inputs: dict[str, object] = {"portrait": str(portrait), "voice": None if voice is None else str(voice)}
    if outcome.result is not None:
        return inputs | outcome.result.to_mapping()
    return inputs | {"error": str(outcome.error), "kind": type(outcome.error).__name__}
