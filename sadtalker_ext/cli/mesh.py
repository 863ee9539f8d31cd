"""Command ``sadtalker mesh``: makes a 3D face that speaks, for Blender, game engines and web pages."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.cli.animate import (
    OutputAction,
    add_input_flags,
    add_output_flags,
    is_output_folder,
    list_inputs,
)
from sadtalker_ext.cli.progress import ProgressLine, format_duration
from sadtalker_ext.cli.setting_flags import add_runtime, add_settings, read_runtime, read_settings
from sadtalker_ext.errors import SettingsError

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.animate_mesh import MeshResult

OUTPUT: Final = Path("outputs") / "face.glb"
EXAMPLES: Final = """examples:
  sadtalker mesh me.jpg voice.mp3 -o face.glb
  sadtalker mesh me.jpg voice.mp3 -o face.glb --blendshapes face.csv
  sadtalker mesh me.jpg voice.mp3 -o face.glb --shaded face.mp4
  sadtalker mesh me.jpg --idle 8 -o waiting.glb
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "mesh", help="make a talking 3D face from a portrait and a voice", allow_abbrev=False, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Make a talking 3D face: an animated mesh in binary glTF, with the portrait as texture, named "
        "morph targets and head motion, and its sound as a WAV file beside it.",
    )  # fmt: skip
    parser.add_argument(
        "inputs", nargs="+", metavar="PORTRAIT VOICE", type=Path,
        help="a portrait (a picture, or a video of which one frame is used) and a voice (an audio file, or a video "
        "with sound)",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", action=OutputAction, metavar="OUT", default=OUTPUT,
        help="output file (.glb), or output folder: an existing one, or a name that ends in /; the sound gets the same "
        f"name with .wav (default: {OUTPUT})",
    )  # fmt: skip
    parser.add_argument(
        "--blendshapes", type=Path, metavar="FILE",
        help="also write the curves of the 52 ARKit blend shapes: .json (layout of Audio2Face) or .csv (layout of Live "
        "Link Face)",
    )  # fmt: skip
    parser.add_argument(
        "--shaded", type=Path, metavar="VIDEO", help="also write a video (.mp4) of the moving mesh without its texture"
    )
    add_input_flags(parser)
    add_output_flags(parser)
    add_settings(parser)
    add_runtime(parser)
    parser.set_defaults(run=run, output_is_folder=False)


def run(options: argparse.Namespace) -> int:
    """Make the 3D face and print where its files are."""
    settings, runtime = read_settings(options), read_runtime(options)
    from sadtalker_ext.pipeline import batch
    from sadtalker_ext.pipeline.animate_mesh import make_mesh
    from sadtalker_ext.pipeline.mesh_files import MeshFiles
    from sadtalker_ext.pipeline.progress import Watcher

    inputs = list_inputs(options)
    if len(inputs) != 1:
        raise SettingsError(f"One 3D face is made at a time, from one portrait and one voice, not {len(inputs)}")
    in_folder = is_output_folder(options)
    output = batch.plan(inputs, options.output, OUTPUT.suffix)[0].output if in_folder else options.output
    files = MeshFiles(output, options.blendshapes, options.shaded)
    with ProgressLine(quiet=options.quiet) as line:
        result = make_mesh(inputs[0], files, settings, runtime, Watcher(line.report))
    print_mesh(result, as_json=options.json)
    return 0


def print_mesh(result: MeshResult, *, as_json: bool) -> None:
    """Print the files of a 3D face as a JSON object or as text."""
    if as_json:
        print(json.dumps(result.to_mapping()))
        return
    for note in result.notes:
        print(f"note: {note}")
    glb, *others = result.written().values()
    print(f"{glb}: {format_duration(result.duration_s)}, {result.frames} frames")
    for path in others:
        print(path)
    print(f"total: {result.total_s:.2f} s")
