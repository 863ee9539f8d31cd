"""The orientation that a picture file states, for every format that Pillow opens.

TIFF states it in a separate tag, and every supported version of Pillow turns the pixels while it decodes them (9.5
keeps the tag, newer versions remove it). JPEG, MPO, PNG, WebP and AVIF state it in EXIF data, and Pillow leaves the
pixels as they are. XMP data is not used, as in browsers: programs that write it there store upright pixels.
"""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

log = logging.getLogger(__name__)

TURNED_BY_PILLOW: Final = ("TIFF",)
ORIENTATION_TAG: Final = 0x112
MAX_EXIF_BYTES: Final = 1 << 22
"""Cameras write up to 1 MB; Pillow creates a Python number for each value."""
_XMP_ENTRIES: Final = ("XML:com.adobe.xmp", "xmp")
"""Where Pillow's ``getexif`` also looks for an orientation."""
_EXIF_ERRORS: Final = (
    OSError, ValueError, SyntaxError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error,
    UserWarning,
)  # fmt: skip
"""Exceptions of Pillow for damaged EXIF data."""


def stated_orientation(image: Image) -> int:
    """Return the orientation of a picture, 1 to 8 as in EXIF; 1 if the file states none, or the data is damaged.

    Call it before ``load`` for TIFF and after ``load`` for other formats (PNG may store EXIF data at the end).
    """
    try:
        value = tiff_tag(image, ORIENTATION_TAG) if image.format == "TIFF" else _exif_orientation(image)
    except _EXIF_ERRORS as e:
        log.debug("unreadable EXIF data; orientation ignored: %s", e)
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def tiff_tag(image: Image, tag: int) -> object:
    """Return the value of a tag of an opened TIFF file; None if it is missing."""
    tags: Mapping[int, object] = image.tag_v2  # of TiffImageFile
    return tags.get(tag)


def _exif_orientation(image: Image) -> object:
    if len(image.info.get("exif", b"")) > MAX_EXIF_BYTES:
        log.debug("EXIF data of unusual size; orientation ignored")
        return 1
    for name in _XMP_ENTRIES:
        image.info.pop(name, None)
    return image.getexif().get(ORIENTATION_TAG)


def turn_upright(image: Image, orientation: int) -> Image:
    """Return the picture after the turn or reflection that an orientation states; ``info`` is kept."""
    from PIL.Image import Transpose

    methods = {
        2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90,
    }  # fmt: skip
    return image.transpose(methods[orientation]) if orientation in methods else image
