"""Command ``sadtalker faces``: lists the faces of a picture with the number and box that ``--face`` accepts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.cli.setting_flags import add_setting
from sadtalker_ext.engines.registry import setting_spec
from sadtalker_ext.errors import FaceError, FileRef
from sadtalker_ext.geometry.landmarks import FaceBox
from sadtalker_ext.setting_spec import AUTO_MOMENT
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from sadtalker_ext.geometry.landmarks import Landmarks
    from sadtalker_ext.video.picture import Picture


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "faces", help="list the faces of a picture", allow_abbrev=False,
        description="List the faces of a picture from left to right, numbered from 1. The flag --face of other "
        "commands accepts the number or the box of a face.",
    )  # fmt: skip
    parser.add_argument(
        "portrait", type=Path, metavar="PORTRAIT", help="a picture, or a video, of which one frame is used"
    )
    add_setting(parser.add_argument_group("settings"), setting_spec("at"))
    parser.add_argument("--draw", type=Path, metavar="PICTURE", help="also write the picture with the boxes drawn in")
    parser.add_argument("--json", action="store_true", help="print the faces as a JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the faces; FaceError if there are none."""
    from sadtalker_ext.pipeline.portrait import list_faces

    picture, faces = list_faces(options.portrait, Settings(at=getattr(options, "at", AUTO_MOMENT)).at)
    if not faces:
        raise FaceError(
            "No face was found in the ", FileRef("portrait", options.portrait),
            "; give its box with --face x,y,width,height, or choose another picture",
        )  # fmt: skip
    if options.draw:
        write_drawing(picture, faces, options.draw)
    width, height = picture.original_size_px
    scale = width / picture.pixels.shape[1]
    boxes = [[round(edge * scale) for edge in face.box] for face in faces]
    if options.json:
        names = ("number", *FaceBox._fields)
        rows = [dict(zip(names, (number, *box), strict=True)) for number, box in enumerate(boxes, 1)]
        print(json.dumps({"picture": str(options.portrait), "width": width, "height": height, "faces": rows}))
        return 0
    for number, (x, y, box_width, box_height) in enumerate(boxes, 1):
        box = f"{x},{y},{box_width},{box_height}"
        print(f"face {number}: {box_width} x {box_height} pixels; select it with --face {number} or --face {box}")
    return 0


def write_drawing(picture: Picture, faces: list[Landmarks], path: Path) -> None:
    """Write the picture, at its working size, with a numbered box around each face."""
    from PIL import Image

    from sadtalker_ext.pipeline.contact_sheet import save_picture
    from sadtalker_ext.pipeline.portrait import draw_faces

    save_picture(Image.fromarray(draw_faces(picture.pixels, faces)), path)
