"""``sadtalker faces``: the faces of a picture, with the index or box that ``--face`` takes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from sadtalker_ext.geometry.landmarks import FaceBox
    from sadtalker_ext.video.picture import Picture

LINE_COLOUR = (255, 64, 64)


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
    from sadtalker_ext.video.picture import read_picture

    picture = read_picture(options.portrait, Settings().resolution_limit)
    boxes = list_faces(picture)
    if options.draw:
        draw_boxes(picture, boxes, options.draw)
    if options.json:
        rows = [{"index": index, **box._asdict()} for index, box in enumerate(boxes)]
        width, height = picture.original_size_px
        print(json.dumps({"picture": str(options.portrait), "width": width, "height": height, "faces": rows}))
        return 0
    for index, box in enumerate(boxes):
        x, y, width, height = (round(side) for side in box)
        place = f"{x},{y},{width},{height}"
        print(f"face {index}: {width} x {height} pixels at {x},{y}; choose it by --face {index} or --face {place}")
    return 0


def draw_boxes(picture: Picture, boxes: list[FaceBox], path: Path) -> None:
    """Write the picture, as it is worked on, with a numbered box around each face."""
    from PIL import Image, ImageDraw

    from sadtalker_ext.pipeline.sheet import save_picture

    drawn = Image.fromarray(picture.pixels)
    pen = ImageDraw.Draw(drawn)
    scale = drawn.width / picture.original_size_px[0]
    line_px = max(2, round(max(drawn.size) / 400))
    for index, box in enumerate(boxes):
        left, top, right, bottom = (scale * edge for edge in (box.x, box.y, box.x + box.width, box.y + box.height))
        pen.rectangle((left, top, right, bottom), outline=LINE_COLOUR, width=line_px)
        pen.text((left + 2 * line_px, top + 2 * line_px), str(index), fill=LINE_COLOUR)
    save_picture(drawn, path)
