"""Glasses: rims, which stay where they are while the lids move beneath them, and dark lenses, which hide the eye."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet.drawn_eyes import skin_distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image
    from sadtalker_ext.puppet.face_geometry import EyeFrame

_RIM_WIDTH: Final = 0.6
"""Largest thickness of a rim, in half eye widths."""
_DARKER: Final = 0.18
_BLACK: Final = 0.3
"""How much darker than its surroundings a thin rim is, and how bright a thick one, relative to the skin."""
_BRIDGE_SHARE: Final = 0.08
"""Gaps in a rim, in half eye widths, that are closed: highlights."""
_SMALLEST_EYE_PX: Final = 6.0
"""Half width of an eye, in pixels, below which a rim is thinner than a pixel."""
_SMALLEST_LENS: Final = 1.5
_LARGEST_LENS: Final = 20.0
"""Area that a lens has, in squares of half eye widths; less is the eye's own outline, more is the face."""
_LARGEST_RIM: Final = 18.0
"""Area that a rim has at most, in squares of half eye widths; dark areas of wrinkles and shadows are larger."""
_SOFT_PX: Final = 0.8
"""Standard deviation of the mask's soft edge, in pixels."""
_GROW_SHARE: Final = 0.05
"""Growth of the mask beyond the dark pixels, in half eye widths: the rim's blurred edge and its shadow."""
LINE_COLOUR: Final = 18.0
"""Distance from the flat colour of drawn skin (CIE Lab) above which a pixel is a line, hair or a rim."""

_LENS_REACH: Final = (1.1, 0.8)
"""Half the width and half the height, in half eye widths, of the part around an eye that a dark lens covers."""
_CHEEK_FROM, _CHEEK_TO = 3.0, 4.2
"""Distances below an eye, in half eye widths, between which the cheek is free of glasses."""
_DARK_LENS, _OTHER_LENS = 0.3, 0.7
"""Brightness, relative to the cheek, below which nearly all of a dark lens is, and of the other one, which may reflect
light; lids and the white of an eye are brighter."""
_DARK_PERCENT: Final = 90.0
_MOST_PERCENT: Final = 60.0
_DARK_MOST: Final = 0.25
"""Percentiles of the brightness that stand for nearly all and for most, and the brightness of most of a dark lens; that
of 256 faces without one was at least 0.37."""
_SAMPLES: Final = 15


class RimMask(NamedTuple):
    """How much each pixel (h, w) is a rim, 0 to 1, and the pixel (x, y) of the picture at which the mask begins."""

    share: Float32Array
    origin: tuple[float, float]


def lens_brightness(picture: Image, frame: EyeFrame) -> float:
    """Return the brightness of nearly all around an eye of a picture (H, W, 3), relative to the cheek below it.

    Where most of it is darker than any eye, the rest are reflections of a dark lens and not counted.
    """
    (across, up), steps = _LENS_REACH, np.linspace(-1.0, 1.0, _SAMPLES)
    lens = _brightness(picture, frame, across * steps, up * steps)
    cheek = _brightness(picture, frame, 0.5 * steps, np.linspace(_CHEEK_FROM, _CHEEK_TO, _SAMPLES))
    skin = float(np.median(cheek))
    if skin < 1.0:  # a black picture has no lens that is darker than the cheek
        return 1.0
    most, nearly_all = np.percentile(lens, (_MOST_PERCENT, _DARK_PERCENT)) / skin
    return float(most if most < _DARK_MOST else nearly_all)


def is_behind_dark_lens(brightness: float, other: float) -> bool:
    """Return whether an eye is hidden by a lens so dark that no motion of it can be seen.

    brightness, other: :func:`lens_brightness` of the eye and of the other one.
    """
    return min(brightness, other) < _DARK_LENS and brightness < _OTHER_LENS


def _brightness(picture: Image, frame: EyeFrame, across: Float64Array, down: Float64Array) -> Float32Array:
    """Return the largest channel (h, w) at places in half eye widths from the middle of an eye."""
    t, v = np.meshgrid(across * frame.half_px, down * frame.half_px)
    x, y = np.moveaxis(frame.axes.pixels(t, v).astype(np.float32), -1, 0)
    levels = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(levels.max(axis=-1), np.float32)


def find_rims(levels: Float32Array, eye: NDArray[np.bool_], half_px: float) -> Float32Array | None:
    """Return how much each pixel (h, w) is a rim, 0 to 1, or None where no rim surrounds the eye.

    levels: (h, w, 3) RGB around the eye, far enough for its lens. eye: (h, w), where the eye with its lashes is.
    half_px: half the eye's width. The eye of a face without glasses is connected to the cheek by bright skin; that of a
    face with glasses is enclosed by a closed dark line.
    """
    if half_px < _SMALLEST_EYE_PX or not eye.any() or eye.all():
        return None
    grey = cv2.cvtColor(levels / np.float32(255.0), cv2.COLOR_RGB2GRAY)
    size = 2 * max(int(_RIM_WIDTH * half_px / 2.0), 1) + 1
    around = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    skin_level = float(np.median(grey[~eye]))
    dark = (((around - grey > _DARKER * skin_level) | (grey < _BLACK * skin_level)) & ~eye).astype(np.uint8)
    bridge = 2 * max(int(_BRIDGE_SHARE * half_px), 1) + 1
    closed = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((bridge, bridge), np.uint8))
    _, labels = cv2.connectedComponents((closed == 0).astype(np.uint8), connectivity=4)
    lens = labels == np.bincount(labels[eye]).argmax()
    border = np.concatenate([lens[0], lens[-1], lens[:, 0], lens[:, -1]])
    if border.any() or not _SMALLEST_LENS < lens.sum() / half_px**2 < _LARGEST_LENS:
        return None
    _, parts = cv2.connectedComponents(closed, connectivity=8)
    beside = cv2.dilate(lens.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rims = np.isin(parts, np.unique(parts[beside & (closed > 0)])) & (closed > 0)
    grow = 2 * max(int(_GROW_SHARE * half_px), 1) + 1
    mask = cv2.dilate(rims.astype(np.float32), np.ones((grow, grow), np.uint8))
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), _SOFT_PX), np.float32)
    return soft if soft.sum() < _LARGEST_RIM * half_px**2 else None


def find_drawn_lines(levels: Float32Array, eye: NDArray[np.bool_], skin: Float64Array) -> Float32Array:
    """Return how much each pixel (h, w) of a drawing is in front of the lids, 0 to 1: rims, strands of hair, brows.

    levels: (h, w, 3) RGB around the eye. eye: (h, w), where the eye is. skin: (3,) the flat colour of the skin;
    everything else outside the eye stays where it is.
    """
    lines = ((skin_distance(levels, skin) > LINE_COLOUR) & ~eye).astype(np.float32)
    grown = cv2.dilate(lines, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), _SOFT_PX), np.float32)
