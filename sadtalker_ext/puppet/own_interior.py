"""Where the pixels of an open mouth show the interior that the portrait itself has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

OWN_BEGIN: Final = 0.014
"""Distance below the upper lip's place, face heights at most, at which the own teeth begin when the upper lip rises:
the lip's own shadow, which the portrait has there, would become a dark line between lip and teeth."""
_OWN_STAYS: Final = 0.5
"""Position along the lips, half mouth widths, up to which the own interior does not follow the mouth corners."""


def own_across(face: FaceGeometry, skull_t: Float64Array, lip_t: Float64Array) -> Float64Array:
    """Return the positions (h, w) along the mouth of the own interior: its sides follow the mouth corners.

    skull_t, lip_t: (h, w) positions in the skull and along the upper lip, pixels.
    """
    side = np.abs(face.mouth.normalised(lip_t))
    share = np.clip((side - _OWN_STAYS) / (1.0 - _OWN_STAYS), 0.0, 1.0)
    across: Float64Array = skull_t + share * (lip_t - skull_t)
    return across


def own_down(
    face: FaceGeometry, place: tuple[Float64Array, Float64Array], from_upper_px: Float64Array, teeth_end: float
) -> Float64Array:
    """Return the positions (h, w) across the mouth of the own interior, stretched up to an upper lip that has risen.

    The picture has no teeth behind its upper lip, and no painted ones may show above its own. Their lower end stays.
    Teeth that fill the gap down to the lower lip are not stretched: the face tracker would follow the lips less well.

    place: (h, w) positions along and across the mouth, pixels. from_upper_px: (h, w) distance below the edge of the
    upper lip as it is now. teeth_end: see :class:`~sadtalker_ext.puppet.mouth_colours.OwnTeeth`.
    """
    mouth, (t, v) = face.mouth, place
    below = v - mouth.upper(t)
    end = np.clip(mouth.lower(t) - mouth.upper(t), 0.0, teeth_end * face.height_px)
    risen = np.maximum(from_upper_px - below, 0.0)
    begin = np.minimum(np.minimum(risen, OWN_BEGIN * face.height_px), 0.5 * end)
    down: Float64Array = v + np.maximum(end - below, 0.0) * (risen + begin) / np.maximum(risen + end, 1.0)
    return down
