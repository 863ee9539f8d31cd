"""Displacement fields: where each part of the skin goes when a shape of the basis acts.

The mouth is a cut: the skin above it (layer UPPER) and below it (layer LOWER) move by different fields, which agree
beyond the mouth corners, so the two layers join there without a seam. Each field is an analytic, smooth function of the
face's own coordinates, hence the same for a photograph, a painting or a drawing. Fields are linear in the *scalars*
returned by :func:`field_scalars`; only the closing of the lips is not linear in the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet.basis import SHAPE_INDEX, SHAPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.puppet.face_geometry import FaceGeometry

    Array = NDArray[np.float64]

UPPER: Final = 0
LOWER: Final = 1
FIELD_NAMES: Final = (
    "jaw", "part_lower", "part_upper", "close_opened", "close_source",
    "pucker", "spread", "smile", "brows_up", "brows_down",
)  # fmt: skip

JAW_DROP: Final = 0.17
"""Fall of the lower lip at jaw_open = 1, in face heights (0.6 mouth widths of an average face)."""
CORNER_SHARE: Final = 0.36
"""How far the mouth corners follow the jaw."""
LIP_DROP: Final = 0.045
LIP_RAISE: Final = 0.038
TUCK_RAISE: Final = 0.30 * LIP_RAISE
"""How far the upper lip lifts in f and v, so that the teeth show on the lower lip."""
TUCK_CLOSES: Final = 0.5
"""Share of whatever the jaw and the lips opened that the lower lip closes when it rises to the teeth in f and v."""
TUCK_LIFT: Final = 0.008
"""How much nearer the lower lip comes to the upper one in f and v, besides rolling in."""
TUCK_ROLL: Final = 0.5
"""Share of the lower lip's thickness that rolls in under the upper teeth."""
CLOSE_UPPER: Final = 0.3
"""Share of a closing gap that the upper lip covers; the lower lip covers the rest."""
OVERLAP: Final = 0.004
"""How much the lips overlap at a complete closure, in face heights, so that no light shows through."""


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Hermite step from 0 at ``low`` to 1 at ``high`` (``low`` may exceed ``high``)."""
    position = np.clip((x - low) / (high - low), 0.0, 1.0)
    step: Array = position * position * (3.0 - 2.0 * position)
    return step


def soft_clamp(value: Array, low: float, high: float, softness: float = 0.12) -> Array:
    """Identity inside [low, high], bending smoothly towards a limit ``softness`` of the range beyond it."""
    span = (high - low) * softness
    above, below = np.maximum(value - high, 0.0), np.maximum(low - value, 0.0)
    clamped: Array = np.clip(value, low, high) + span * (np.tanh(above / span) - np.tanh(below / span))
    return clamped


def clamp_expression(expression: Array) -> Array:
    """(T, E) coefficients softly limited to the range of each shape; :data:`SHAPES` gives the ranges."""
    limited = np.array(expression, dtype=np.float64, copy=True)
    for index, shape in enumerate(SHAPES):
        limited[:, index] = soft_clamp(limited[:, index], shape.low, shape.high)
    hard = [SHAPE_INDEX[name] for name in ("lips_closed", "blink_left", "blink_right", "mouth_neutral")]
    limited[:, hard] = np.clip(limited[:, hard], 0.0, 1.0)
    return limited


def field_scalars(expression: Array, source_gap: float, lower_lip: float) -> Array:
    """(T, E) coefficients -> (T, J) weights of the fields, in :data:`FIELD_NAMES` order.

    source_gap: the source picture's own lip gap in face heights; mouth_neutral removes it, lips_closed removes it
    together with whatever the other shapes opened. lower_lip: thickness of the lower lip in face heights.
    """
    value = {name: expression[:, index] for name, index in SHAPE_INDEX.items()}
    drop = JAW_DROP * value["jaw_open"] + LIP_DROP * value["lower_lip_drop"]
    lower = LIP_DROP * value["lower_lip_drop"] - (TUCK_LIFT + TUCK_ROLL * lower_lip) * value["lip_tuck"]
    upper = LIP_RAISE * value["upper_lip_raise"] + TUCK_RAISE * value["lip_tuck"]
    opened = np.maximum(drop + upper - TUCK_LIFT * value["lip_tuck"], 0.0)
    closed = value["lips_closed"]
    overlap = OVERLAP * smoothstep(0.8, 1.0, closed)
    scalars = {
        "jaw": JAW_DROP * value["jaw_open"],
        "part_lower": lower,
        "part_upper": upper,
        "close_opened": (1.0 - (1.0 - closed) * (1.0 - TUCK_CLOSES * value["lip_tuck"])) * opened + overlap,
        "close_source": 1.0 - (1.0 - closed) * (1.0 - value["mouth_neutral"]) if source_gap > 0.0 else 0.0 * closed,
        "pucker": value["pucker"],
        "spread": value["spread"],
        "smile": value["smile"],
        "brows_up": value["brows_up"],
        "brows_down": value["brows_down"],
    }
    return np.stack([scalars[name] for name in FIELD_NAMES], axis=1)


@dataclass(frozen=True)
class _Place:
    """Coordinates of the grid points: mouth-local, in face heights unless named ``_px``."""

    u: Array
    t_px: Array
    upper: Array  # v above (< 0) or below (> 0) the upper inner lip edge
    lower: Array
    level: Array  # v below the straight line between the corners
    points: Array


def build_fields(face: FaceGeometry, points: Array) -> Array:
    """Displacements in pixels per unit scalar at ``points`` (h, w, 2): (2 layers, J fields, h, w, 2)."""
    mouth, unit = face.mouth, face.height_px
    t, v = mouth.axes.local(points)
    place = _Place(
        u=mouth.normalised(t), t_px=t,
        upper=(v - mouth.upper(t)) / unit, lower=(v - mouth.lower(t)) / unit,
        level=v / unit, points=points,
    )  # fmt: skip
    layers = []
    for layer in (UPPER, LOWER):
        fields = _mouth_fields(face, place, layer)
        fields.update(_brow_fields(face, points))
        layers.append(np.stack([fields[name] for name in FIELD_NAMES]))
    return np.stack(layers)


def _lens(u: Array) -> Array:
    """Opening profile between the corners: 1 in the middle, 0 at the corners and beyond."""
    lens: Array = np.maximum(1.0 - u * u, 0.0) ** 0.9
    return lens


def _vector(face: FaceGeometry, along: Array, down: Array) -> Array:
    """Displacement in face heights along the mouth's axes -> pixels."""
    axes = face.mouth.axes
    vector: Array = (along[..., None] * axes.along + down[..., None] * axes.down) * face.height_px
    return vector


def _jaw(face: FaceGeometry, place: _Place, layer: int) -> Array:
    """Fall per unit of JAW_DROP scalar: the jaw as a whole, the lower lip with it, the upper lip not."""
    chin_level = max(float(face.mouth.axes.local(face.chin)[1]) / face.height_px, 0.12)
    width = 0.5 * face.width_px / face.height_px
    side = np.abs(place.t_px) / face.height_px
    lateral = smoothstep(1.25 * width, 0.45 * width, side)
    neck = smoothstep(chin_level + 0.36, chin_level - 0.01, place.level)
    distance = place.lower if layer == LOWER else place.upper
    bounded = np.maximum(distance, 0.0) if layer == LOWER else np.minimum(distance, 0.0)
    base = np.where(
        bounded < 0.0,
        CORNER_SHARE * smoothstep(-0.16, 0.0, bounded),
        CORNER_SHARE + (1.0 - CORNER_SHARE) * smoothstep(0.0, 0.8 * chin_level, bounded),
    )
    lens = _lens(place.u)
    if layer == LOWER:
        base = base + (1.0 - base) * lens
    else:
        base = base * (1.0 - lens * smoothstep(-0.16, 0.0, bounded) ** 0.5)
    fall: Array = base * lateral * neck
    return fall


def _mouth_fields(face: FaceGeometry, place: _Place, layer: int) -> dict[str, Array]:
    unit = face.height_px
    lens, zero = _lens(place.u), np.zeros_like(place.u)
    is_lower = layer == LOWER
    distance = np.maximum(place.lower, 0.0) if is_lower else np.minimum(place.upper, 0.0)
    near = np.exp(-((distance / (0.10 if is_lower else 0.085)) ** 2))
    source_gap = np.maximum(face.mouth.lower(place.t_px) - face.mouth.upper(place.t_px), 0.0) / unit
    source_gap = source_gap * np.minimum(4.0 * lens, 1.0)
    share = -(1.0 - CLOSE_UPPER) if is_lower else CLOSE_UPPER
    wide = np.exp(-((distance / (0.19 if is_lower else 0.085)) ** 2))
    inward = 0.05 * place.u * np.exp(-((place.u / 1.35) ** 4)) * np.exp(-((place.level / 0.17) ** 2))
    jaw = _jaw(face, place, layer)
    return {
        "jaw": _vector(face, -inward * 0.8, jaw),
        "part_lower": _vector(face, zero, lens * near if is_lower else zero),
        "part_upper": _vector(face, zero, zero if is_lower else -lens * near),
        "close_opened": _vector(face, zero, share * lens * wide),
        "close_source": _vector(face, zero, share * source_gap * wide),
        **_corner_fields(face, place, layer),
    }


def _corner_fields(face: FaceGeometry, place: _Place, layer: int) -> dict[str, Array]:
    """pucker, spread and smile: corners move, lips thicken or thin."""
    half = 0.5 * face.mouth.width_px / face.height_px
    reach = np.exp(-((place.level / 0.16) ** 2))
    ramp = place.u * np.exp(-((np.abs(place.u) / 1.75) ** 3))
    thick = place.lower if layer == LOWER else place.upper
    limit = (face.mouth.lower_thickness_px if layer == LOWER else face.mouth.upper_thickness_px) / face.height_px
    swell = thick * np.exp(-((thick / (1.9 * limit)) ** 2)) * np.exp(-((place.u / 1.1) ** 4))
    corner = np.exp(-(((np.abs(place.u) - 1.08) / 0.62) ** 2)) * np.exp(-(((place.level + 0.02) / 0.15) ** 2))
    cheek = np.exp(-(((np.abs(place.u) - 1.5) / 0.55) ** 2)) * np.exp(-(((place.level + 0.19) / 0.12) ** 2))
    sign = np.tanh(place.u / 0.35)
    return {
        "pucker": _vector(face, -0.36 * half * ramp * reach, 0.34 * swell),
        "spread": _vector(face, 0.24 * half * ramp * reach, -0.16 * swell),
        "smile": _vector(face, 0.028 * sign * corner, -0.038 * corner - 0.010 * cheek),
    }


def _brow_fields(face: FaceGeometry, points: Array) -> dict[str, Array]:
    """Brows: a band that follows both brows, fading into the lids below and the forehead above."""
    unit = face.height_px
    t, v = face.axes.local(points)
    brow_t, brow_v = face.axes.local(face.brows)
    order = np.argsort(brow_t)
    line = np.interp(t, brow_t[order], brow_v[order])
    distance = (v - line) / unit
    band = np.where(distance < 0.0, np.exp(-((distance / 0.13) ** 2)), np.exp(-((distance / 0.042) ** 2)))
    middle = (t - (brow_t.min() + brow_t.max()) / 2.0) / max((brow_t.max() - brow_t.min()) / 2.0, 1.0)
    across = np.exp(-((np.abs(middle) / 1.08) ** 6))
    frown = np.exp(-(((np.abs(middle) - 0.3) / 0.3) ** 2)) * np.sign(middle) * (1.0 - np.exp(-((middle / 0.12) ** 2)))
    rise = np.exp(-(((np.abs(middle) - 0.55) / 0.6) ** 2))
    down, along = face.axes.down, face.axes.along
    up = -0.038 * (band * across * (0.55 + 0.45 * rise))[..., None] * down
    lower = 0.02 * (band * across)[..., None] * down - 0.014 * (band * frown)[..., None] * along
    return {"brows_up": up * unit, "brows_down": lower * unit}
