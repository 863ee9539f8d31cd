"""Whether something covers a part of the mouth: a hand over a corner, a microphone, a scarf up to the lower lip.

:mod:`sadtalker_ext.faces.mouth_cover` measures whether there is a mouth at all; here a network looks for the cover.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sadtalker_ext.faces.face_crop import ImagePyramid, crop_around_mesh
from sadtalker_ext.faces.networks import face_networks

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Image
    from sadtalker_ext.faces.networks import FaceNetworks
    from sadtalker_ext.geometry.landmarks import Landmarks

COVERED_LOGIT: Final = 3.0
"""Mean log odds of the views from which a mouth in a photograph, a painting or a rendering counts as partly covered.

Of 234 of them with a free mouth none scores more than 2.6; of 922 drawn covers of 15 % of the lips or more, on
portraits that the network was not trained on, 86 % score more than the limit.
"""
DRAWN_LOGIT: Final = 9.0
"""The same in a drawing, whose mouth may be a spot of colour: in anime, open mouths score up to 7.6."""
VIEWS: Final = ((-0.015, 0.97, 0.03, False), (0.015, 1.03, -0.03, True), (0.0, 1.0, 0.0, False), (0.0, 1.0, 0.0, True))
"""Shift downwards as a fraction of the crop, scale, rotation (rad) and mirroring of the views."""


def partial_cover_logit(picture: Image, face: Landmarks, networks: FaceNetworks | None = None) -> float:
    """Return the mean log odds that something covers a part of the mouth of a face in an RGB picture (H, W, 3)."""
    pyramid, base = ImagePyramid(picture), crop_around_mesh(face.mesh)
    crops = [pyramid.cut(base.jittered((0.0, down), scale, turn, flip)) for down, scale, turn, flip in VIEWS]
    return float((networks or face_networks()).mouth_cover(crops).mean())
