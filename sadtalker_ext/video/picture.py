"""Reading of pictures, or of one frame of a video, as upright 8-bit sRGB at the working size.

Transparent parts become white, the usual background of cut-out pictures.
"""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.errors import ContainerError, FileRef, MediaError, StalledError
from sadtalker_ext.ffmpeg import require_file
from sadtalker_ext.video.decoded_picture import DecodedPicture, UnsupportedPictureError, by, check_size
from sadtalker_ext.video.heif_boxes import HeifError, read_structure
from sadtalker_ext.video.heif_picture import decode_heif
from sadtalker_ext.video.image_formats import load_optional_readers, reject_documents, reject_text, unknown_format_error
from sadtalker_ext.video.image_limits import check_limits
from sadtalker_ext.video.jxl_picture import SIGNATURES, decode_jxl
from sadtalker_ext.video.picture_colour import flatten, to_srgb
from sadtalker_ext.video.pillow_picture import check_header, decode_with_pillow
from sadtalker_ext.video.read import VideoInfo, probe, read_frames

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Frame, UInt8Array


@dataclass(frozen=True)
class Picture:
    """A picture at the working size.

    pixels: (H, W, 3) uint8 sRGB, upright, C-contiguous.
    original_size_px: (width, height) in the file, upright.
    notes: messages for the user about changes to the picture; usually empty.
    at_s: time of the frame in a video, seconds; None for a picture.
    """

    pixels: UInt8Array
    original_size_px: tuple[int, int]
    notes: tuple[str, ...] = ()
    at_s: float | None = None


def read_picture(path: str | Path, limit_px: int, role: str = "picture", at_s: float = 0.0) -> Picture:
    """Read a picture, or the frame of a video at ``at_s`` seconds, with at most ``limit_px`` on the long side.

    Applies orientation and colour profiles, flattens transparency, and scales samples of other depths to 8 bits.
    MediaError if the file cannot be read or a side is not between 64 and 8192 px; ``role`` is the name of the file in
    the message.
    """
    file = require_file(path, role)
    reject_documents(file, role)
    reject_text(file, role)
    check_limits(file, role)
    ref = FileRef(role, file)
    decoded = _decode_picture(ref)
    if decoded is None:
        return _read_video(ref, limit_px, at_s)
    picture = _to_working_picture(decoded, limit_px)
    unused = (f"The moment of {at_s:g} s is not used: the {role} is not a video.",) if at_s else ()
    return replace(picture, notes=(*picture.notes, *unused))


def check_picture(path: str | Path, role: str = "picture") -> None:
    """Raise MediaError if the header of a file is not that of a picture or video, or states a size that is not allowed.

    Nothing is decoded, so :func:`read_picture` may still find damage.
    """
    file = require_file(path, role)
    reject_documents(file, role)
    reject_text(file, role)
    ref = FileRef(role, file)
    if not _is_heif_or_jxl(file) and not check_header(ref):
        info = _probe_video(ref)
        check_size(ref, (info.width_px, info.height_px))


def _is_heif_or_jxl(file: Path) -> bool:
    """Return whether a file is HEIF or JPEG XL; :func:`read_picture` alone says what is wrong with its parts."""
    try:
        if read_structure(file) is not None:
            return True
    except HeifError:
        return True
    with file.open("rb") as opened:
        return opened.read(16).startswith(SIGNATURES)


def _decode_picture(file: FileRef) -> DecodedPicture | None:
    """Return a picture; None if the file is none of the picture formats.

    HEIC, AVIF and JPEG XL are decoded in the same way with every version of Pillow; its plugins are used for what
    ffmpeg cannot decode.
    """
    try:
        return decode_heif(file) or decode_jxl(file) or decode_with_pillow(file)
    except UnsupportedPictureError:
        load_optional_readers()
        decoded = decode_with_pillow(file)
        if decoded is None:
            raise
        return decoded


def _read_video(file: FileRef, limit_px: int, at_s: float) -> Picture:
    """Return a frame of a video, or a picture that only ffmpeg reads; MediaError if the file is neither."""
    from PIL import Image

    info = _probe_video(file)
    check_size(file, (info.width_px, info.height_px))
    if info.duration_s is None and not info.has_audio:
        with closing(read_frames(file.path, role=file.role)) as frames:
            return _to_working_picture(DecodedPicture(Image.fromarray(next(frames))), limit_px)
    which = f"frame at {at_s:g} s" if at_s else "first frame"
    notes = (f"The {file.role} is a video; its {which} is used.",)
    picture = _to_working_picture(DecodedPicture(Image.fromarray(_frame_at(file, info, at_s)), notes=notes), limit_px)
    return replace(picture, at_s=at_s)


def _frame_at(file: FileRef, info: VideoInfo, at_s: float) -> Frame:
    """Return the frame that is shown at a time; MediaError if the video ends before it."""
    frame_s = 1.0 / info.rate_hz
    if info.duration_s is not None and at_s >= info.duration_s + frame_s:
        raise _too_late(file, info, at_s)
    try:
        with closing(read_frames(file.path, role=file.role, start_s=at_s)) as frames:
            return next(frames)
    except StalledError:
        raise
    except MediaError as e:
        if not at_s:
            raise
        try:  # the last frame begins before its end
            with closing(read_frames(file.path, role=file.role, start_s=max(0.0, at_s - 2 * frame_s))) as frames:
                return deque(frames, maxlen=1)[0]
        except MediaError:
            raise _too_late(file, info, at_s) from e


def _too_late(file: FileRef, info: VideoInfo, at_s: float) -> MediaError:
    length = "" if info.duration_s is None else f" lasts {info.duration_s:.2f} s and"
    return MediaError("The ", file, f"{length} has no picture at {at_s:g} s: choose an earlier moment")


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


def _to_working_picture(decoded: DecodedPicture, limit_px: int) -> Picture:
    """Resize to the working size, convert to sRGB and flatten transparency."""
    image, notes = decoded.image, decoded.notes
    original = image.size
    scale = limit_px / max(original)
    if scale < 1:
        from PIL.Image import Resampling

        size = (max(1, round(original[0] * scale)), max(1, round(original[1] * scale)))
        image = image.resize(size, Resampling.LANCZOS, reducing_gap=3.0)
        notes = (*notes, f"The picture was reduced from {by(original)} to {by(size)} px, the resolution limit.")
    image, transparent = flatten(to_srgb(image, decoded.profile))
    if transparent:
        notes = (*notes, "Transparent parts of the picture were filled with white.")
    return Picture(np.array(image, np.uint8, order="C"), original, notes)
