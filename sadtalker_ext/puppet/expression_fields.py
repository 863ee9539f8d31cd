"""Displacement fields of the face skin, and their weights for given expression coefficients.

The mouth is a cut: the skin above it (layer UPPER) and below it (layer LOWER) move by different fields. Both agree
beyond the mouth corners, so the two layers join there without a seam. Each field is an analytic, smooth function of the
face's own coordinates, hence the same for a photograph, a painting or a drawing. Displacements are linear in the field
weights that :func:`field_weights` returns; closing the lips is not linear in the coefficients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet.basis import SHAPE_INDEX, SHAPES
from sadtalker_ext.puppet.brow_fields import brow_fields
from sadtalker_ext.puppet.mouth_fields import UPPER_LIP_CLOSES, MouthPlace, mouth_fields
from sadtalker_ext.puppet.profiles import smooth_ramp, soft_clamp

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

UPPER: Final = 0
LOWER: Final = 1
FIELD_NAMES: Final = (
    "jaw", "jaw_wide", "part_lower", "part_upper", "close_opened", "close_source",
    "pucker", "spread", "smile", "mouth_raise", "brows_up", "brows_down",
)  # fmt: skip
MOUTH_FIELDS: Final = tuple(index for index, name in enumerate(FIELD_NAMES) if not name.startswith("brows"))
"""Indices of the fields that move the lips."""

JAW_DROP: Final = 0.17
"""Drop of the lower lip at jaw_open = 1, in face heights (0.6 mouth widths of an average face)."""
LIP_DROP: Final = 0.045
"""Drop of the lower lip at lower_lip_drop = 1, in face heights."""
LIP_RAISE: Final = 0.038
"""Rise of the upper lip at upper_lip_raise = 1, in face heights."""
MOUTH_RAISE: Final = 0.04
"""Rise of the mouth at mouth_raise = 1, in face heights."""
TUCK_RAISE: Final = 0.30 * LIP_RAISE
"""Rise of the upper lip in f and v, in face heights, so that the teeth show on the lower lip."""
TUCK_CLOSES: Final = 0.5
"""Share of the opening by jaw and lips that the lower lip closes when it rises to the teeth in f and v."""
_TUCK_KEEPS: Final = UPPER_LIP_CLOSES / (1.0 - UPPER_LIP_CLOSES)
"""Rise of the upper lip that keeps it in place, per opening that the lower lip closes: a closing field moves both."""
TUCK_LIFT: Final = 0.008
"""Rise of the lower lip towards the upper one in f and v, in face heights, in addition to rolling in."""
TUCK_ROLL: Final = 0.5
"""Share of the lower lip's thickness that rolls in under the upper teeth."""
JAW_NARROWS: Final = 0.5
"""Inward travel of the mouth corners at jaw_open = 1, in units of spread = 1. Real mouths narrow only when they open
wide; in speech their width is nearly independent of the opening."""
WIDE_NARROWS: Final = 1.6
"""What a portrait with a wide mouth adds to that travel, per unit of :attr:`~MouthFrame.excess_width`."""
JAW_RELAXES_SMILE: Final = 0.35
"""Share of a smile that is lost at jaw_open = 1: the cheeks cannot stretch in both directions."""
NEUTRAL_NARROWS: Final = 1.8
NEUTRAL_LOWERS: Final = 1.0
"""Inward travel of the corners in units of spread = 1, and decrease of the smile, at mouth_neutral = 1, per unit of
:attr:`~MouthFrame.excess_width`: speakers keep about two thirds of the width of their smile."""
WIDE_LOWERS: Final = 1.5
"""Decrease of the smile at jaw_open = 1 per unit of :attr:`~MouthFrame.excess_width` that mouth_neutral leaves."""
_NARROWS_FROM: Final = 0.3
"""Value of jaw_open at which the mouth begins to narrow."""
_ROUNDS: Final = (0.5, 1.0)
"""Values of jaw_open at which the sides of the opening begin to become rounder, and at which they are round."""
OVERLAP: Final = 0.004
"""Overlap of the lips at a complete closure, in face heights, so that no gap shows between them."""
_OVERLAP_FROM: Final = 0.8
"""Value of lips_closed at which the overlap begins, so that lips that only come close do not overlap."""
EXPRESSION_SOFTNESS: Final = 0.12
"""Distance from a shape's range to the limit of its coefficient, as a share of the range."""
_LOW: Final = np.array([shape.low for shape in SHAPES])
_HIGH: Final = np.array([shape.high for shape in SHAPES])
_HARD_LIMITED: Final = tuple(
    SHAPE_INDEX[name] for name in ("lips_closed", "blink_left", "blink_right", "mouth_neutral")
)
"""Columns that end exactly at 0 and 1: lips and lids cannot close more than completely."""


def clamp_expression(expression: Float64Array) -> Float64Array:
    """Return coefficients (T, E) limited softly to the range of each shape in :data:`SHAPES`."""
    limited = soft_clamp(np.asarray(expression, np.float64), _LOW, _HIGH, EXPRESSION_SOFTNESS)
    hard = list(_HARD_LIMITED)
    limited[:, hard] = np.clip(limited[:, hard], 0.0, 1.0)
    return limited


def field_weights(
    expression: Float64Array, source_gap: float, lower_lip: float, excess_width: float = 0.0
) -> Float64Array:
    """Return the weights (T, J) of the fields, in :data:`FIELD_NAMES` order, for coefficients (T, E).

    source_gap: lip gap of the source portrait in face heights; mouth_neutral removes it, and lips_closed removes it
    together with the opening by other shapes. lower_lip: thickness of the lower lip in face heights. excess_width: see
    :attr:`~sadtalker_ext.puppet.face_geometry.MouthFrame.excess_width`; mouth_neutral removes a part of it.
    """
    value = {name: expression[:, index] for name, index in SHAPE_INDEX.items()}
    drop = JAW_DROP * value["jaw_open"] + LIP_DROP * value["lower_lip_drop"]
    lower = LIP_DROP * value["lower_lip_drop"] - (TUCK_LIFT + TUCK_ROLL * lower_lip) * value["lip_tuck"]
    upper = LIP_RAISE * value["upper_lip_raise"] + TUCK_RAISE * value["lip_tuck"]
    opened = np.maximum(drop + upper - TUCK_LIFT * value["lip_tuck"], 0.0)
    closed = value["lips_closed"]
    tuck_closes = (1.0 - closed) * TUCK_CLOSES * value["lip_tuck"]
    rise = np.minimum(_TUCK_KEEPS * tuck_closes * np.maximum(drop, 0.0), np.maximum(LIP_RAISE - upper, 0.0))
    wide_open = jaw_is_wide(value["jaw_open"])
    relaxed = value["mouth_neutral"] * excess_width
    narrowing = (JAW_NARROWS + WIDE_NARROWS * excess_width) * wide_open + NEUTRAL_NARROWS * relaxed
    lowers = WIDE_LOWERS * (1.0 - value["mouth_neutral"]) * excess_width * wide_open
    overlap = OVERLAP * smooth_ramp(closed, _OVERLAP_FROM, 1.0)
    weights = {
        "jaw": JAW_DROP * value["jaw_open"],
        "jaw_wide": JAW_DROP * value["jaw_open"] * smooth_ramp(value["jaw_open"], *_ROUNDS),
        "part_lower": lower,
        "part_upper": upper + rise,
        "close_opened": (closed + tuck_closes) * opened + rise + overlap,
        "close_source": 1.0 - (1.0 - closed) * (1.0 - value["mouth_neutral"]) if source_gap > 0.0 else 0.0 * closed,
        "pucker": value["pucker"],
        "spread": value["spread"] - narrowing,
        "smile": value["smile"] * (1.0 - JAW_RELAXES_SMILE * wide_open) - NEUTRAL_LOWERS * relaxed - lowers,
        "mouth_raise": MOUTH_RAISE * value["mouth_raise"],
        "brows_up": value["brows_up"],
        "brows_down": value["brows_down"],
    }
    return np.stack([weights[name] for name in FIELD_NAMES], axis=1)


def jaw_is_wide(jaw_open: Float64Array) -> Float64Array:
    """Return the share (T,) of :data:`JAW_NARROWS` by which the corners come in at ``jaw_open`` (T,)."""
    return smooth_ramp(jaw_open, _NARROWS_FROM, 1.0)


def build_fields(face: FaceGeometry, points: Float64Array) -> Float64Array:
    """Return the displacements, in pixels per unit weight, at ``points`` (h, w, 2): (2 layers, J fields, h, w, 2)."""
    place = MouthPlace.measure(face, points)
    brows = brow_fields(face, points)
    layers = []
    for layer in (UPPER, LOWER):
        fields = {**mouth_fields(face, place, below=layer == LOWER), **brows}
        layers.append(np.stack([fields[name] for name in FIELD_NAMES]))
    return np.stack(layers)
