"""Pictures in: formats of photographs, or the first frame of a video, as upright 8-bit sRGB at the working size.

Transparent parts become white, the colour of the pages on which cut-out pictures are mostly seen and made.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.errors import ContainerError, MediaError, StalledError
from sadtalker_ext.ffmpeg import require_file
from sadtalker_ext.video.image_formats import open_image, refuse_documents, refuse_text, unknown_picture
from sadtalker_ext.video.image_limits import check_decoder, check_limits
from sadtalker_ext.video.read import VideoInfo, probe, read_frames

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

SMALLEST_PX = 64
LARGEST_PX = 8192
BEHIND = (255, 255, 255)
"""What is seen through transparent parts."""
NEARLY_OPAQUE = 250
"""Alpha from which on nothing can be seen through: programs that resize or blend leave 254 here and there."""
_MODES = {
    "1": "L", "P": "RGBA", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA", "YCbCr": "RGB", "HSV": "RGB",
}  # fmt: skip
"""Pillow's modes that are neither colour as it is shown nor can be resized well, and what they become."""
_PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
PILLOW_ERRORS = (
    OSError, ValueError, SyntaxError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error, EOFError,
    UserWarning,
)  # fmt: skip
"""What Pillow's readers have been seen to raise for damaged files, by feeding them files with changed bytes.

UserWarning is raised where the program runs with warnings as errors.
"""
LARGEST_EXIF_BYTES = 1 << 22
"""Cameras write up to 1 MB; Pillow makes a Python number of each value."""


@dataclass(frozen=True)
class Picture:
    """pixels: (H, W, 3) uint8 sRGB, upright, C-contiguous.

    original_size_px: (width, height) in the file, as shown upright.
    notes: sentences for the user about what was done to it; empty for most pictures.
    """

    pixels: NDArray[np.uint8]
    original_size_px: tuple[int, int]
    notes: tuple[str, ...] = ()


def read_picture(path: str | Path, limit_px: int) -> Picture:
    """Read a picture, or a video's first frame, at most ``limit_px`` on the long side.

    Honours EXIF orientation and colour profiles, flattens transparency, scales 16-bit and float values to 8 bit.
    Sides from 64 to 8192 px. MediaError in one sentence otherwise.
    """
    from PIL import Image

    file = require_file(path, "picture")
    refuse_documents(file)
    refuse_text(file)
    check_limits(file)
    try:
        with _refusals(file), open_image(file) as opened:
            _check_size(file, opened.size)
            check_decoder(file, opened)
            notes = _frame_note(file, opened)
            opened.load()
            image = _upright(opened)
    except Image.UnidentifiedImageError:
        info = _probe_moving(file)
        _check_size(file, (info.width_px, info.height_px))
        moving = info.duration_s is not None or info.has_audio
        notes = [f"{file.name} is a video: its first frame is the portrait."] if moving else []
        with closing(read_frames(file)) as frames:
            image = Image.fromarray(next(frames))
    return _finish(image, limit_px, notes)


@contextmanager
def _refusals(file: Path) -> Iterator[None]:
    """Turn what Pillow says of damaged or hostile files into our sentence; leave unknown formats to the caller."""
    from PIL import Image

    try:
        yield
    except Image.UnidentifiedImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise MediaError(f"The picture {file} is larger than {LARGEST_PX} px on a side: make it smaller first") from e
    except PILLOW_ERRORS as e:
        raise MediaError(f"The picture {file} is damaged or incomplete ({e}): export or download it again") from e
    except MemoryError as e:
        raise MediaError(f"The picture {file} needs more memory than there is: make it smaller first") from e


def _check_size(file: Path, size_px: tuple[int, int]) -> None:
    width, height = size_px
    if max(size_px) > LARGEST_PX:
        raise MediaError(
            f"The picture {file} is {width} x {height} px, more than {LARGEST_PX} px on a side: make it smaller first"
        )
    if min(size_px) < SMALLEST_PX:
        raise MediaError(
            f"The picture {file} is {width} x {height} px, less than {SMALLEST_PX} px on a side: give a larger one"
        )


def _frame_note(file: Path, image: Image) -> list[str]:
    """Say that an animation or a multi-page file gives its first picture; phones' MPO previews are not worth a word."""
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return []
    return [f"{file.name} holds several pictures: the first is the portrait."]


def _probe_moving(file: Path) -> VideoInfo:
    """The video that Pillow could not open as a picture; MediaError if it is none either."""
    unknown = unknown_picture(str(file))
    try:
        info = probe(file)
    except StalledError:
        raise
    except ContainerError as e:
        raise MediaError(
            f"{file} is no picture or video that can be read; playlists and stream descriptions, which name other "
            "files, are not read: save it as PNG or JPEG"
        ) from e
    except MediaError as e:
        raise MediaError(unknown) from e
    if not info.has_video:
        raise MediaError(unknown)
    return info


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    if len(image.info.get("exif", b"")) > LARGEST_EXIF_BYTES:
        log.debug("EXIF data of unusual size, orientation ignored")
        return image
    try:
        turned: Image = ImageOps.exif_transpose(image)
    except PILLOW_ERRORS as e:
        log.debug("unreadable EXIF data, orientation unknown: %s", e)
        return image
    return turned


def _finish(image: Image, limit_px: int, notes: list[str]) -> Picture:
    """To the working size, then sRGB, then opaque."""
    original = image.size
    profile = image.info.get("icc_profile")
    image = _eight_bit(image)
    scale = limit_px / max(original)
    if scale < 1:
        from PIL.Image import Resampling

        size = (max(1, round(original[0] * scale)), max(1, round(original[1] * scale)))
        image = image.resize(size, Resampling.LANCZOS, reducing_gap=3.0)
        notes = [*notes, f"The picture was reduced from {_by(original)} to {_by(size)} px, the resolution limit."]
    image, transparent = _opaque(_to_srgb(image, profile))
    if transparent:
        notes = [*notes, "Transparent parts of the picture were filled with white."]
    return Picture(np.array(image, np.uint8, order="C"), original, tuple(notes))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _eight_bit(image: Image) -> Image:
    """One of L, LA, RGB, RGBA, CMYK, LAB with 8 bits a channel."""
    from PIL import Image as Images

    if image.mode.startswith(("I", "F")):
        return Images.fromarray(_to_bytes(np.asarray(image), image.mode))
    if image.mode in ("L", "RGB", "P") and "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "P":
        return image.convert("RGB")
    return image.convert(_MODES[image.mode]) if image.mode in _MODES else image


def _to_bytes(values: NDArray[np.generic], mode: str) -> NDArray[np.uint8]:
    """Grey values of more than 8 bits to 0 .. 255.

    The range is 16 bit for modes I;16 and for what a 16-bit PNG opens as (I); floats are taken as 0 .. 1;
    values beyond the range stretch it to their maximum.
    """
    grey = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    highest = max(1.0 if mode == "F" else 65535.0, float(grey.max(initial=0.0)))
    scaled: NDArray[np.uint8] = np.clip(np.rint(grey * (255.0 / highest)), 0, 255).astype(np.uint8)
    return scaled


def _to_srgb(image: Image, profile: bytes | None) -> Image:
    """RGB or RGBA in sRGB; a profile that is broken or of another kind of colour is ignored."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colour = image.convert({"LA": "L", "RGBA": "RGB"}[image.mode]) if alpha else image
    colour = _apply_profile(colour, profile) if profile or colour.mode == "LAB" else colour
    colour = colour.convert("RGB")
    if alpha is not None:
        colour.putalpha(alpha)
    return colour


def _apply_profile(image: Image, profile: bytes | None) -> Image:
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        opened = source.profile if profile else source
        if "sRGB" in (getattr(opened, "profile_description", None) or "") and image.mode == "RGB":
            return image
        mode = _PROFILE_MODES.get(opened.xcolor_space)
        if mode is None or (mode != image.mode and (image.mode, mode) != ("L", "RGB")):
            return image
        target = ImageCms.createProfile("sRGB")
        done = ImageCms.profileToProfile(image.convert(mode), source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError) as e:
        log.debug("unusable colour profile, ignored: %s", e)
        return image
    return done if done is not None else image


def _opaque(image: Image) -> tuple[Image, bool]:
    """RGB on white, and whether anything was transparent."""
    from PIL import Image as Images

    if image.mode != "RGBA":
        return image, False
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] >= NEARLY_OPAQUE:
        return image.convert("RGB"), False
    flat = Images.new("RGB", image.size, BEHIND)
    flat.paste(image.convert("RGB"), mask=alpha)
    return flat, True
