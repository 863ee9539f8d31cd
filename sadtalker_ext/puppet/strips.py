"""Strips: small textures of the mouth interior, their scale, and the colours they are painted in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array

ACROSS: Final = 1.25
"""Strips span u = -ACROSS to ACROSS in half mouth widths."""
STRIP_WIDTH: Final = 640
"""Texels across a strip."""
TEXELS_PER_HEIGHT: Final = 1600
"""Texels per face height, vertically."""
RGB: Final = slice(0, 3)
ALPHA: Final = slice(3, 4)
"""Channels of a strip."""


@dataclass(frozen=True)
class Palette:
    """Colours of the mouth interior, each (3,) float32 RGB levels 0 to 255.

    rim: of the lips' inner side, which a wide mouth shows; in a drawing, of the line between the lips.
    """

    enamel: Float32Array
    gum: Float32Array
    tongue: Float32Array
    mucosa: Float32Array
    cavity: Float32Array
    rim: Float32Array


@dataclass(frozen=True)
class Strip:
    """A texture (h, w, 4) float32: premultiplied RGB levels, and alpha 0 to 1.

    top: position of the first row in face heights.
    """

    image: Float32Array
    top: float


def strip_axes(height: float) -> tuple[Float32Array, Float32Array]:
    """Return the positions of texel centres: u (1, w) in half mouth widths, depth (h, 1) in face heights.

    height: of the strip, face heights.
    """
    rows = int(height * TEXELS_PER_HEIGHT)
    u = np.linspace(-ACROSS, ACROSS, STRIP_WIDTH, dtype=np.float32)
    depth = (np.arange(rows, dtype=np.float32) + 0.5) / TEXELS_PER_HEIGHT
    return u[None, :], depth[:, None]
