"""Contact sheet: one picture with many small frames of a video."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.pipeline.output import check_output
from sadtalker_ext.system.atomic_output import write_failure, write_file

if TYPE_CHECKING:
    from PIL.Image import Image

    from sadtalker_ext.pipeline.progress import Progress

COLUMNS: Final = 10
TILE_PX: Final = 128


class ContactSheet:
    """Collects every ``every``-th frame of the progress reports, scaled down to tiles of at most 128 pixels.

    part: left, top, right and bottom of the region that is shown, as shares of the frame's width and height.
    """

    def __init__(self, every: int, part: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)) -> None:
        self._every = every
        self._part = part
        self._tiles: list[Image] = []

    def report(self, progress: Progress) -> None:
        """Add the frame of a report if it is due; the first one is."""
        from PIL import Image

        if progress.frame is not None and (progress.done - 1) % self._every == 0:
            height, width = progress.frame.shape[:2]
            left, top, right, bottom = self._part
            rows = slice(round(top * height), round(bottom * height))
            tile = Image.fromarray(progress.frame[rows, round(left * width) : round(right * width)])
            tile.thumbnail((TILE_PX, TILE_PX), Image.LANCZOS)
            self._tiles.append(tile)

    def write(self, path: Path) -> None:
        """Write the contact sheet with ten tiles per row; the suffix of the name selects the picture format."""
        from PIL import Image

        width, height = self._tiles[0].size
        rows = ceil(len(self._tiles) / COLUMNS)
        sheet = Image.new("RGB", (width * min(COLUMNS, len(self._tiles)), height * rows))
        for index, tile in enumerate(self._tiles):
            sheet.paste(tile, (width * (index % COLUMNS), height * (index // COLUMNS)))
        save_picture(sheet, path)


def save_picture(picture: Image, path: Path) -> None:
    """Write a picture completely or not at all; MediaError for a suffix that Pillow cannot write."""
    kind = _picture_kind(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, lambda part: picture.save(part, kind), failures=(OSError, ValueError))
    except OSError as e:
        raise write_failure(path, e) from e


def check_picture_output(path: Path) -> None:
    """Raise MediaError if :func:`save_picture` could not write the file."""
    _picture_kind(path)
    check_output(path, (), (path.suffix,))


def _picture_kind(path: Path) -> str:
    """Return Pillow's name of the picture format that the suffix selects."""
    from PIL import Image

    kind: str = Image.registered_extensions().get(path.suffix.lower(), "")
    if kind not in Image.SAVE:
        raise MediaError(
            "The ", FileRef("picture", path), f" has an unknown suffix; use a name like {path.stem or 'faces'}.png"
        )
    return kind
