"""``sadtalker faces``: the faces of a picture, with the index or box that ``--face`` takes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.errors import FaceError
from sadtalker_ext.geometry.landmarks import FaceBox
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from sadtalker_ext.geometry.landmarks import Landmarks
    from sadtalker_ext.video.picture import Picture


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its flags."""
    parser = commands.add_parser(
        "faces", help="list the faces of a picture", allow_abbrev=False,
        description="List the faces of a picture, largest first. An index or a box is what --face takes.",
    )  # fmt: skip
    parser.add_argument("portrait", type=Path, metavar="PORTRAIT", help="a picture, or a video's first frame")
    parser.add_argument("--draw", type=Path, metavar="PICTURE", help="also write the picture with the boxes drawn in")
    parser.add_argument("--json", action="store_true", help="print the faces as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List the faces; a picture without any is an error that says how to go on."""
    from sadtalker_ext.pipeline.portrait import list_faces

    picture, faces = list_faces(options.portrait, Settings().resolution_limit)
    if not faces:
        raise FaceError(f"No face was found in {options.portrait}; give a box by hand: --face x,y,width,height")
    if options.draw:
        write_drawing(picture, faces, options.draw)
    width, height = picture.original_size_px
    enlarge = width / picture.pixels.shape[1]
    boxes = [[round(edge * enlarge) for edge in face.box] for face in faces]
    if options.json:
        rows = [dict(zip(("index", *FaceBox._fields), (index, *box), strict=True)) for index, box in enumerate(boxes)]
        print(json.dumps({"picture": str(options.portrait), "width": width, "height": height, "faces": rows}))
        return 0
    for index, (x, y, wide, high) in enumerate(boxes):
        print(f"face {index}: {wide} x {high} pixels; choose it by --face {index} or --face {x},{y},{wide},{high}")
    return 0


def write_drawing(picture: Picture, faces: list[Landmarks], path: Path) -> None:
    """Write the picture, at the size it is worked at, with a numbered box around each face."""
    from PIL import Image

    from sadtalker_ext.pipeline.contact_sheet import save_picture
    from sadtalker_ext.pipeline.portrait import draw_faces

    save_picture(Image.fromarray(draw_faces(picture.pixels, faces)), path)
