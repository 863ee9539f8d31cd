"""Eyes: lids that come down as skin over an iris that stays, with their lash line and a soft shadow; and gaze."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.puppet.frame import EyeFrame
    from sadtalker_ext.puppet.imaging import CpuImaging, Texture

UPPER_SHARE: Final = 0.82
"""Where the lids meet, as a share of the way from the upper to the lower lid (the upper lid does most of a blink)."""
LASH_SHARE: Final = 0.10
"""Thickness of the lash line that travels with the upper lid, as a share of the eye's opening."""
GAZE_REACH: Final = (0.26, 0.13)
"""Travel of the iris at gaze 1, in half eye widths: across, down."""


class Eye:
    """One eye with its lid curves as tables that the imaging backend can look up."""

    def __init__(self, frame: EyeFrame, imaging: CpuImaging) -> None:
        self.frame = frame
        opening = np.maximum(frame.lower.values - frame.upper.values, 0.0)
        self.opening_px = float(opening.max())
        lash = LASH_SHARE * opening
        self.upper = imaging.array((frame.upper.values + lash).astype(np.float32))
        self.lower = imaging.array(frame.lower.values.astype(np.float32))
        self.fold_px = 0.82 * frame.crease_px
        self.steps = len(frame.upper.values)

    def reach_px(self) -> tuple[float, float]:
        """Half width and half height of the box the lids can change."""
        return 1.35 * self.frame.half_px, max(self.fold_px + self.opening_px, 0.7 * self.frame.half_px) * 1.15

    def compose(self, picture: Texture, maps: Any, state: tuple[float, float, float], imaging: CpuImaging) -> Any:
        """Skin, lids and eyeball for source positions maps (h, w, 2): (h, w, 3) levels.

        state: blink 0..1, gaze across and down -1..1.
        """
        xp, frame = imaging.xp, self.frame
        blink, gaze_x, gaze_y = state
        axes = frame.axes
        off_x, off_y = maps[..., 0] - axes.origin[0], maps[..., 1] - axes.origin[1]
        t = off_x * axes.along[0] + off_y * axes.along[1]
        v = off_x * axes.down[0] + off_y * axes.down[1]
        upper, lower = self._curve(self.upper, t, xp), self._curve(self.lower, t, xp)
        opening = xp.clip(lower - upper, 0.0, 1e6)
        overlap = 0.02 * frame.half_px * max(blink - 0.9, 0.0) * 10.0
        upper_now = upper + blink * UPPER_SHARE * opening + overlap * (opening > 0)
        lower_now = lower - blink * (1.0 - UPPER_SHARE) * opening

        skin_v = xp.where(
            v < upper_now, self._above(v, upper, upper_now, xp), self._below(v, lower, lower_now, xp)
        )
        shift_t, shift_v = self._gaze(t, v, (gaze_x, gaze_y), xp)
        skin = self._look(picture, t, skin_v, imaging)
        ball = self._look(picture, t - shift_t, v - shift_v, imaging)
        soft = max(0.6, 0.02 * frame.half_px)
        covered = 1.0 - self._between(v, upper_now, lower_now, soft, xp)
        thickness = max(0.10 * self.opening_px, 0.7)
        near = xp.exp(-(((v - upper_now) / thickness) ** 2)) * xp.clip(opening / (0.5 * self.opening_px), 0.0, 1.0)
        lash = 1.0 - 0.42 * blink * near
        shadow = 1.0 - 0.30 * blink * xp.exp(-xp.clip(v - upper_now, 0.0, 1e6) / (0.35 * self.opening_px))
        fold = 1.0 - 0.10 * blink * self._crease(v, upper, opening, xp)
        skin = skin * (lash * fold)[..., None]
        return skin * covered[..., None] + ball * ((1.0 - covered) * shadow)[..., None]

    def _curve(self, table: Any, t: Any, xp: Any) -> Any:
        position = xp.clip((t - self.frame.upper.start) / self.frame.upper.step, 0.0, self.steps - 1.001)
        low = xp.floor(position)
        share = position - low
        index = low.astype(np.int32) if xp is np else low.long()
        return table[index] * (1.0 - share) + table[index + 1] * share

    def _above(self, v: Any, upper: Any, upper_now: Any, xp: Any) -> Any:
        """Source height of the lid skin: the lash band moves whole, the skin up to the fold stretches."""
        top = upper - self.fold_px
        lash_band = 0.30 * self.opening_px
        from_margin = upper - lash_band
        to_margin = upper_now - lash_band
        slope = (from_margin - top) / xp.clip(to_margin - top, 1e-3, 1e6)
        stretched = top + (v - top) * slope
        return xp.where(v > to_margin, v - (upper_now - upper), xp.where(v > top, stretched, v))

    def _below(self, v: Any, lower: Any, lower_now: Any, xp: Any) -> Any:
        """Source height of the skin under the eye."""
        bottom = lower + 0.55 * self.frame.half_px
        slope = (bottom - lower) / xp.clip(bottom - lower_now, 1e-3, 1e6)
        stretched = bottom - (bottom - v) * slope
        return xp.where(v < lower_now, lower + 0.0 * v, xp.where(v < bottom, stretched, v))

    def _between(self, v: Any, upper_now: Any, lower_now: Any, soft: float, xp: Any) -> Any:
        """1 where the eyeball shows."""
        return xp.clip((v - upper_now) / soft + 0.5, 0.0, 1.0) * xp.clip((lower_now - v) / soft + 0.5, 0.0, 1.0)

    def _crease(self, v: Any, upper: Any, opening: Any, xp: Any) -> Any:
        centre = upper - 0.28 * self.fold_px
        return xp.exp(-(((v - centre) / (0.10 * self.fold_px + 0.5)) ** 2)) * xp.clip(
            opening / (0.4 * self.opening_px + 1e-3), 0.0, 1.0
        )

    def _gaze(self, t: Any, v: Any, gaze: tuple[float, float], xp: Any) -> tuple[Any, Any]:
        """Shift of the eyeball's pixels: whole on the iris, fading towards the corners."""
        iris_t, iris_v, radius = self.frame.iris
        distance = xp.sqrt((t - iris_t) ** 2 + (v - iris_v) ** 2)
        weight = xp.exp(-((xp.clip(distance - 0.8 * radius, 0.0, 1e6) / (0.9 * radius)) ** 2))
        return (
            gaze[0] * GAZE_REACH[0] * self.frame.half_px * weight,
            gaze[1] * GAZE_REACH[1] * self.frame.half_px * weight,
        )

    def _look(self, picture: Texture, t: Any, v: Any, imaging: CpuImaging) -> Any:
        axes = self.frame.axes
        x = axes.origin[0] + t * axes.along[0] + v * axes.down[0]
        y = axes.origin[1] + t * axes.along[1] + v * axes.down[1]
        xp = imaging.xp
        if xp is np:
            x, y = x.astype(np.float32), y.astype(np.float32)
        return imaging.to_float(imaging.sample(picture, x, y))
