"""The part of the mouth that depends on the portrait alone: textures and colours of its interior."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.drawn_mouth import drawn_palette, drawn_tongue, no_teeth
from sadtalker_ext.puppet.mouth_colours import NO_TEETH, estimate_palette, visible_teeth
from sadtalker_ext.puppet.mouth_seam import dark_bands
from sadtalker_ext.puppet.strips import TEXELS_PER_HEIGHT
from sadtalker_ext.puppet.teeth import lower_teeth, upper_teeth
from sadtalker_ext.puppet.tongue import tongue

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Image
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.imaging import Imaging, Texture
    from sadtalker_ext.puppet.strips import Palette, Strip

_TEXELS_PER_PIXEL: Final = 1.5
"""Vertical texels of a strip per pixel of the portrait, at most: more would alias."""
_MIN_STRIP_ROWS: Final = 8
_MIN_STRIP_COLUMNS: Final = 24
"""Smallest size of a strip, texels, for tiny faces."""
_LIP_EDGE_PX: Final = 0.9
_MIN_LIP_EDGE: Final = 0.0035
"""Half width of the lips' soft edges in pixels of the portrait, and its minimum in face heights."""

_MIN_LINE: Final = 0.004
"""Smallest width of a drawing's line at the lips, face heights."""
_LINE_REACH: Final = 0.012
"""Distance from the seam of closed lips, face heights, within which a drawing's line between them is: it is rough."""
_UPPER_EDGE: Final = 0.014
"""Distance of the upper teeth's edge below the upper lip, face heights: what parted lips at rest show. It is 1.9 mm in
men and 3.4 mm in women (Vig and Brundo 1978, "The kinetics of anterior tooth display"); the mean, in a face of 185 mm.
With more, every small opening of speech is filled with teeth; those of real speakers show a dark gap below them."""
_OWN_TEETH_SHARE: Final = 0.8
"""Share of the lip gap that the upper teeth fill in a portrait that shows its teeth."""


@dataclass(frozen=True)
class Mouth:
    """Interior of one portrait's mouth.

    visible_teeth, own_teeth_end: amount and end of the teeth that the portrait shows, see
    :class:`~sadtalker_ext.puppet.mouth_colours.OwnTeeth`. gap: lip gap of the portrait, face heights. edge: half width
    of the lips' soft edges, face heights. teeth_scale: half widths of a relaxed mouth per half width
    of this one: teeth have the size of the face, whatever the lips do. upper_edge: distance of the upper teeth's edge
    below the upper lip of the portrait, face heights. dark_bands: heights of the seam's shadow on the upper and the
    lower lip, face heights, which parted lips do not show; 0 in a drawing of an open mouth, which keeps its outlines.
    shading: strength of the shadows, 0 in drawings. line: width of the line that is painted at the edges of a drawing's
    lips when they part, in place of the drawn one between them, which would be torn into two ragged parts; face
    heights, 0 in photographs.
    """

    upper_teeth: Texture
    lower_teeth: Texture
    tongue: Texture
    palette: Palette
    visible_teeth: float
    own_teeth_end: float | None
    gap: float
    edge: float
    teeth_scale: float
    upper_edge: float
    dark_bands: tuple[float, float]
    shading: float
    line: float


def build_mouth(picture: Image, face: FaceGeometry, imaging: Imaging, *, drawn: bool = False) -> Mouth:
    """Return the mouth of a face whose seam is refined: estimate the colours and paint the strips.

    drawn: whether the portrait is a drawing, whose interior has flat colours and no teeth.
    """
    own = NO_TEETH if drawn else visible_teeth(picture, face)
    palette = drawn_palette(picture, face) if drawn else estimate_palette(picture, face, own.colour)
    unit = face.height_px
    teeth = no_teeth() if drawn else _faded(upper_teeth(palette), 0.0 if own.end is None else own.amount)
    own_height = _OWN_TEETH_SHARE * face.mouth.gap_px / unit if own.end is None else own.end
    scale = min(1.0, _TEXELS_PER_PIXEL * unit / TEXELS_PER_HEIGHT)
    bands, closed = dark_bands(picture, face), not face.mouth_is_open
    return Mouth(
        upper_teeth=_strip_texture(teeth, scale, imaging),
        lower_teeth=_strip_texture(no_teeth() if drawn else lower_teeth(palette), scale, imaging),
        tongue=_strip_texture(drawn_tongue(palette) if drawn else tongue(palette), scale, imaging),
        palette=palette,
        visible_teeth=own.amount,
        own_teeth_end=own.end,
        gap=face.mouth.gap_px / unit,
        edge=max(_LIP_EDGE_PX / unit, _MIN_LIP_EDGE),
        teeth_scale=1.0 + face.mouth.excess_width,
        upper_edge=_UPPER_EDGE + own.amount * max(own_height - _UPPER_EDGE, 0.0),
        dark_bands=((_LINE_REACH,) * 2 if closed else (0.0, 0.0)) if drawn else bands,
        shading=0.0 if drawn else 1.0,
        line=max(*bands, _MIN_LINE) if drawn and closed else 0.0,
    )


def _faded(strip: Strip, share: float) -> Strip:
    """Return the strip without this share of it: where the portrait's own teeth show, no painted ones may."""
    return replace(strip, image=(strip.image * (1.0 - share)).astype(np.float32))


def _strip_texture(strip: Strip, scale: float, imaging: Imaging) -> Texture:
    """Return the strip, resized by ``scale``, as a texture of the backend."""
    rows, columns = strip.image.shape[:2]
    scaled_rows = max(_MIN_STRIP_ROWS, round(rows * scale))
    size = (max(_MIN_STRIP_COLUMNS, round(columns * scale)), scaled_rows)
    image = cv2.resize(strip.image, size, interpolation=cv2.INTER_AREA)
    return imaging.texture(image, origin=(0.0, strip.top), scale=scaled_rows / rows)
