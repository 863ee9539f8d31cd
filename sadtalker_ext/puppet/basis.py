"""The expression basis of the puppet: named shapes, each zero in the source picture.

Coefficients say how far a shape moves away from the source picture, so a zero vector is the picture itself.
Left and right are the person's own, as in ARKit and FACS tables.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Shape(NamedTuple):
    """One shape of the basis with its allowed range (values beyond are clamped softly)."""

    name: str
    low: float
    high: float
    meaning: str


SHAPES: Final = (
    Shape("jaw_open", 0.0, 1.0, "jaw drops; 1 opens the lips by about 0.6 of the mouth width"),
    Shape("lips_closed", 0.0, 1.0, "lips meet whatever the jaw does; 1 is a complete closure (p b m)"),
    Shape("pucker", 0.0, 1.0, "lips rounded and protruded (u, o, w)"),
    Shape("spread", 0.0, 1.0, "mouth corners pulled sideways (i, e, s)"),
    Shape("lip_tuck", 0.0, 1.0, "lower lip rises under the upper teeth (f, v)"),
    Shape("upper_lip_raise", 0.0, 1.0, "upper lip lifts and shows the upper teeth"),
    Shape("lower_lip_drop", 0.0, 1.0, "lower lip falls and shows the lower teeth"),
    Shape("smile", -0.5, 1.0, "mouth corners up and out; negative pulls them down"),
    Shape("brows_up", 0.0, 1.0, "both brows rise"),
    Shape("brows_down", 0.0, 1.0, "both brows lower and draw together"),
    Shape("blink_left", 0.0, 1.0, "lids of the person's left eye; 1 is closed"),
    Shape("blink_right", 0.0, 1.0, "lids of the person's right eye; 1 is closed"),
    Shape("gaze_x", -1.0, 1.0, "both irises towards the viewer's right"),
    Shape("gaze_y", -1.0, 1.0, "both irises down"),
    Shape("mouth_neutral", 0.0, 1.0, "the picture's own mouth opening is taken away: at 1 the lips start closed"),
)

SHAPE_NAMES: Final = tuple(shape.name for shape in SHAPES)
SHAPE_INDEX: Final = {name: index for index, name in enumerate(SHAPE_NAMES)}
MOUTH_SHAPES: Final = SHAPE_NAMES[:8]
SCALED_COLUMNS: Final = tuple(SHAPE_INDEX[name] for name in (*MOUTH_SHAPES, "brows_up", "brows_down"))
"""What the expression scale applies to: mouth and brows, not lids and gaze."""
