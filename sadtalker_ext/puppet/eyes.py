"""Compositing of one eye: lids that slide as skin over the eyeball, with lash line and shadow, and the gaze."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.puppet.eyelid_skin import lid_skin
from sadtalker_ext.puppet.eyelids import UNLIMITED, LidGeometry, Lids
from sadtalker_ext.puppet.glasses import lens_brightness
from sadtalker_ext.puppet.lash_line import measure_lash_line
from sadtalker_ext.puppet.lid_seam import recolour_seam
from sadtalker_ext.puppet.outer_corner import lower_outer_corner, outer_cover

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array, Image
    from sadtalker_ext.puppet.backend_array import BackendArray
    from sadtalker_ext.puppet.face_geometry import EyeFrame
    from sadtalker_ext.puppet.imaging import Imaging, Texture

MIN_EYE_MOTION: Final = 1e-3
"""Blinks and gaze below this are no motion."""
GAZE_REACH: Final = (0.26, 0.13)
"""Travel of the iris at gaze 1, in half eye widths: across, down."""

_IRIS_WHOLE: Final = 0.8
_IRIS_FADE: Final = 0.9
"""Distance from the iris' centre up to which pixels move with the gaze completely, and the width of the fade, both in
iris radii."""
_EDGE: Final = 0.02
_MIN_EDGE_PX: Final = 0.6
"""Width of the soft edge between lid and eyeball, in half eye widths, and its minimum."""
_GAZE_EDGES: Final = 2.0
"""Width of the edge for gaze without a blink, in widths of that edge."""
_DRAWN_EDGE: Final = 0.25
_DRAWN_GAZE: Final = 0.5
"""Width of that edge in large drawn eyes, in half eye widths, and the share of the travel at which their irises move:
they fill the eye."""

# The box around an eye, in half eye widths or openings.
_GAZE_ACROSS: Final = 1.05
_GAZE_UP: Final = 0.8
_GAZE_UP_PX: Final = 2.0
"""Half width of the box that gaze can change (half eye widths), its half height (openings) and pixels added to that."""
_BLINK_ACROSS: Final = 1.35
_BLINK_UP: Final = 0.7
_BLINK_MARGIN: Final = 1.15
"""Half width of the box that a blink can change, its smallest half height (both half eye widths), and the margin that
multiplies the height."""

_OPEN: Final = 0.4
"""Opening, in half eye widths, from which on skin covers the lashes above the outer corner completely in a blink."""
_LAST_STEP: Final = 1.001
"""Distance from the end of a table at which look-ups stop, so that the next entry exists."""


class EyeState(NamedTuple):
    """State of one eye: blink from 0 (open) to 1 (closed), gaze across and down from -1 to 1."""

    blink: float
    gaze_x: float
    gaze_y: float

    @property
    def moves(self) -> bool:
        """Whether anything differs from the portrait."""
        return any(abs(value) > MIN_EYE_MOTION for value in self)

    @property
    def blinks(self) -> bool:
        """Whether the lids move."""
        return self.blink >= MIN_EYE_MOTION


class Eye:
    """One eye of a portrait, with its lid curves as tables of the imaging backend.

    lens_brightness: relative to the cheek; small where a dark lens of sunglasses is in front of the eye.
    """

    def __init__(
        self, frame: EyeFrame, picture: Image, imaging: Imaging, flat_skin: Float64Array | None = None
    ) -> None:
        """Prepare an eye; ``flat_skin`` is the skin's colour (3,) in a drawing."""
        self.frame, self.lens_brightness = frame, lens_brightness(picture, frame)
        lashes = measure_lash_line(picture, frame, flat_skin)
        self._lids = LidGeometry.measure(frame, lashes, flat=flat_skin is not None)
        self._outer = 0.0 if flat_skin is not None or frame.drawn else frame.outer
        self._upper = imaging.array(frame.upper.values.astype(np.float32))
        self._lower = imaging.array(frame.lower.values.astype(np.float32))
        self._cover_share = min(self._lids.opening_px / (_OPEN * frame.half_px), 1.0)
        self.lid_skin = lid_skin(frame, picture, imaging, lashes, flat_skin)

    def reach_px(self, blinks: bool) -> tuple[float, float]:
        """Return half the width and half the height of the box that lids (or gaze alone) can change."""
        half, opening = self.frame.half_px, self._lids.opening_px
        if not blinks:
            return _GAZE_ACROSS * half, _GAZE_UP * opening + _GAZE_UP_PX
        is_round = self.frame.drawn and not self._lids.flat
        lid_px = opening / 2.0 if is_round else opening  # the middle of a round eye is that of its opening
        return _BLINK_ACROSS * half, max(self._lids.fold_px + lid_px, _BLINK_UP * half) * _BLINK_MARGIN

    def compose(self, picture: Texture, points: BackendArray, state: EyeState, imaging: Imaging) -> BackendArray:
        """Return the levels (h, w, 3) of skin, lids and eyeball for source points (h, w, 2)."""
        xp, axes = imaging.xp, self.frame.axes
        (ox, oy), (ax, ay), (dx, dy) = axes.origin.tolist(), axes.along.tolist(), axes.down.tolist()
        off_x, off_y = points[..., 0] - ox, points[..., 1] - oy
        t, v = off_x * ax + off_y * ay, off_x * dx + off_y * dy
        upper, lower = self._curve(self._upper, t, xp), self._curve(self._lower, t, xp)
        shift_t, shift_v = self._gaze_shift(t, v, state, xp)
        edge_px = max(_MIN_EDGE_PX, _EDGE * self.frame.half_px, self._lids.lashes.blur_px)
        if not state.blinks:
            gaze_edge_px = _DRAWN_EDGE * self.frame.half_px if self.frame.drawn else _GAZE_EDGES * edge_px
            inside = _eyeball_share(v, (upper, lower), gaze_edge_px, xp)
            return self._sample(picture, t - shift_t * inside, v - shift_v * inside, imaging)
        lids = self._lids.close(upper, lower, state.blink, xp)
        if self._outer:
            travel_px = state.blink * self._lids.opening_px
            lids = lower_outer_corner(lids, self._outward(t), travel_px, xp)
        skin = self._skin(picture, (t, v), lids, state.blink, imaging)
        ball = self._sample(picture, t - shift_t, v - shift_v, imaging)
        shade = self._lids.eyeball_shade(v, lids, state.blink, xp)
        covered = 1.0 - _eyeball_share(v, (lids.upper_now, lids.lower_now), edge_px, xp)
        levels = skin * covered[..., None] + ball * ((1.0 - covered) * shade)[..., None]
        if self.lid_skin.rims is None:
            return levels
        rim = self._sample(self.lid_skin.rims, t, v, imaging)
        return levels * (1.0 - rim) + self._sample(picture, t, v, imaging) * rim

    def _skin(
        self, picture: Texture, place: tuple[BackendArray, BackendArray], lids: Lids, blink: float, imaging: Imaging
    ) -> BackendArray:
        """Return the levels (h, w, 3) of the lids' skin with lash line and crease; ``place``: (h, w) t and v."""
        (t, v), geometry, xp = place, self._lids, imaging.xp
        upper_v, lower_v, upper_share = geometry.skin_sources(v, lids, xp)
        skin = self._sample(picture, t, upper_v, imaging) * upper_share[..., None]
        skin = skin + self._sample(picture, t, lower_v, imaging) * (1.0 - upper_share)[..., None]
        share, smooth_v = geometry.smooth_skin(v, lids, xp)
        smooth, outward, half_px = self._sample(self.lid_skin.smooth, t, smooth_v, imaging), None, self.frame.half_px
        if self._outer:
            outward = self._outward(t)
            cover = outer_cover(v, lids, outward, half_px, xp)
            share = xp.maximum(share, blink * self._cover_share * cover)
        share = share[..., None]
        if self.lid_skin.rims is not None:
            source_v = xp.where(upper_share > 0.5, upper_v, lower_v)
            share = xp.maximum(share, self._sample(self.lid_skin.rims, t, source_v, imaging))
        skin = skin * (1.0 - share) + smooth * share
        if not geometry.flat:
            skin = recolour_seam(skin, smooth, (t / half_px, (v - lids.upper_now) / half_px), blink, xp)
        return skin * geometry.skin_shade(v, lids, outward, blink, xp)[..., None]

    def _outward(self, t: BackendArray) -> BackendArray:
        """Return the place along the eye, positive towards the outer corner, in half eye widths."""
        return t * (self._outer / self.frame.half_px)

    def _curve(self, table: BackendArray, t: BackendArray, xp: ModuleType) -> BackendArray:
        """Return the tabulated lid height at ``t``, linear between the entries."""
        curve = self.frame.upper
        position = xp.clip((t - curve.start) / curve.step, 0.0, len(curve.values) - _LAST_STEP)
        low = xp.floor(position)
        share = position - low
        index = low.astype(np.int32) if xp is np else low.long()
        return table[index] * (1.0 - share) + table[index + 1] * share

    def _gaze_shift(
        self, t: BackendArray, v: BackendArray, state: EyeState, xp: ModuleType
    ) -> tuple[BackendArray, BackendArray]:
        """Return the shift of the eyeball's pixels: whole on the iris, fading towards the corners."""
        iris = self.frame.iris
        distance = xp.sqrt((t - iris.t_px) ** 2 + (v - iris.v_px) ** 2)
        outside = xp.clip(distance - _IRIS_WHOLE * iris.radius_px, 0.0, UNLIMITED)
        weight = xp.exp(-((outside / (_IRIS_FADE * iris.radius_px)) ** 2))
        across, down = GAZE_REACH
        reach_px = self.frame.half_px * (_DRAWN_GAZE if self.frame.drawn else 1.0)
        return state.gaze_x * across * reach_px * weight, state.gaze_y * down * reach_px * weight

    def _sample(self, texture: Texture, t: BackendArray, v: BackendArray, imaging: Imaging) -> BackendArray:
        """Return the levels (h, w, 3) at the eye's coordinates ``t`` and ``v``."""
        axes = self.frame.axes
        (ox, oy), (ax, ay), (dx, dy) = axes.origin.tolist(), axes.along.tolist(), axes.down.tolist()
        points = imaging.xp.stack([ox + t * ax + v * dx, oy + t * ay + v * dy], -1)
        return imaging.to_float(imaging.sample(texture, points))


def _eyeball_share(
    v: BackendArray, lids: tuple[BackendArray, BackendArray], edge_px: float, xp: ModuleType
) -> BackendArray:
    """Return 1 where the eyeball shows between the upper and the lower lid, with soft edges."""
    upper, lower = lids
    return xp.clip((v - upper) / edge_px, 0.0, 1.0) * xp.clip((lower - v) / edge_px, 0.0, 1.0)
