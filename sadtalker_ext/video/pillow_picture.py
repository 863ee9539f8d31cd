"""Decoding of picture files by Pillow, with its exceptions converted to messages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.video.bit_depth import needs_all_bits, read_all_bits, sample_layout, to_eight_bit
from sadtalker_ext.video.decoded_picture import MAX_SIDE_PX, DecodedPicture, UnsupportedPictureError, check_size
from sadtalker_ext.video.image_formats import open_image
from sadtalker_ext.video.image_limits import check_decoder
from sadtalker_ext.video.orientation import TURNED_BY_PILLOW, stated_orientation, tiff_tag, turn_upright

if TYPE_CHECKING:
    from PIL.Image import Image

SUBFILE_TYPE: Final = 254
"""Tag of TIFF files (TIFF 6.0, page 36); bit 0: a reduced version of another picture in the file."""
DNG_VERSION: Final = 50706
PILLOW_ERRORS: Final = (
    OSError, ValueError, SyntaxError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error, EOFError,
    UserWarning,
)  # fmt: skip
"""Exceptions that Pillow's readers raise for damaged files, found by reading files with changed bytes.

UserWarning is raised if the program runs with warnings as errors.
"""


def decode_with_pillow(file: FileRef) -> DecodedPicture | None:
    """Return the first picture of a file; None if it is in none of the formats that Pillow opens here.

    MediaError if it is damaged or too large.
    """
    from PIL import Image

    try:
        with _translate_errors(file), open_image(file.path) as opened:
            check_size(file, opened.size)
            check_decoder(file.path, opened, file.role)
            return _decode(file, opened)
    except Image.UnidentifiedImageError:
        return None


def check_header(file: FileRef) -> bool:
    """Return whether a file begins like a picture that Pillow opens here; MediaError if it is damaged or too large."""
    from PIL import Image

    try:
        with _translate_errors(file), open_image(file.path) as opened:
            check_size(file, opened.size)
    except Image.UnidentifiedImageError:
        return False
    return True


def _decode(file: FileRef, opened: Image) -> DecodedPicture:
    if opened.format == "TIFF":
        _reject_camera_raw(file, opened)
    notes, layout, stored_size = _frame_notes(opened, file.role), sample_layout(opened), _stored_size(opened)
    turned = opened.format in TURNED_BY_PILLOW
    orientation = stated_orientation(opened) if turned else 0
    opened.load()
    orientation = orientation or stated_orientation(opened)
    profile = opened.info.get("icc_profile")
    if needs_all_bits(opened, layout):
        image, depth_notes = read_all_bits(file, stored_size, opened.format or "")
        turned = False
    else:
        image, depth_notes = to_eight_bit(opened, layout, file.role)
    if not turned:
        image = turn_upright(image, orientation)
    return DecodedPicture(image, profile, (*notes, *depth_notes))


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
        reason = e if any(map(str.isalpha, str(e))) else "its data cannot be decoded"  # some errors are numbers
        raise MediaError("The ", file, f" is damaged or incomplete ({reason}): export or download it again") from e
    except MemoryError as e:
        raise MediaError("The ", file, " needs more memory than available: reduce its size") from e


def _reject_camera_raw(file: FileRef, image: Image) -> None:
    """Raise UnsupportedPictureError for raw files of cameras, whose first picture is a small preview."""
    kind = tiff_tag(image, SUBFILE_TYPE)
    with file.path.open("rb") as opened:
        is_cr2 = opened.read(10)[8:] == b"CR"
    if tiff_tag(image, DNG_VERSION) is not None or is_cr2 or (isinstance(kind, int) and kind & 1):
        raise UnsupportedPictureError(
            "The ", file, " is a raw file of a camera, or contains only a preview: export the picture as JPEG or PNG"
        )


def _stored_size(image: Image) -> tuple[int, int]:
    """Return (width, height) before a turn; Pillow 11 and newer state the size of a TIFF file after it."""
    size: tuple[int, int] = image.size
    if image.format != "TIFF":
        return size
    width, height = tiff_tag(image, 256), tiff_tag(image, 257)
    return (width, height) if isinstance(width, int) and isinstance(height, int) else size


def _frame_notes(image: Image, role: str) -> tuple[str, ...]:
    """Return a note that the first picture of an animation or multi-page file is used; MPO previews need none."""
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return ()
    return (f"The {role} contains several images; the first is used.",)
