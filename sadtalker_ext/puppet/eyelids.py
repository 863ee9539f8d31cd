"""Geometry of closing eyelids: where the skin that the lids show comes from, and how it is shaded.

Heights ``v`` are pixels of the picture along the eye's axis, positive downwards; arrays belong to the imaging backend.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from sadtalker_ext.puppet.backend_array import BackendArray
    from sadtalker_ext.puppet.face_geometry import EyeFrame
    from sadtalker_ext.puppet.lash_line import LashLine

UPPER_LID_SHARE: Final = 0.82
"""Where the lids meet, as a share of the way from the upper to the lower lid: the upper lid does most of a blink."""
UNLIMITED: Final = 1e6
"""Upper limit where only a lower one is meant; no picture has so many pixels in a row."""

_FOLD_SHARE: Final = 0.82
"""Height of the skin that stretches above the upper lid, as a share of the distance to the brow, which stays."""
_FLAT_ABOVE: Final = 0.12
"""Height of the flat skin above the lashes of a drawing, as a share of the opening: it covers their soft edge."""
_BELOW_REACH: Final = 0.55
"""Height of the skin below the eye that stretches with the lower lid, in half eye widths."""
_MIN_STRETCHED_PX: Final = 1e-3
"""Smallest height by which a stretch is divided, and smallest opening of an eye."""

_OVERLAP: Final = 0.02
"""Overlap of the lids in a complete blink, in half eye widths, so that no line of the eyeball shows."""
_MIN_SEAM_PX: Final = 1.0
"""Smallest width of the soft line where the skins of closed lids meet: a sharper one would show as steps."""
_OVERLAP_FROM: Final = 0.9
_OVERLAP_RATE: Final = 10.0
"""Blink at which the overlap begins, and its slope: it is complete at a blink of 1."""

# Smooth skin over the stretched picture.
_SMOOTH_MAX: Final = 0.92
"""Largest share of smooth skin; some grain of the picture remains."""
_SMOOTH_RATE: Final = 1.6
"""Rise of the smooth share with the lid's travel in heights of the stretched skin."""
_SMOOTH_RISE: Final = 0.55
"""Share of the stretched skin, from its top, over which the smooth share rises."""
_SMOOTH_END: Final = 0.10
_SMOOTH_END_FADE: Final = 0.16
"""Distance above the lid's edge at which the smooth share has ended, and its fade, as shares of the opening: the lashes
stay sharp."""
_SMOOTH_FROM: Final = 0.25
"""Where on the lid, from its top to its edge, the smooth skin of the top row is taken from."""

# Shading.
_WIDE_SHARE: Final = 0.4
"""Share of the largest opening at which lashes and crease are whole; they end at the eye's corners."""
_THICKER_OUTSIDE: Final = 1.2
"""Growth of the lash line's thickness from the eye's middle to its outer corner, where lashes are longest: with it, 26
closed eyes of real speakers are most alike."""
_LINE_FROM: Final = 0.7
_LINE_END, _LINE_FADE = 1.06, 0.2
"""Place towards the outer corner from which on the line is whole even where the eye is hardly open, the place at which
it has ended, and the width of its end, in half eye widths."""
_SHADOW_SHADE: Final = 0.30
_SHADOW_LENGTH: Final = 0.35
"""Darkening of the eyeball under a closing lid, and the distance, as a share of the opening, at which it is 1/e."""
_CREASE_SHADE: Final = 0.08
_CREASE_RISE: Final = 0.18
_CREASE_WIDTH: Final = 0.16
"""Darkening of the crease of a closed lid, and its height above the lid and width as shares of the stretched skin."""
_HALF_PIXEL: Final = 0.5
"""Added to widths in pixels that may vanish."""


class Lids(NamedTuple):
    """Heights of both lid edges at each pixel: in the source picture and as they are now."""

    upper: BackendArray
    lower: BackendArray
    upper_now: BackendArray
    lower_now: BackendArray


@dataclass(frozen=True)
class LidGeometry:
    """Sizes of one eye's lids in pixels.

    opening_px: largest distance between the lids. fold_px: height of the skin that stretches above the upper lid.
    half_px: half the width of the eye. flat: whether the upper lid is flat skin and nothing stretches above it, as in
    drawings. lashes: the line that they draw on a closed eye.
    """

    opening_px: float
    fold_px: float
    half_px: float
    flat: bool
    lashes: LashLine

    @classmethod
    def measure(cls, frame: EyeFrame, lashes: LashLine, *, flat: bool) -> LidGeometry:
        """Return the sizes of the lids of an eye."""
        fold_px = lashes.band_px + _FLAT_ABOVE * frame.opening_px if flat else _FOLD_SHARE * frame.crease_px
        return cls(max(frame.opening_px, _MIN_STRETCHED_PX), fold_px, frame.half_px, flat, lashes)

    def close(self, upper: BackendArray, lower: BackendArray, blink: float, xp: ModuleType) -> Lids:
        """Return the lids at ``blink``, 0 to 1, for the heights of the lid edges in the source."""
        opening = xp.clip(lower - upper, 0.0, UNLIMITED)
        overlap = _OVERLAP * self.half_px * max(blink - _OVERLAP_FROM, 0.0) * _OVERLAP_RATE
        upper_now = upper + blink * UPPER_LID_SHARE * opening + overlap * xp.clip(opening, 0.0, 1.0)
        lower_now = lower - blink * (1.0 - UPPER_LID_SHARE) * opening
        return Lids(upper, lower, upper_now, lower_now)

    def skin_sources(
        self, v: BackendArray, lids: Lids, xp: ModuleType
    ) -> tuple[BackendArray, BackendArray, BackendArray]:
        """Return the source heights of the upper and the lower lid's skin at height ``v``, and the upper one's share.

        The skins meet as softly as the edges of the portrait are.
        """
        seam_px = max(_MIN_SEAM_PX, self.lashes.blur_px)
        middle = 0.5 * (lids.upper_now + lids.lower_now)
        share = xp.clip((middle - v) / seam_px + _HALF_PIXEL, 0.0, 1.0)
        return self._upper_source(v, lids, xp), self._lower_source(v, lids, xp), share

    def _upper_source(self, v: BackendArray, lids: Lids, xp: ModuleType) -> BackendArray:
        """The lash band moves unstretched, the skin up to the fold stretches."""
        top = lids.upper - self.fold_px
        lash_band = self.lashes.band_px
        from_margin = lids.upper - lash_band
        to_margin = lids.upper_now - lash_band
        slope = (from_margin - top) / xp.clip(to_margin - top, _MIN_STRETCHED_PX, UNLIMITED)
        stretched = top + (v - top) * slope
        return xp.where(v > to_margin, v - (lids.upper_now - lids.upper), xp.where(v > top, stretched, v))

    def _lower_source(self, v: BackendArray, lids: Lids, xp: ModuleType) -> BackendArray:
        bottom = lids.lower + _BELOW_REACH * self.half_px
        slope = (bottom - lids.lower) / xp.clip(bottom - lids.lower_now, _MIN_STRETCHED_PX, UNLIMITED)
        stretched = bottom - (bottom - v) * slope
        return xp.where(v < lids.lower_now, v + (lids.lower - lids.lower_now), xp.where(v < bottom, stretched, v))

    def smooth_skin(self, v: BackendArray, lids: Lids, xp: ModuleType) -> tuple[BackendArray, BackendArray]:
        """Return the share of smooth skin that replaces the stretched picture on the lid, and its source height.

        The more the skin stretches, the larger the share: stretched lashes and creases would look smeared.
        """
        top = lids.upper - self.fold_px
        if self.flat:
            bottom, edge_px = lids.upper_now - self.lashes.band_px, 1.0 + 2.0 * self.lashes.blur_px
            begin = xp.clip((v - top) / edge_px + _HALF_PIXEL, 0.0, 1.0)
            return begin * xp.clip((bottom - v) / edge_px + _HALF_PIXEL, 0.0, 1.0), v
        travel = lids.upper_now - lids.upper
        along = xp.clip((v - top) / xp.clip(lids.upper_now - top, _MIN_STRETCHED_PX, UNLIMITED), 0.0, 1.0)
        stretch = xp.clip(_SMOOTH_RATE * travel / (self.fold_px + _MIN_STRETCHED_PX), 0.0, 1.0)
        rise = xp.clip((v - top) / (_SMOOTH_RISE * self.fold_px + _MIN_STRETCHED_PX), 0.0, 1.0)
        fade_px = _SMOOTH_END_FADE * self.opening_px + _HALF_PIXEL
        end = xp.clip((lids.upper_now - _SMOOTH_END * self.opening_px - v) / fade_px, 0.0, 1.0)
        height = top + (_SMOOTH_FROM + (1.0 - _SMOOTH_FROM) * along) * (lids.upper_now - top)
        return _SMOOTH_MAX * stretch * rise * end, height

    def skin_shade(
        self, v: BackendArray, lids: Lids, outward: BackendArray | None, blink: float, xp: ModuleType
    ) -> BackendArray:
        """Return the factor of the skin's levels by the lash line and, except in drawings, by the crease.

        outward: place along the eye, positive towards the outer corner, in half eye widths; None for an eye whose
        lashes are equally thick on both sides.
        """
        if self.lashes.shade == 0.0 and self.flat:
            return xp.ones_like(v)
        opening = xp.clip(lids.lower - lids.upper, 0.0, UNLIMITED)
        wide = xp.clip(opening / (_WIDE_SHARE * self.opening_px + _MIN_STRETCHED_PX), 0.0, 1.0)
        thickness_px, strength = self.lashes.thickness_px, wide
        if outward is not None:
            outside = xp.clip(outward, 0.0, 1.0)
            thickness_px = thickness_px * (1.0 + _THICKER_OUTSIDE * outside)
            to_corner = xp.clip((_LINE_END - outward) / _LINE_FADE, 0.0, 1.0)
            strength = xp.maximum(wide, xp.clip(outside / _LINE_FROM, 0.0, 1.0) * to_corner)
        line = xp.exp(-(((v - lids.upper_now) / thickness_px) ** 2))
        lash = 1.0 - self.lashes.shade * blink * strength * line
        if self.flat:
            return lash
        centre = lids.upper - _CREASE_RISE * self.fold_px
        crease = xp.exp(-(((v - centre) / (_CREASE_WIDTH * self.fold_px + _HALF_PIXEL)) ** 2))
        return lash * (1.0 - _CREASE_SHADE * blink * wide * crease)

    def eyeball_shade(self, v: BackendArray, lids: Lids, blink: float, xp: ModuleType) -> BackendArray:
        """Return the factor of the eyeball's levels by the shadow of the upper lid."""
        below = xp.clip(v - lids.upper_now, 0.0, UNLIMITED)
        return 1.0 - _SHADOW_SHADE * blink * xp.exp(-below / (_SHADOW_LENGTH * self.opening_px))
