"""Morph targets of the face mesh and their weights.

The targets have the names of the shapes of the expression basis. Displacements are linear in the weights of
:func:`target_weights`; these are not linear in the coefficients, because ``lips_closed`` closes the mouth whatever else
opens it. Programs such as Blender and Unity limit weights to 0 to 1, so that the gaze and the corners of the mouth have
a target for each direction, and ``lip_tuck`` contains the rise of both lips. Within the ranges of the basis, weights
are from 0 to 1.

Of two targets for opposite directions, one has the weight 0. Old versions of Babylon.js, whose shaders have room for 13
targets of a mesh, leave such targets out. The sides of a wide mouth become rounder, and the mouth rises, only where at
most 12 other targets of the face move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.puppet.basis import MOUTH_COLUMNS, SHAPE_INDEX
from sadtalker_ext.puppet.expression_fields import (
    EXPRESSION_SOFTNESS,
    FIELD_NAMES,
    JAW_DROP,
    LIP_DROP,
    LIP_RAISE,
    MOUTH_RAISE,
    OVERLAP,
    TUCK_LIFT,
    TUCK_RAISE,
    TUCK_ROLL,
    clamp_expression,
    field_weights,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.rig import Rig


class FieldTarget(NamedTuple):
    """A morph target that is a displacement field of the skin: its name, the field, and the field's weight at 1.

    Of a field with two targets, the other has a negative scale.
    """

    name: str
    field: str
    scale: float


WIDEST_OPENING: Final = JAW_DROP + LIP_DROP + LIP_RAISE + TUCK_RAISE + OVERLAP
"""Opening of the lips by all shapes at once, in face heights, with the overlap that closes them tightly."""
BROWS_LIMIT: Final = 1.0 + EXPRESSION_SOFTNESS
"""Largest coefficient of the brows: accents on top of slow movements go beyond 1."""
HIGHEST_MOUTH: Final = 1.16
LOWEST_MOUTH: Final = 0.46
"""Largest coefficients of mouth_raise up and down: its range of -0.3 to 1 and what :data:`EXPRESSION_SOFTNESS` adds."""
NARROWEST: Final = 2.0
LOWEST: Final = 1.1
"""Largest travel of the corners inwards and down, in units of spread = 1 and smile = 1: of a broad smile in the
portrait that closes with the jaw wide open."""
FIELD_TARGETS: Final = (
    FieldTarget("jaw_open", "jaw", JAW_DROP),
    FieldTarget("lower_lip_drop", "part_lower", LIP_DROP),
    FieldTarget("upper_lip_raise", "part_upper", LIP_RAISE),
    FieldTarget("lips_closed", "close_opened", WIDEST_OPENING),
    FieldTarget("mouth_neutral", "close_source", 1.0),
    FieldTarget("pucker", "pucker", 1.0),
    FieldTarget("spread", "spread", 1.0),
    FieldTarget("narrow", "spread", -NARROWEST),
    FieldTarget("smile", "smile", 1.0),
    FieldTarget("frown", "smile", -LOWEST),
    FieldTarget("mouth_raise", "mouth_raise", HIGHEST_MOUTH * MOUTH_RAISE),
    FieldTarget("mouth_lower", "mouth_raise", -LOWEST_MOUTH * MOUTH_RAISE),
    FieldTarget("brows_up", "brows_up", BROWS_LIMIT),
    FieldTarget("brows_down", "brows_down", BROWS_LIMIT),
    FieldTarget("jaw_wide", "jaw_wide", JAW_DROP),
)
PAIRED: Final = ("spread", "narrow", "smile", "frown", "mouth_raise", "mouth_lower")
"""Targets of fields whose weights have both signs."""
LEFT_OUT: Final = (("mouth_raise", "mouth_lower"), ("jaw_wide",))
MOST_AT_ONCE: Final = 13
"""Largest number of targets of the face that move at once. Those of :data:`LEFT_OUT` are left out of more, the first
ones first."""
LOWER_LIP, UPPER_LIP, TUCK = "lower_lip_drop", "upper_lip_raise", "lip_tuck"
"""Targets that move the lower lip down and the upper lip up, and the one that raises both and rolls the lower in."""
ROUNDING: Final = 1e-12
"""Weights of both lips below this are rounding of differences that are 0; negative ones are out of range elsewhere."""
GAZE_TARGETS: Final = {
    "look_left": (1.0, 0.0),
    "look_right": (-1.0, 0.0),
    "look_down": (0.0, 1.0),
    "look_up": (0.0, -1.0),
}
"""Targets of the gaze, and the gaze (x, y) at weight 1; left and right are the subject's, as in ``blink_left``."""
EYE_TARGETS: Final = ("blink_left", "blink_right", *GAZE_TARGETS)
TARGET_NAMES: Final = (*(target.name for target in FIELD_TARGETS), TUCK, *EYE_TARGETS)
"""Names of all targets in the order of their weights."""


def target_weights(rig: Rig, expression: Float32Array) -> Float32Array:
    """Return the weights (T, K) of the targets for coefficients (T, E) of the expression basis."""
    limited = clamp_expression(np.asarray(expression, np.float64))
    if rig.mouth_covered:
        limited[:, list(MOUTH_COLUMNS)] = 0.0
    mouth = rig.face.mouth
    lower_lip = mouth.lower_thickness_px / rig.face.height_px
    fields = field_weights(limited, rig.mouth.gap, lower_lip, mouth.excess_width)
    columns = {target.name: fields[:, FIELD_NAMES.index(target.field)] / target.scale for target in FIELD_TARGETS}
    columns |= {name: np.maximum(columns[name], 0.0) for name in PAIRED}
    columns |= {name: limited[:, SHAPE_INDEX[name]] for name in (TUCK, "blink_left", "blink_right")}
    for lip in (LOWER_LIP, UPPER_LIP):
        others = columns[lip] - in_tuck(rig)[lip] * columns[TUCK]
        columns[lip] = np.where(np.abs(others) < ROUNDING, 0.0, others)
    optional = [name for names in LEFT_OUT for name in names]
    moving = np.count_nonzero([values for name, values in columns.items() if name not in optional], axis=0)
    for names in reversed(LEFT_OUT):
        columns |= {name: np.where(moving < MOST_AT_ONCE, columns[name], 0.0) for name in names}
        moving += np.count_nonzero([columns[name] for name in names], axis=0)
    gaze = limited[:, [SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"]]]
    columns |= {name: np.maximum(gaze @ np.array(direction), 0.0) for name, direction in GAZE_TARGETS.items()}
    weights: Float32Array = np.stack([columns[name] for name in TARGET_NAMES], axis=1).astype(np.float32)
    return weights


def in_tuck(rig: Rig) -> dict[str, float]:
    """Return the weights of :data:`LOWER_LIP` and :data:`UPPER_LIP` that :data:`TUCK` contains at weight 1."""
    lower_lip = rig.face.mouth.lower_thickness_px / rig.face.height_px
    return {LOWER_LIP: -(TUCK_LIFT + TUCK_ROLL * lower_lip) / LIP_DROP, UPPER_LIP: TUCK_RAISE / LIP_RAISE}


def skin_displacements(rig: Rig, points: Float64Array, below: NDArray[np.bool_]) -> dict[str, Float64Array]:
    """Return the displacement (N, 2) in pixels at weight 1 of each target that moves the skin.

    points: (N, 2) pixels. below: (N,) whether a point belongs to the skin below the mouth. The fields are read from the
    rig, as the renderer of the portrait does, so that both move alike.
    """
    at = points[:, None].astype(np.float32)
    moved = {}
    for target in FIELD_TARGETS:
        upper, lower = rig.fields[FIELD_NAMES.index(target.field)].astype(np.float32)
        layers = [rig.face_grid.sample(np.ascontiguousarray(layer), at)[:, 0] for layer in (upper, lower)]
        moved[target.name] = target.scale * np.where(below[:, None], layers[1], layers[0]).astype(np.float64)
    return moved
