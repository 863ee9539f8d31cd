"""Reading of pictures, or of the first frame of a video, as upright 8-bit sRGB at the working size.

Transparent parts become white, the usual background of cut-out pictures.
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

from sadtalker_ext.errors import ContainerError, FileRef, MediaError, StalledError
from sadtalker_ext.ffmpeg import require_file
from sadtalker_ext.video.image_formats import open_image, reject_documents, reject_text, unknown_format_error
from sadtalker_ext.video.image_limits import check_decoder, check_limits
from sadtalker_ext.video.read import VideoInfo, probe, read_frames

if TYPE_CHECKING:
    from PIL.Image import Image

    from sadtalker_ext.arrays import UInt8Array

log = logging.getLogger(__name__)

MIN_SIDE_PX = 64
MAX_SIDE_PX = 8192
BACKGROUND = (255, 255, 255)
"""Colour behind transparent parts."""
OPAQUE_ALPHA = 250
"""Alpha values from here on count as opaque: programs that resize or blend leave single values of 254."""
_MODES = {
    "1": "L", "P": "RGBA", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA", "YCbCr": "RGB", "HSV": "RGB",
}  # fmt: skip
"""Conversion of Pillow modes that cannot be displayed or resized directly."""
_PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
PILLOW_ERRORS = (
    OSError, ValueError, SyntaxError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error, EOFError,
    UserWarning,
)  # fmt: skip
"""Exceptions that Pillow's readers raise for damaged files, found by reading files with changed bytes.

UserWarning is raised if the program runs with warnings as errors.
"""
MAX_EXIF_BYTES = 1 << 22
"""Cameras write up to 1 MB; Pillow creates a Python number for each value."""


@dataclass(frozen=True)
class Picture:
    """A picture at the working size.

    pixels: (H, W, 3) uint8 sRGB, upright, C-contiguous.
    original_size_px: (width, height) in the file, upright.
    notes: messages for the user about changes to the picture; usually empty.
    """

    pixels: UInt8Array
    original_size_px: tuple[int, int]
    notes: tuple[str, ...] = ()


def read_picture(path: str | Path, limit_px: int, role: str = "picture") -> Picture:
    """Read a picture, or the first frame of a video, with at most ``limit_px`` on the long side.

    Applies EXIF orientation and colour profiles, flattens transparency, and scales 16-bit and float values to 8 bits.
    MediaError if the file cannot be read or a side is not between 64 and 8192 px; ``role`` is the name of the file in
    the message.
    """
    from PIL import Image

    file = require_file(path, role)
    ref = FileRef(role, file)
    reject_documents(file, role)
    reject_text(file, role)
    check_limits(file, role)
    try:
        with _translate_errors(ref), open_image(file) as opened:
            _check_size(ref, opened.size)
            check_decoder(file, opened, role)
            notes = _frame_notes(opened, role)
            opened.load()
            image = _rotate_upright(opened)
    except Image.UnidentifiedImageError:
        info = _probe_video(ref)
        _check_size(ref, (info.width_px, info.height_px))
        moving = info.duration_s is not None or info.has_audio
        notes = [f"The {role} is a video; its first frame is used."] if moving else []
        with closing(read_frames(file, role=role)) as frames:
            image = Image.fromarray(next(frames))
    return _to_working_picture(image, limit_px, notes)


@contextmanager
def _translate_errors(file: FileRef) -> Iterator[None]:
    """Raise MediaError for Pillow's errors about damaged or hostile files; unknown formats are left to the caller."""
    from PIL import Image

    try:
        yield
    except Image.UnidentifiedImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise MediaError("The ", file, f" is larger than {MAX_SIDE_PX} px on a side: reduce its size") from e
    except PILLOW_ERRORS as e:
        raise MediaError("The ", file, f" is damaged or incomplete ({e}): export or download it again") from e
    except MemoryError as e:
        raise MediaError("The ", file, " needs more memory than available: reduce its size") from e


def _check_size(file: FileRef, size_px: tuple[int, int]) -> None:
    size = f" has {_by(size_px)} px"
    if max(size_px) > MAX_SIDE_PX:
        raise MediaError("The ", file, size, f", more than {MAX_SIDE_PX} px on a side: reduce its size")
    if min(size_px) < MIN_SIDE_PX:
        raise MediaError("The ", file, size, f", less than {MIN_SIDE_PX} px on a side: choose a larger one")


def _frame_notes(image: Image, role: str) -> list[str]:
    """Return a note that the first picture of an animation or multi-page file is used; MPO previews need none."""
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return []
    return [f"The {role} contains several images; the first is used."]


def _probe_video(file: FileRef) -> VideoInfo:
    """Return the streams of a file that Pillow does not open; MediaError if it is not a video either."""
    try:
        info = probe(file.path, file.role)
    except StalledError:
        raise
    except ContainerError as e:
        raise MediaError(
            "The ", file, " is not a picture or video that can be read; playlists and stream descriptions, which name "
            "other files, are not read: save it as PNG or JPEG",
        ) from e  # fmt: skip
    except MediaError as e:
        raise unknown_format_error(file.path, file.role) from e
    if not info.has_video:
        raise unknown_format_error(file.path, file.role)
    return info


def _rotate_upright(image: Image) -> Image:
    """Apply the EXIF orientation."""
    from PIL import ImageOps

    if len(image.info.get("exif", b"")) > MAX_EXIF_BYTES:
        log.debug("EXIF data of unusual size; orientation ignored")
        return image
    try:
        rotated: Image = ImageOps.exif_transpose(image)
    except PILLOW_ERRORS as e:
        log.debug("unreadable EXIF data; orientation ignored: %s", e)
        return image
    return rotated


def _to_working_picture(image: Image, limit_px: int, notes: list[str]) -> Picture:
    """Resize to the working size, convert to sRGB and flatten transparency."""
    original = image.size
    profile = image.info.get("icc_profile")
    image = _to_eight_bit(image)
    scale = limit_px / max(original)
    if scale < 1:
        from PIL.Image import Resampling

        size = (max(1, round(original[0] * scale)), max(1, round(original[1] * scale)))
        image = image.resize(size, Resampling.LANCZOS, reducing_gap=3.0)
        notes = [*notes, f"The picture was reduced from {_by(original)} to {_by(size)} px, the resolution limit."]
    image, transparent = _flatten(_to_srgb(image, profile))
    if transparent:
        notes = [*notes, "Transparent parts of the picture were filled with white."]
    return Picture(np.array(image, np.uint8, order="C"), original, tuple(notes))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _to_eight_bit(image: Image) -> Image:
    """Convert to one of L, LA, RGB, RGBA, CMYK, LAB with 8 bits per channel."""
    from PIL import Image as Images

    if image.mode.startswith(("I", "F")):
        return Images.fromarray(_to_bytes(np.asarray(image), image.mode))
    if image.mode in ("L", "RGB", "P") and "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "P":
        return image.convert("RGB")
    return image.convert(_MODES[image.mode]) if image.mode in _MODES else image


def _to_bytes(values: NDArray[np.generic], mode: str) -> UInt8Array:
    """Scale grey values of more than 8 bits to 0 .. 255.

    The source range is 16 bits for modes I;16 and I (as which 16-bit PNG files open) and 0 .. 1 for floats; if a value
    exceeds it, the maximum of the picture.
    """
    grey = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    highest = max(1.0 if mode == "F" else 65535.0, float(grey.max(initial=0.0)))
    scaled: UInt8Array = np.clip(np.rint(grey * (255.0 / highest)), 0, 255).astype(np.uint8)
    return scaled


def _to_srgb(image: Image, profile: bytes | None) -> Image:
    """Convert to RGB or RGBA in sRGB; a broken profile or one for another colour space is ignored."""
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
        log.debug("unusable colour profile ignored: %s", e)
        return image
    return done if done is not None else image


def _flatten(image: Image) -> tuple[Image, bool]:
    """Return the picture in RGB on white, and whether anything was transparent."""
    from PIL import Image as Images

    if image.mode != "RGBA":
        return image, False
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] >= OPAQUE_ALPHA:
        return image.convert("RGB"), False
    flat = Images.new("RGB", image.size, BACKGROUND)
    flat.paste(image.convert("RGB"), mask=alpha)
    return flat, True
