"""Conversion of decoded pictures to opaque sRGB: colour profiles, and transparency on white."""

from __future__ import annotations

import logging
from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

BACKGROUND: Final = (255, 255, 255)
"""Colour behind transparent parts."""
OPAQUE_ALPHA: Final = 250
"""Alpha values from here on count as opaque: programs that resize or blend leave single values of 254."""
_PROFILE_MODES: Final = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}


def to_srgb(image: Image, profile: bytes | None) -> Image:
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


def flatten(image: Image) -> tuple[Image, bool]:
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
