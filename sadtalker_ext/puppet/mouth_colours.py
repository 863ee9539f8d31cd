"""Colours of the mouth interior, estimated from the portrait: from its own teeth, its light and its lips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.strips import Palette

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.puppet.curves import Axes
    from sadtalker_ext.puppet.face_geometry import FaceGeometry

_LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma (ITU-R BT.601)."""
_MIN_LEVEL: Final = 1.0
"""Smallest level (0 to 255) by which colours are divided."""

# Where the portrait's own teeth are looked for and what counts as teeth.
_GAP_WIDTH: Final = 0.7
_GAP_COLUMNS: Final = 49
"""Reach of the sampled mouth gap to both sides, in half mouth widths, and its samples."""
_GAP_FROM: Final = 0.15
_GAP_TO: Final = 0.75
_GAP_ROWS: Final = 13
"""Rows of the sampled gap, as shares of the way from the upper to the lower lip: where upper teeth show."""
_LIP_DEPTH: Final = 0.5
"""Where the lip's colour is sampled for comparison, as a share of the lower lip's thickness."""
_BRIGHTER_THAN_LIP: Final = 1.12
"""Pixels with this many times the lip's luma are teeth whatever their hue."""
_NEARLY_AS_BRIGHT: Final = 0.8
_LESS_RED: Final = 0.55
"""Pixels with this many times the lip's luma are teeth if their redness is below this many times the lip's."""
_TEETH_FROM: Final = 0.25
_TEETH_RANGE: Final = 0.3
"""Share of tooth pixels up to which the portrait shows no teeth, and how much more means that it shows only teeth."""
_ROW_WIDTH: Final = 0.45
_ROW_COLUMNS: Final = 31
_ROWS: Final = 31
"""Reach to both sides (half mouth widths), columns and rows of the samples in which the upper teeth are found."""
_ROW_IS_TEETH: Final = 0.5
_ROW_IS_DARK: Final = 0.2
"""Share of tooth pixels from which a row shows teeth, and below which it shows what is between both rows of teeth."""
_MIN_HEIGHT: Final = 0.02
"""Smallest height of the upper teeth, face heights, of which a mouth is said to show the teeth above a gap."""
_TEETH_PERCENTILE: Final = 75
"""Percentile of the tooth pixels that is the colour of the enamel: in the light, but not a highlight."""


class _Patch(NamedTuple):
    """Samples across the mouth: reach to both sides in half mouth widths, and their number."""

    width: float
    columns: int


_LIP: Final = _Patch(0.6, 25)
_LIP_MIDDLE: Final = 0.45
"""Height of the lip patch below the lip edge, as a share of the lower lip's thickness."""
_SKIN: Final = _Patch(1.5, 31)
_SKIN_TOP: Final = -0.22
_SKIN_BOTTOM: Final = -0.05
_SKIN_ROWS: Final = 9
"""Rows of the skin patch below the mouth line (negative is above), in face heights: nose and cheeks."""
_LIGHT_PERCENTILE: Final = 80
"""Percentile of the skin patch that stands for the light on the face."""
_SCLERA: Final = _Patch(0.85, 61)
"""Samples across an eye, in half eye widths."""
_SCLERA_FROM: Final = 0.3
_SCLERA_TO: Final = 0.8
_SCLERA_ROWS: Final = 9
"""Rows sampled between the lids, as shares of the way from the upper to the lower one: below the lashes' shadow."""
_BESIDE_IRIS: Final = 1.2
"""Smallest distance from the iris' centre, in iris radii."""
_SCLERA_PERCENTILE: Final = 60
"""Percentile of the luma from which on samples belong to the eyes' whites; darker ones are lashes and shadow."""

_ENAMEL_RGB: Final = (1.0, 0.965, 0.90)
"""Colour of enamel in white light: slightly yellow."""
_ENAMEL_TINT: Final = 0.5
"""Share of the light's colour in the enamel. The eyes' whites or the skin show it; both are redder than the light."""
_BRIGHTER_THAN_SKIN: Final = 1.06
_BRIGHTER_THAN_SCLERA: Final = 1.02
"""Brightness of enamel relative to the brightest skin and to the eyes' whites, whichever gives more."""
_ENAMEL_LEVEL: Final = 226.0
"""Largest luma of the painted enamel: white paper has 255."""
_ENAMEL_MAX: Final = 245.0
"""Largest level of the painted enamel in a channel."""
_PAINTED_SHARE: Final = 0.2
"""Share of the painted enamel where the portrait shows its own teeth; the rest is their colour."""
_FLESH_OF_LIP_RGB: Final = (1.06, 0.94, 0.94)
_FLESH_OF_SKIN_RGB: Final = (0.80, 0.46, 0.46)
_FLESH_LIP_SHARE: Final = 0.5
"""Gains of the lip's and of the bright skin's colour that give the flesh inside the mouth, and the lip's share in it.
Lips alone mislead: they may be painted, or hidden by a beard."""
_GUM_RGB: Final = (0.86, 0.72, 0.72)
_TONGUE_RGB: Final = (0.84, 0.66, 0.66)
_MUCOSA_RGB: Final = (0.68, 0.49, 0.49)
_CAVITY_RGB: Final = (0.26, 0.155, 0.155)
"""Gain of the flesh's colour for gums, tongue, the inner side of lips and cheeks, and the throat."""
_RIM_RGB: Final = (0.56, 0.44, 0.44)
"""Gain of the lip's colour for its inner side, which is in the lip's shadow."""


class OwnTeeth(NamedTuple):
    """Teeth that the portrait shows.

    amount: how much the gap, or the part of it in which the upper teeth are, shows teeth, 0 to 1. colour: their RGB
    (3,), or None. end: distance of the end of the upper teeth below the upper lip, face heights, where more is seen
    below them than a lip, or None.
    """

    amount: float
    colour: Float32Array | None
    end: float | None


NO_TEETH: Final = OwnTeeth(0.0, None, None)


def visible_teeth(picture: Image, face: FaceGeometry) -> OwnTeeth:
    """Return the teeth between the lips of a face."""
    if not face.mouth_is_open:
        return NO_TEETH
    inside, span = gap_levels(picture, face), _upper_teeth(picture, face)
    if span is not None:
        inside = _between_lips(picture, face, (_ROW_WIDTH, _ROW_COLUMNS), np.linspace(*span, _GAP_ROWS))
    teeth = _are_teeth(picture, face, inside)
    amount = float(np.clip((teeth.mean() - _TEETH_FROM) / _TEETH_RANGE, 0.0, 1.0))
    if amount == 0.0:
        return NO_TEETH
    colour = np.percentile(inside[teeth], _TEETH_PERCENTILE, axis=0).astype(np.float32)
    return OwnTeeth(amount, colour, None if span is None else span[1] * _mean_gap(face))


def _upper_teeth(picture: Image, face: FaceGeometry) -> tuple[float, float] | None:
    """Return where upper teeth begin and end above a gap, as shares of the way between the lips, or None."""
    share = np.linspace(0.0, 1.0, _ROWS)
    levels = _between_lips(picture, face, (_ROW_WIDTH, _ROW_COLUMNS), share)
    shown = _are_teeth(picture, face, levels).mean(axis=1)
    if shown.max() < _ROW_IS_TEETH:
        return None
    begin = int(np.argmax(shown >= _ROW_IS_TEETH))
    below = begin + np.flatnonzero(shown[begin:] < _ROW_IS_DARK)
    if len(below) == 0:
        return None
    end = begin + int(np.argmax(shown[begin:] < _ROW_IS_TEETH))
    found = float(share[begin]), float(share[end - 1] + share[end]) / 2.0
    return found if (found[1] - found[0]) * _mean_gap(face) > _MIN_HEIGHT else None


def _mean_gap(face: FaceGeometry) -> float:
    """Return the mean distance of the lips, face heights, where the upper teeth are searched."""
    mouth = face.mouth
    t = np.linspace(-_ROW_WIDTH * mouth.left_px, _ROW_WIDTH * mouth.right_px, _ROW_COLUMNS)
    return float(np.mean(mouth.lower(t) - mouth.upper(t))) / face.height_px


def _are_teeth(picture: Image, face: FaceGeometry, levels: Float32Array) -> NDArray[np.bool_]:
    """Return which of the RGB levels (rows, columns, 3) are those of teeth."""
    mouth = face.mouth
    t = np.linspace(-_GAP_WIDTH * mouth.left_px, _GAP_WIDTH * mouth.right_px, _GAP_COLUMNS)
    lip = _sample(picture, mouth.axes, t[None, :], mouth.lower(t[None, :]) + _LIP_DEPTH * mouth.lower_thickness_px)
    luma_weights = np.array(_LUMA, np.float32)
    luma, lip_luma = levels @ luma_weights, float(np.median(lip @ luma_weights))
    redness = (levels[..., 0] - levels[..., 2]) / np.maximum(luma, _MIN_LEVEL)
    lip_level = np.maximum(lip @ np.full(3, 1 / 3, np.float32), _MIN_LEVEL)
    lip_redness = float(np.median((lip[:, 0] - lip[:, 2]) / lip_level))
    pale = (luma > _NEARLY_AS_BRIGHT * lip_luma) & (redness < _LESS_RED * lip_redness)
    teeth: NDArray[np.bool_] = (luma > _BRIGHTER_THAN_LIP * lip_luma) | pale
    return teeth


def gap_levels(picture: Image, face: FaceGeometry) -> Float32Array:
    """Return the RGB levels (rows, columns, 3) between the lips of an open mouth, where upper teeth would show."""
    rows = np.linspace(_GAP_FROM, _GAP_TO, _GAP_ROWS)
    return _between_lips(picture, face, (_GAP_WIDTH, _GAP_COLUMNS), rows)


def _between_lips(picture: Image, face: FaceGeometry, columns: tuple[float, int], share: Float64Array) -> Float32Array:
    """Return the RGB levels (rows, columns, 3) at the shares (rows,) of the way from the upper to the lower lip.

    columns: their reach to both sides, in half mouth widths, and their number.
    """
    mouth, (width, count) = face.mouth, columns
    grid_t: Float64Array
    grid_t, grid_share = np.meshgrid(np.linspace(-width * mouth.left_px, width * mouth.right_px, count), share)
    rows: Float64Array = np.add(mouth.upper(grid_t) * (1.0 - grid_share), mouth.lower(grid_t) * grid_share)
    return _sample(picture, mouth.axes, grid_t, rows).reshape(*grid_t.shape, 3)


def estimate_palette(picture: Image, face: FaceGeometry, teeth_colour: Float32Array | None) -> Palette:
    """Return the interior's colours from the light on this face (its brightest skin) and its lips.

    teeth_colour: RGB (3,) of the portrait's own teeth, or None where it shows none.
    """
    mouth = face.mouth
    t = np.linspace(-_LIP.width * mouth.left_px, _LIP.width * mouth.right_px, _LIP.columns)[None, :]
    lip = np.median(_sample(picture, mouth.axes, t, mouth.lower(t) + _LIP_MIDDLE * mouth.lower_thickness_px), axis=0)
    skin = skin_light(picture, face)
    of_lip, of_skin = lip * np.array(_FLESH_OF_LIP_RGB), skin * np.array(_FLESH_OF_SKIN_RGB)
    flesh = _FLESH_LIP_SHARE * of_lip + (1.0 - _FLESH_LIP_SHARE) * of_skin
    enamel = _painted_enamel(skin, _sclera(picture, face))
    if teeth_colour is not None:
        enamel = _PAINTED_SHARE * enamel + (1.0 - _PAINTED_SHARE) * teeth_colour
    return Palette(
        enamel=enamel.astype(np.float32),
        gum=(flesh * np.array(_GUM_RGB)).astype(np.float32),
        tongue=(flesh * np.array(_TONGUE_RGB)).astype(np.float32),
        mucosa=(flesh * np.array(_MUCOSA_RGB)).astype(np.float32),
        cavity=(flesh * np.array(_CAVITY_RGB)).astype(np.float32),
        rim=(lip * np.array(_RIM_RGB)).astype(np.float32),
    )


def skin_light(picture: Image, face: FaceGeometry) -> Float64Array:
    """Return the RGB levels (3,) of bright skin around the nose."""
    mouth = face.mouth
    across = np.linspace(-_SKIN.width * mouth.left_px, _SKIN.width * mouth.right_px, _SKIN.columns)[None, :]
    rows = np.linspace(_SKIN_TOP, _SKIN_BOTTOM, _SKIN_ROWS)[:, None] * face.height_px
    light: Float64Array = np.percentile(_sample(picture, mouth.axes, across, rows), _LIGHT_PERCENTILE, axis=0)
    return light


def _sclera(picture: Image, face: FaceGeometry) -> Float64Array:
    """Return the RGB levels (3,) of the brighter part of the eyes' whites, at the sides of the irises."""
    found = []
    for eye in (face.left_eye, face.right_eye):
        across = np.linspace(-_SCLERA.width, _SCLERA.width, _SCLERA.columns) * eye.half_px
        t, share = np.meshgrid(across, np.linspace(_SCLERA_FROM, _SCLERA_TO, _SCLERA_ROWS))
        v: Float64Array = np.add(eye.upper(t) * (1.0 - share), eye.lower(t) * share)
        levels = _sample(picture, eye.axes, t, v)
        beside = np.hypot(t - eye.iris.t_px, v - eye.iris.v_px).ravel() > _BESIDE_IRIS * eye.iris.radius_px
        found.append(levels[beside] if beside.any() else levels)
    levels = np.concatenate(found)
    luma = levels @ np.array(_LUMA, np.float32)
    sclera: Float64Array = np.median(levels[luma >= np.percentile(luma, _SCLERA_PERCENTILE)], axis=0).astype(np.float64)
    return sclera


def _painted_enamel(skin: Float64Array, sclera: Float64Array) -> Float64Array:
    """Return the enamel's RGB levels (3,) for those of bright skin and of the eyes' whites, each (3,)."""
    luma = np.array(_LUMA)
    tints = [light / max(float(light @ luma), _MIN_LEVEL) for light in (skin, sclera)]
    tint = min(tints, key=lambda colour: float(np.ptp(colour)))
    white = np.array(_ENAMEL_RGB) * ((1.0 - _ENAMEL_TINT) + _ENAMEL_TINT * tint)
    level = max(_BRIGHTER_THAN_SKIN * float(skin @ luma), _BRIGHTER_THAN_SCLERA * float(sclera @ luma))
    enamel: Float64Array = np.clip(white / float(white @ luma) * min(level, _ENAMEL_LEVEL), 0.0, _ENAMEL_MAX)
    return enamel


def _sample(picture: Image, axes: Axes, t: Float64Array, v: Float64Array) -> Float32Array:
    """Return the picture's levels (N, 3) at the local coordinates ``t`` and ``v`` in pixels, which broadcast."""
    where = axes.pixels(*np.broadcast_arrays(t, v)).astype(np.float32)
    found = cv2.remap(picture, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.astype(np.float32).reshape(-1, 3)
