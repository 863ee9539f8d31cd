"""Conversion of pictures with samples of any depth to 8 bits per channel.

Pillow keeps 16 bits of grey pictures only; of colour it keeps the upper byte. Scanners and cameras store 10 or 12 bits
in 16-bit files, whose upper byte has 2 to 4 bits left: these files are decoded again by ffmpeg, with all bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.errors import FileRef
from sadtalker_ext.video.read import read_deep_picture

if TYPE_CHECKING:
    from PIL.Image import Image

    from sadtalker_ext.arrays import UInt8Array

FULL_RANGES: Final = (255, 1023, 4095)
"""Highest values of samples of 8, 10 and 12 bits.

A 16-bit picture below 4096 has at most 6 % of full brightness everywhere, so its samples have fewer bits. 14 bits are
not among them: a dark 16-bit picture may stay below 16384.
"""
KEPT_OF_TWELVE_BITS: Final = 16
"""Highest value that Pillow keeps of 12-bit values in 16-bit samples: 4095 / 257, rounded up by some readers."""
_MODES: Final = {
    "1": "L", "P": "RGBA", "PA": "RGBA", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA", "YCbCr": "RGB", "HSV": "RGB",
}  # fmt: skip
"""Conversion of Pillow modes that cannot be displayed or resized directly."""
_GREY_FACTORS: Final = {"1": 255, "L;2": 85, "L;4": 17}
"""Factor between samples of these layouts and their 8-bit values."""


def sample_layout(image: Image) -> str:
    """Return Pillow's name of the layout of samples in an opened, not yet loaded file, such as ``RGB;16B``."""
    arguments = image.tile[0][3] if image.tile else ""
    if image.tile and image.tile[0][0] == "ppm" and arguments[-1] == 65535:
        return f"{arguments[0]};16B"
    found = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return found if isinstance(found, str) else ""


def needs_all_bits(image: Image, layout: str) -> bool:
    """Return whether the 8 bits that Pillow kept of a loaded 16-bit colour picture are not enough."""
    if ";16" not in layout or image.mode not in ("RGB", "RGBA") or image.format not in ("PNG", "TIFF", "PPM"):
        return False
    highest = max(high for _, high in image.convert("RGB").getextrema())
    return isinstance(image.info.get("transparency"), tuple) or highest <= KEPT_OF_TWELVE_BITS


def read_all_bits(file: FileRef, size: tuple[int, int], form: str) -> tuple[Image, list[str]]:
    """Return a 16-bit colour picture as RGBA with 8 bits, not turned upright, and notes for the user.

    size: (width, height) as stored. form: Pillow's name of the format.
    """
    from PIL import Image as Images

    values = read_deep_picture(file.path, file.role, size, form)
    colour, full = scale_to_bytes(values[..., :3], 65535)
    alpha, _ = scale_to_bytes(values[..., 3:], 65535)
    return Images.fromarray(np.concatenate([colour, alpha], axis=2), "RGBA"), _depth_notes(file.role, full)


def to_eight_bit(image: Image, layout: str, role: str) -> tuple[Image, list[str]]:
    """Convert a loaded picture to one of L, LA, RGB, RGBA, CMYK, LAB with 8 bits; return it and notes for the user."""
    from PIL import Image as Images

    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        full = 1.0 if image.mode == "F" else 65535.0
        grey, full = scale_to_bytes(values, full)
        converted = Images.fromarray(grey)
        hidden = image.info.get("transparency")
        if isinstance(hidden, int):
            converted.putalpha(Images.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
        return converted, _depth_notes(role, full) if image.mode != "F" else []
    hidden = image.info.get("transparency")
    if isinstance(hidden, int) and layout in _GREY_FACTORS and image.mode in ("1", "L"):
        grey_image = image.convert("L")
        shown = grey_image.point([255 * (level != hidden * _GREY_FACTORS[layout]) for level in range(256)])
        grey_image.info.pop("transparency", None)
        grey_image.putalpha(shown)
        return grey_image, []
    if image.mode in ("L", "RGB", "P") and hidden is not None:
        return image.convert("RGBA"), []
    if image.mode == "P":
        return image.convert(getattr(image.palette, "mode", "RGB") if _has_alpha_palette(image) else "RGB"), []
    return image.convert(_MODES[image.mode]) if image.mode in _MODES else image, []


def _has_alpha_palette(image: Image) -> bool:
    return getattr(image.palette, "mode", "") == "RGBA"


def scale_to_bytes(values: NDArray[np.generic], full: float) -> tuple[UInt8Array, float]:
    """Scale values from 0 .. ``full`` to 0 .. 255; return them and the highest value that was assumed.

    It is one of :data:`FULL_RANGES` for integers that use no more, and the maximum of the picture if that exceeds
    ``full``.
    """
    numbers = values if values.dtype == np.uint16 else np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    highest = float(numbers.max(initial=0))
    if full > FULL_RANGES[-1] and highest > 0:
        full = next((float(limit) for limit in FULL_RANGES if highest <= limit), full)
    full = max(full, highest)
    if values.dtype == np.uint16:  # a table needs no floats as large as the picture
        table: UInt8Array = np.clip(np.rint(np.arange(1 << 16) * (255.0 / full)), 0, 255).astype(np.uint8)
        return table[numbers], full
    scaled: UInt8Array = np.clip(np.rint(numbers.astype(np.float32) * (255.0 / full)), 0, 255).astype(np.uint8)
    return scaled, full


def _depth_notes(role: str, full: float) -> list[str]:
    if full not in FULL_RANGES:
        return []
    bits = int(full).bit_length()
    return [f"The {role} stores {bits}-bit values in 16-bit samples; they were scaled to full brightness."]
