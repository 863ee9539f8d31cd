"""Conversion of tracked lips, which LipMotion predicts, to the coefficients of a portrait's lips.

LipMotion learned lips that a face tracker measured in videos. The tracker underestimates the distance of the puppet's
lips a little, and changes of the width more (medians of eleven portraits whose lips moved by known amounts). How far
the lips of one portrait move is computed from its landmarks and the fields of the renderer. What the tracker sees of
the opening differs much more between portraits, by 0.03 at small openings: teeth are taken for the lip's edge, or a
dark gap for a seam. How much it sees of the width differs too, from half a change to all of it, and in some portraits
the tracked width grows as the mouth opens. ``lip_calibration.py`` therefore measures both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.puppet.expression_fields import FIELD_NAMES, JAW_DROP, LOWER, UPPER, build_fields

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

OUTER_EYE_CORNERS: Final = (33, 263)
UPPER_POINTS, LOWER_POINTS = (13, 82, 312), (14, 87, 317)
"""Mesh points between which ``geometry.measures.mouth_opening`` measures."""
TRACKED_WIDTH_SHARE: Final = 0.88
"""Share of a change of the width that the tracker sees, where it was not measured."""
COMPENSATED_RISE: Final = 0.3
"""Share of :attr:`LipResponse.width_rise` that the commanded width compensates. With the whole of it, r of the width
would be larger in 22 recordings that were not learned, but smaller in 43 others: the tracked width of real lips grows
with the opening too, and rendered frames of one width differ from those of a video."""
MISSED_OPENING: Final = 0.007
"""Part of the opening that the tracker misses, in eye distances: 0.001 to 0.022 in the medians, negative in portraits
with a wide smile; smaller openings are missed by half."""
JAW_OPENING_RANGE: Final = (0.2, 0.45)
"""Limits of :attr:`LipResponse.jaw_opening`: 0.25 to 0.34 in twelve portraits; eyes of turned faces lie closer."""
LARGEST_OPENING: Final = 1.0
"""Largest opening, in eye distances; more comes from errors of the tracker."""


class TrackedOpenings(NamedTuple):
    """Openings that the tracker sees of one portrait's lips.

    commanded: (N,) openings from 0 to 1, ascending. widths: (W,) of the mouth, ascending, two or more. seen: (W, N) in
    eye distances, ascending along N, from what is seen of closed lips: 0, or more in mouths that seem to be open.
    """

    commanded: Float32Array
    widths: Float32Array
    seen: Float32Array

    def invert(self, seen: Float32Array, width: Float32Array | float) -> Float32Array:
        """Return the openings (T,) that are seen as ``seen`` (T,) in mouths of ``width``, (T,) or for all."""
        by_width = np.stack([np.interp(seen, row, self.commanded) for row in self.seen])
        place = np.interp(np.broadcast_to(width, seen.shape), self.widths, np.arange(len(self.widths)))
        low = np.minimum(place.astype(np.intp), len(self.widths) - 2)
        share, frames = place - low, np.arange(len(seen))
        mixed = by_width[low, frames] * (1.0 - share) + by_width[low + 1, frames] * share
        return np.asarray(mixed, np.float32)


@dataclass(frozen=True)
class LipResponse:
    """Movement of a portrait's lips; the defaults are those of an average portrait.

    jaw_opening: distance of the inner lips at ``jaw_open`` = 1, in distances of the outer eye corners. excess_width:
    see :attr:`~sadtalker_ext.puppet.face_geometry.MouthFrame.excess_width`. openings: what the tracker sees of the
    openings, None where it was not measured. width_share: of a change of the width that it sees. width_rise: growth of
    the tracked width, relative to the mouth at rest, when the lips open by one distance of the outer eye corners.
    """

    jaw_opening: float = 0.29
    excess_width: float = 0.0
    openings: TrackedOpenings | None = None
    width_share: float = TRACKED_WIDTH_SHARE
    width_rise: float = 0.0

    def opening_for(self, tracked: Float32Array, width: Float32Array | float = 1.0) -> Float32Array:
        """Return the opening (T,), 1 at ``jaw_open`` = 1, that is tracked as ``tracked`` (T,) eye distances.

        width: (T,) of the mouth at these openings, as :meth:`width_for` returns it, or one for all.
        """
        seen = np.clip(tracked, 0.0, LARGEST_OPENING)
        if self.openings is not None:
            return self.openings.invert(seen, width)
        return np.asarray((seen + np.minimum(seen, MISSED_OPENING)) / self.jaw_opening, np.float32)

    def width_for(self, tracked: Float32Array, opened: Float32Array | float = 0.0) -> Float32Array:
        """Return the width (T,) that is tracked as ``tracked`` (T,); both are relative to the mouth at rest.

        opened: tracked opening minus that of average speech, (T,) or for all, in distances of the outer eye corners.
        """
        change = tracked - 1.0 - COMPENSATED_RISE * self.width_rise * opened
        return np.asarray(1.0 + change / self.width_share, np.float32)


def measure_lip_response(face: FaceGeometry, mesh: Float32Array) -> LipResponse:
    """Return the response of a portrait from where the renderer's fields move its landmarks.

    mesh: (478, 3) in the pixels of ``face``.
    """
    points = mesh[:, :2].astype(np.float64)
    jaw = FIELD_NAMES.index("jaw")
    lower, upper = (
        build_fields(face, points[list(chosen), None])[layer, jaw, :, 0] @ face.mouth.axes.down
        for chosen, layer in ((LOWER_POINTS, LOWER), (UPPER_POINTS, UPPER))
    )
    eyes_px = float(np.hypot(*(points[OUTER_EYE_CORNERS[1]] - points[OUTER_EYE_CORNERS[0]])))
    opening = JAW_DROP * float(np.mean(lower - upper)) / max(eyes_px, 1.0)
    return LipResponse(float(np.clip(opening, *JAW_OPENING_RANGE)), face.mouth.excess_width)
