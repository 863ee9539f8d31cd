"""A decoded picture before its conversion to sRGB, and the limits of its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import FileRef, MediaError

if TYPE_CHECKING:
    from PIL.Image import Image

MIN_SIDE_PX: Final = 64
MAX_SIDE_PX: Final = 8192


class UnsupportedPictureError(MediaError):
    """An intact file of a known format that needs a decoder, or a feature of the format, that is not available."""


@dataclass(frozen=True)
class DecodedPicture:
    """An upright picture at its own size.

    image: a Pillow image of mode L, LA, RGB, RGBA, CMYK or LAB. profile: its ICC colour profile; None means sRGB.
    notes: messages for the user.
    """

    image: Image
    profile: bytes | None = None
    notes: tuple[str, ...] = ()


def check_size(file: FileRef, size_px: tuple[int, int]) -> None:
    """Raise MediaError if a side is not between 64 and 8192 px."""
    size = f" has {by(size_px)} px"
    if max(size_px) > MAX_SIDE_PX:
        raise MediaError("The ", file, size, f", more than {MAX_SIDE_PX} px on a side: reduce its size")
    if min(size_px) < MIN_SIDE_PX:
        raise MediaError("The ", file, size, f", less than {MIN_SIDE_PX} px on a side: choose a larger one")


def by(size: tuple[int, int]) -> str:
    """Return a size as text: ``640 x 480``."""
    return f"{size[0]} x {size[1]}"
