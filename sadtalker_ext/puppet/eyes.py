"""Eyes: lids that come down as skin over an iris that stays, with their lash line and a soft shadow; and gaze."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.puppet.face_geometry import EyeFrame
    from sadtalker_ext.puppet.imaging import Imaging, Pixels, Texture

UPPER_SHARE: Final = 0.82
"""Where the lids meet, as a share of the way from the upper to the lower lid (the upper lid does most of a blink)."""
LASH_BAND: Final = 0.22
"""Height of the band above the upper lid that travels with it unstretched (the lashes), as a share of the opening."""
BLINKS: Final = 1e-3
"""Lids that move less than this do not move."""
GAZE_REACH: Final = (0.26, 0.13)
"""Travel of the iris at gaze 1, in half eye widths: across, down."""


class Eye:
    """One eye with its lid curves as tables that the imaging backend can look up."""

    def __init__(self, frame: EyeFrame, picture: NDArray[np.uint8], imaging: Imaging) -> None:
        self.frame = frame
        opening = np.maximum(frame.lower.values - frame.upper.values, 0.0)
        self.opening_px = float(opening.max())
        self.upper = imaging.array(frame.upper.values.astype(np.float32))
        self.lower = imaging.array(frame.lower.values.astype(np.float32))
        self.fold_px = 0.82 * frame.crease_px
        self.steps = len(frame.upper.values)
        self.lid_skin = _smooth_skin(frame, picture, imaging)

    def reach_px(self, blinks: bool) -> tuple[float, float]:
        """Half width and half height of the box that lids (or gaze alone) can change."""
        if not blinks:
            return 1.05 * self.frame.half_px, 0.8 * self.opening_px + 2.0
        return 1.35 * self.frame.half_px, max(self.fold_px + self.opening_px, 0.7 * self.frame.half_px) * 1.15

    def compose(self, picture: Texture, maps: Pixels, state: tuple[float, float, float], imaging: Imaging) -> Pixels:
        """Skin, lids and eyeball for source positions maps (h, w, 2): (h, w, 3) levels.

        state: blink 0..1, gaze across and down -1..1.
        """
        xp, frame = imaging.xp, self.frame
        blink, gaze_x, gaze_y = state
        axes = frame.axes
        (ox, oy), (ax, ay), (dx, dy) = axes.origin.tolist(), axes.along.tolist(), axes.down.tolist()
        off_x, off_y = maps[..., 0] - ox, maps[..., 1] - oy
        t, v = off_x * ax + off_y * ay, off_x * dx + off_y * dy
        upper, lower = self._curve(self.upper, t, xp), self._curve(self.lower, t, xp)
        shift_t, shift_v = self._gaze(t, v, (gaze_x, gaze_y), xp)
        soft = max(0.6, 0.02 * frame.half_px)
        if blink < BLINKS:
            inside = self._between(v, upper, lower, 2.0 * soft, xp)
            return self._look(picture, t - shift_t * inside, v - shift_v * inside, imaging)
        opening = xp.clip(lower - upper, 0.0, 1e6)
        overlap = 0.02 * frame.half_px * max(blink - 0.9, 0.0) * 10.0
        upper_now = upper + blink * UPPER_SHARE * opening + overlap * xp.clip(opening, 0.0, 1.0)
        lower_now = lower - blink * (1.0 - UPPER_SHARE) * opening

        is_upper = v < 0.5 * (upper_now + lower_now)
        skin_v = xp.where(is_upper, self._above(v, upper, upper_now, xp), self._below(v, lower, lower_now, xp))
        skin = self._look(picture, t, skin_v, imaging)
        lid_share, lid_v = self._lid(v, upper, upper_now, xp)
        lid = self._look(self.lid_skin, t, lid_v, imaging)
        skin = skin * (1.0 - lid_share)[..., None] + lid * lid_share[..., None]
        ball = self._look(picture, t - shift_t, v - shift_v, imaging)
        covered = 1.0 - self._between(v, upper_now, lower_now, soft, xp)
        thickness = max(0.075 * self.opening_px, 0.6)
        wide = xp.clip(opening / (0.4 * self.opening_px + 1e-3), 0.0, 1.0)
        lash = 1.0 - 0.55 * blink * wide * xp.exp(-(((v - upper_now) / thickness) ** 2))
        shadow = 1.0 - 0.30 * blink * xp.exp(-xp.clip(v - upper_now, 0.0, 1e6) / (0.35 * self.opening_px))
        fold = 1.0 - 0.13 * blink * wide * self._crease(v, upper, xp)
        skin = skin * (lash * fold)[..., None]
        return skin * covered[..., None] + ball * ((1.0 - covered) * shadow)[..., None]

    def _curve(self, table: Pixels, t: Pixels, xp: ModuleType) -> Pixels:
        position = xp.clip((t - self.frame.upper.start) / self.frame.upper.step, 0.0, self.steps - 1.001)
        low = xp.floor(position)
        share = position - low
        index = low.astype(np.int32) if xp is np else low.long()
        return table[index] * (1.0 - share) + table[index + 1] * share

    def _above(self, v: Pixels, upper: Pixels, upper_now: Pixels, xp: ModuleType) -> Pixels:
        """Source height of the lid skin: the lash band moves whole, the skin up to the fold stretches."""
        top = upper - self.fold_px
        lash_band = LASH_BAND * self.opening_px
        from_margin = upper - lash_band
        to_margin = upper_now - lash_band
        slope = (from_margin - top) / xp.clip(to_margin - top, 1e-3, 1e6)
        stretched = top + (v - top) * slope
        return xp.where(v > to_margin, v - (upper_now - upper), xp.where(v > top, stretched, v))

    def _below(self, v: Pixels, lower: Pixels, lower_now: Pixels, xp: ModuleType) -> Pixels:
        """Source height of the skin under the eye."""
        bottom = lower + 0.55 * self.frame.half_px
        slope = (bottom - lower) / xp.clip(bottom - lower_now, 1e-3, 1e6)
        stretched = bottom - (bottom - v) * slope
        return xp.where(v < lower_now, v + (lower - lower_now), xp.where(v < bottom, stretched, v))

    def _lid(self, v: Pixels, upper: Pixels, upper_now: Pixels, xp: ModuleType) -> tuple[Pixels, Pixels]:
        """How much smooth skin replaces the stretched picture on the lid, and the height it is taken from.

        The more the skin must stretch, the less detail of lashes and creases may be smeared over it.
        """
        top = upper - self.fold_px
        travel = upper_now - upper
        along = xp.clip((v - top) / xp.clip(upper_now - top, 1e-3, 1e6), 0.0, 1.0)
        stretch = xp.clip(1.6 * travel / (self.fold_px + 1e-3), 0.0, 1.0)
        rise = xp.clip((v - top) / (0.55 * self.fold_px + 1e-3), 0.0, 1.0)
        end = xp.clip((upper_now - 0.10 * self.opening_px - v) / (0.16 * self.opening_px + 0.5), 0.0, 1.0)
        return 0.92 * stretch * rise * end, top + (0.25 + 0.75 * along) * (upper_now - top)

    def _between(self, v: Pixels, upper_now: Pixels, lower_now: Pixels, soft: float, xp: ModuleType) -> Pixels:
        """1 where the eyeball shows."""
        return xp.clip((v - upper_now) / soft, 0.0, 1.0) * xp.clip((lower_now - v) / soft, 0.0, 1.0)

    def _crease(self, v: Pixels, upper: Pixels, xp: ModuleType) -> Pixels:
        centre = upper - 0.18 * self.fold_px
        return xp.exp(-(((v - centre) / (0.12 * self.fold_px + 0.5)) ** 2))

    def _gaze(self, t: Pixels, v: Pixels, gaze: tuple[float, float], xp: ModuleType) -> tuple[Pixels, Pixels]:
        """Shift of the eyeball's pixels: whole on the iris, fading towards the corners."""
        iris_t, iris_v, radius = self.frame.iris
        distance = xp.sqrt((t - iris_t) ** 2 + (v - iris_v) ** 2)
        weight = xp.exp(-((xp.clip(distance - 0.8 * radius, 0.0, 1e6) / (0.9 * radius)) ** 2))
        return (
            gaze[0] * GAZE_REACH[0] * self.frame.half_px * weight,
            gaze[1] * GAZE_REACH[1] * self.frame.half_px * weight,
        )

    def _look(self, picture: Texture, t: Pixels, v: Pixels, imaging: Imaging) -> Pixels:
        axes = self.frame.axes
        (ox, oy), (ax, ay), (dx, dy) = axes.origin.tolist(), axes.along.tolist(), axes.down.tolist()
        points = imaging.xp.stack([ox + t * ax + v * dx, oy + t * ay + v * dy], -1)
        return imaging.to_float(imaging.sample(picture, points))


def _smooth_skin(frame: EyeFrame, picture: NDArray[np.uint8], imaging: Imaging) -> Texture:
    """The skin around an eye without its detail, continued over the eye itself, the lashes and the brow.

    Normalised convolution (Knutsson and Westin 1993): only pixels that are surely skin are averaged.
    """
    axes, reach = frame.axes, int(3.0 * frame.half_px) + 4
    left = int(np.clip(axes.origin[0] - reach, 0, picture.shape[1] - 1))
    top = int(np.clip(axes.origin[1] - reach, 0, picture.shape[0] - 1))
    crop = picture[top : int(axes.origin[1]) + reach + 1, left : int(axes.origin[0]) + reach + 1].astype(np.float32)
    rows, columns = np.mgrid[0 : crop.shape[0], 0 : crop.shape[1]]
    t, v = axes.local(np.stack([columns + left, rows + top], axis=-1).astype(np.float64))
    opening = float(np.max(frame.lower.values - frame.upper.values))
    above, below = v - frame.upper(t), v - frame.lower(t)
    eye = (above > -0.45 * opening) & (below < 0.35 * opening) & (np.abs(t) < 1.25 * frame.half_px)
    brow = above < -0.85 * frame.crease_px
    aside = np.abs(t) > 1.9 * frame.half_px
    skin = np.where(eye | brow | aside, 1e-3, 1.0).astype(np.float32)
    sigma = max(0.34 * frame.half_px, 0.8)
    colour = cv2.GaussianBlur(crop * skin[..., None], (0, 0), sigma)
    weight = cv2.GaussianBlur(skin, (0, 0), sigma)
    return imaging.texture(np.asarray(colour / weight[..., None], np.float32), origin=(float(left), float(top)))
