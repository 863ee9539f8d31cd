"""Decoding of JPEG XL pictures by ffmpeg; its decoder applies the orientation that the file states."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.errors import MediaError, StalledError
from sadtalker_ext.ffmpeg import Ffmpeg, file_input
from sadtalker_ext.video.bit_depth import sample_layout, to_eight_bit
from sadtalker_ext.video.decoded_picture import DecodedPicture, UnsupportedPictureError, check_size
from sadtalker_ext.video.image_formats import open_image
from sadtalker_ext.video.read import STOP_AT_ERRORS, probe, read_deep_picture
from sadtalker_ext.video.tone_mapping import convert_to_srgb

if TYPE_CHECKING:
    from sadtalker_ext.errors import FileRef

SIGNATURES: Final = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_NO_DECODER: Final = "no decoder found"
_DEMUXER: Final = "jpegxl"
"""Form for :func:`~sadtalker_ext.video.read.read_deep_picture`."""


def decode_jxl(file: FileRef) -> DecodedPicture | None:
    """Return the first picture of a JPEG XL file; None for other files.

    MediaError if it is damaged or too large, UnsupportedPictureError if this ffmpeg has no decoder.
    """
    from PIL import Image

    with file.path.open("rb") as opened:
        if not opened.read(16).startswith(SIGNATURES):
            return None
    try:
        info = probe(file.path, file.role)
    except StalledError:
        raise
    except MediaError as e:
        raise _unsupported(file) from e
    size = (info.width_px, info.height_px)
    check_size(file, size)
    if info.colour.is_srgb:
        return _decode_with_profile(file)
    values = read_deep_picture(file.path, file.role, size, _DEMUXER)
    colour, alpha = convert_to_srgb(values[..., :3], info.colour), (values[..., 3:] >> 8).astype(np.uint8)
    return DecodedPicture(Image.fromarray(np.concatenate([colour, alpha], axis=2)))


def _unsupported(file: FileRef) -> UnsupportedPictureError:
    return UnsupportedPictureError(
        "The ", file, " is a JPEG XL picture, which the installed ffmpeg cannot read: save it as PNG or JPEG, or "
        "install a newer imageio-ffmpeg",
    )  # fmt: skip


def _decode_with_profile(file: FileRef) -> DecodedPicture:
    """Return the picture by way of a PNG, in which ffmpeg passes on an ICC profile and transparency."""
    source = file_input(file.path, f"{_DEMUXER}_pipe")
    output = ["-map", "0:v:0", "-frames:v", "1", "-c:v", "png", "-compression_level", "1", "-f", "image2pipe", "-"]
    with Ffmpeg(["-v", "error", *STOP_AT_ERRORS, "-noautorotate", *source, *output], ("Reading the ", file)) as process:
        png = process.stdout.read()
        if process.finish() != 0 or not png:
            if _NO_DECODER in process.text():
                raise _unsupported(file)
            raise MediaError(
                "The ", file, f" is damaged or incomplete (ffmpeg: {process.last_message()}): export it again"
            )
    with open_image(BytesIO(png), ("PNG",)) as image:
        layout = sample_layout(image)
        image.load()
        converted, notes = to_eight_bit(image, layout, file.role)
        return DecodedPicture(converted, image.info.get("icc_profile"), tuple(notes))
