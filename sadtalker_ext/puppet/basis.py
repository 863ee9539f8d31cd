"""Expression basis of the geometric renderer: 16 named shapes, each zero in the source portrait.

A coefficient is the distance of a shape from the source portrait, so the zero vector reproduces the portrait.
"Left" and "right" are those of the depicted subject, as in ARKit and FACS.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Shape(NamedTuple):
    """One shape of the basis: its name, its range (values beyond are clamped softly) and its meaning."""

    name: str
    low: float
    high: float
    meaning: str


SHAPES: Final = (
    Shape("jaw_open", 0.0, 1.0, "jaw drops; 1 opens the lips by about 0.6 mouth widths"),
    Shape("lips_closed", 0.0, 1.0, "lips meet at any jaw opening; 1 is a complete closure (p b m)"),
    Shape("pucker", 0.0, 1.0, "lips rounded and protruded (u, o, w)"),
    Shape("spread", 0.0, 1.0, "mouth corners pulled sideways (i, e, s)"),
    Shape("lip_tuck", 0.0, 1.0, "lower lip rises under the upper teeth (f, v)"),
    Shape("upper_lip_raise", 0.0, 1.0, "upper lip rises and shows the upper teeth"),
    Shape("lower_lip_drop", 0.0, 1.0, "lower lip drops and shows the lower teeth"),
    Shape("smile", -0.5, 1.0, "mouth corners move up and out; negative values pull them down"),
    Shape("brows_up", 0.0, 1.0, "both brows rise"),
    Shape("brows_down", 0.0, 1.0, "both brows lower and draw together"),
    Shape("blink_left", 0.0, 1.0, "lids of the subject's left eye; 1 is closed"),
    Shape("blink_right", 0.0, 1.0, "lids of the subject's right eye; 1 is closed"),
    Shape("gaze_x", -1.0, 1.0, "both irises move towards the viewer's right"),
    Shape("gaze_y", -1.0, 1.0, "both irises move down"),
    Shape("mouth_neutral", 0.0, 1.0, "closes the portrait's own mouth and relaxes its smile; at 1 lips start closed"),
    Shape("mouth_raise", -0.3, 1.0, "the chin pushes the whole mouth up; negative values lower it"),
)

SHAPE_NAMES: Final = tuple(shape.name for shape in SHAPES)
SHAPE_INDEX: Final = {name: index for index, name in enumerate(SHAPE_NAMES)}
MOUTH_SHAPES: Final = SHAPE_NAMES[: SHAPE_INDEX["smile"] + 1]
MOUTH_COLUMNS: Final = tuple(SHAPE_INDEX[name] for name in (*MOUTH_SHAPES, "mouth_neutral", "mouth_raise"))
"""Columns that move jaw and lips."""
SCALED_COLUMNS: Final = tuple(SHAPE_INDEX[name] for name in (*MOUTH_SHAPES, "mouth_raise", "brows_up", "brows_down"))
"""Columns that the setting ``expression_scale`` multiplies: mouth and brows, but neither lids nor gaze."""
