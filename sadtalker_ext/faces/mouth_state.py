"""What keeps a mouth from being animated: something covers it, or its place is uncertain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sadtalker_ext.faces.mouth_cover import measure_mouth_cover
from sadtalker_ext.faces.partial_cover import COVERED_LOGIT, DRAWN_LOGIT, partial_cover_logit
from sadtalker_ext.puppet.drawing import is_drawing
from sadtalker_ext.puppet.face_geometry import measure_face

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Image
    from sadtalker_ext.faces.networks import FaceNetworks
    from sadtalker_ext.geometry.landmarks import Landmarks

COVERED_MOUTH_NOTE: Final = (
    "The mouth seems to be covered, for example by a mask, a hand or a microphone, or it is no human mouth, and its "
    "lips cannot be animated: choose a picture that shows the mouth of a person."
)
UNCERTAIN_LIPS: Final = 0.01
"""Spread of the lip points, in face heights, from which the mouth may be in the wrong place.

4 of 662 faces in press photographs have more; dogs have 0.008 to 0.013, and drawings 0.003 to 0.024.
"""
UNCERTAIN_LIPS_NOTE: Final = (
    "The place of the mouth is uncertain, as in blurred pictures, animals and some drawings: check the mouth in the "
    "video, or choose a sharp picture of a person."
)


class MouthState(NamedTuple):
    """covered: whether a mask, a hand or an object covers the mouth. notes: sentences for the user."""

    covered: bool
    notes: tuple[str, ...] = ()


def examine_mouth(picture: Image, face: Landmarks, networks: FaceNetworks | None = None) -> MouthState:
    """Return whether the mouth of a face in an RGB picture (H, W, 3) can be animated."""
    if _is_covered(picture, face, networks):
        return MouthState(covered=True, notes=(COVERED_MOUTH_NOTE,))
    if (face.lip_spread or 0.0) > UNCERTAIN_LIPS:
        return MouthState(covered=False, notes=(UNCERTAIN_LIPS_NOTE,))
    return MouthState(covered=False)


def _is_covered(picture: Image, face: Landmarks, networks: FaceNetworks | None) -> bool:
    """Return whether something covers the mouth; a drawn mouth without red lips is no cover by its colours alone."""
    cover = measure_mouth_cover(picture, face)
    if cover.measures is None:
        return False
    if cover.is_covered and not _is_drawn(picture, face):
        return True
    logit = partial_cover_logit(picture, face, networks)
    return logit > DRAWN_LOGIT or (logit > COVERED_LOGIT and not _is_drawn(picture, face))


def _is_drawn(picture: Image, face: Landmarks) -> bool:
    return is_drawing(picture, measure_face(face.mesh), face.mesh)
