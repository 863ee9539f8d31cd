"""One frame's motion applied to a rig: where every output pixel comes from in the source picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.basis import MOUTH_COLUMNS, SHAPE_INDEX
from sadtalker_ext.puppet.expression_fields import (
    FIELD_NAMES,
    LOWER,
    MOUTH_FIELDS,
    TUCK_ROLL,
    UPPER,
    clamp_expression,
    field_weights,
)
from sadtalker_ext.puppet.eyes import EyeState
from sadtalker_ext.puppet.glasses import is_behind_dark_lens
from sadtalker_ext.puppet.head import clamp_pose
from sadtalker_ext.puppet.mouth_fields import UPPER_LIP_CLOSES
from sadtalker_ext.puppet.mouth_maps import MouthMaps, MouthState
from sadtalker_ext.puppet.own_interior import own_across, own_down
from sadtalker_ext.puppet.profiles import Falloff, smooth_ramp
from sadtalker_ext.puppet.warp import Box, Displacement

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.puppet.eyes import Eye
    from sadtalker_ext.puppet.rig import Rig
    from sadtalker_ext.puppet.warp import Grid

_MIN_MOTION: Final = 1e-5
"""Radians, face heights and field weights below this are no motion."""
_TEETH_FOLLOW: Final = 0.96
"""Share of the lower lip's drop by the jaw that the lower teeth follow."""
_MOST_BARED: Final = 0.02
"""Height of the lower teeth, face heights, that a lip lowered without the jaw approaches; beyond it the jaw drops too.
Trackers describe many openings by the lip alone, whose teeth would otherwise stand high in the mouth."""
_PRESS_FROM: Final = 0.6
_PRESS_ROLL: Final = 0.10
"""Value of lips_closed from which the lips press together, and the share of their thickness that rolls in at 1."""
_STEEPEST: Final = 4.0
"""Largest ratio of vertical distance and distance from a lip's edge; beyond, the grid does not resolve the edge."""
_APART: Final = 0.04
"""Opening, in face heights, at which parted lips have lost the shadow of the seam between closed ones."""
_LIT_REACH: Final = 0.7
"""Distance from a lip's edge, in lip thicknesses, at which the shift of its texture past that shadow falls to 1/e."""
_LIT_GAIN: Final = 1.15
"""Rise of the profile ``1 - u^2`` of that shift along the mouth, clipped to 1: it fades only near the corners."""
_LIP_COVERS: Final = 0.02
"""How far, in face heights, the upper lip of an open mouth comes down over the teeth when it closes. That of a mouth
which is wide open moves further in the fields, as its jaw does less; the teeth follow the rest and stay visible."""
_SEALS_FROM: Final = 0.85
"""Value of lips_closed from which soft lip edges no longer show the interior between them; at 1 they show nothing."""
_CORNER_TRAVEL: Final = 0.03
"""Travel of the mouth corners at smile, spread or pucker of 1, in face heights."""
_PARALLAX_YAW: Final = 0.07
_PARALLAX_PITCH: Final = 0.05
"""Depth of the teeth behind the lips, in face heights, as it shows when the head turns and nods."""
_MOUTH_PAD: Final = 0.012
_MOUTH_PAD_CELLS: Final = 1.6
"""Pad of the mouth box in face heights, and its minimum in cells of the head grid, which are the error of the box."""


class Pose:
    """Displacements of one frame: that of the head, and those of the face's two skin layers."""

    def __init__(self, rig: Rig, expression: Float32Array, rotation: Float32Array, translation: Float32Array) -> None:
        """expression: (E,). rotation: (3,) radians. translation: (3,) face heights. All are clamped softly."""
        self.rig = rig
        self.expression = clamp_expression(np.asarray(expression, np.float64)[None])[0]
        if rig.mouth_covered:
            self.expression[list(MOUTH_COLUMNS)] = 0.0
        rotations, translations = np.asarray(rotation, np.float64)[None], np.asarray(translation, np.float64)[None]
        (self.rotation,), (self.translation,) = clamp_pose(rotations, translations, rig.head.limits_rad)
        mouth = rig.face.mouth
        lower_lip = mouth.lower_thickness_px / rig.face.height_px
        self.weights = field_weights(self.expression[None], rig.mouth.gap, lower_lip, mouth.excess_width)[0]
        self.head_moves = _any_motion(self.rotation) or _any_motion(self.translation)
        self.face_moves = _any_motion(self.weights)
        self.mouth_moves = _any_motion(self.weights[list(MOUTH_FIELDS)]) or self._value("lip_tuck") > _MIN_MOTION
        self.head = rig.head.displace(self.rotation, self.translation)
        shifts = np.einsum("j,jlrcd->lrcd", self.weights.astype(np.float32), rig.fields)
        self.skin = [Displacement.on(rig.face_grid, shifts[layer]) for layer in (UPPER, LOWER)]
        self._unposing: tuple[Grid, Float32Array] | None = None

    @property
    def moves(self) -> bool:
        """Whether the head or the skin of the face moves."""
        return self.head_moves or self.face_moves

    def _value(self, shape: str) -> float:
        return float(self.expression[SHAPE_INDEX[shape]])

    def unpose(self, points: Float32Array) -> Float32Array:
        """Return output points (h, w, 2) as they were before the head moved."""
        if not self.head_moves:
            return points
        if self._unposing is None:
            return self.head.backward(points)
        grid, offsets = self._unposing
        return self.head.improve(points + grid.sample(offsets, points), points)

    def unpose_nodes(self, nodes: Float32Array, grid: Grid) -> Float32Array:
        """Return :meth:`unpose` of the nodes (rows, columns, 2) of ``grid``; later calls start from what they show."""
        unposed = self.unpose(nodes)
        if self.head_moves and self.rig.soft is None:  # free views have edges, where it is not smooth
            self._unposing = grid, unposed - nodes
        return unposed

    def source_points(self, unposed: Float32Array) -> Float32Array:
        """Return the source pixels (h, w, 2) of points that :meth:`unpose` returned."""
        face = self.rig.face_grid.window_of(unposed) if self.face_moves else None
        if face is None:
            return unposed
        skin = self.skin[UPPER].backward(unposed[face])
        mouth = self.rig.face.mouth
        t, v = mouth.axes.local(skin.astype(np.float64))
        above = (v - mouth.upper(t)) < 0.0
        rows = np.flatnonzero(~above.all(axis=1))
        if len(rows):
            chin = slice(int(rows[0]), None)
            lower = self.skin[LOWER].backward(unposed[face][chin])
            skin[chin] = np.where(above[chin][..., None], skin[chin], lower)
        source = unposed.copy()
        source[face] = skin
        return source

    def upper_source_points(self, points: Float32Array) -> Float32Array:
        """Return the source pixels of output points (h, w, 2) above the mouth."""
        unposed = self.unpose(points)
        return self.skin[UPPER].backward(unposed) if self.face_moves else unposed

    def mouth_maps(self, points: Float32Array) -> MouthMaps:
        """Return the maps of the mouth at output points (h, w, 2)."""
        mouth, unit = self.rig.face.mouth, self.rig.face.height_px
        skull = self.unpose(points)
        upper, lower = self.skin[UPPER].backward(skull), self.skin[LOWER].backward(skull)
        upper_t, upper_v = mouth.axes.local(upper.astype(np.float64))
        lower_t, lower_v = mouth.axes.local(lower.astype(np.float64))
        skull_t, skull_v = mouth.axes.local(skull.astype(np.float64))
        teeth_v = own_v = skull_v - self._teeth_lowered() * unit
        from_upper_px, from_lower_px = upper_v - mouth.upper(upper_t), lower_v - mouth.lower(lower_t)
        teeth_end = self.rig.mouth.own_teeth_end
        if teeth_end is not None:
            skull_t = own_across(self.rig.face, skull_t, upper_t)
            own_v = own_down(self.rig.face, (skull_t, teeth_v), from_upper_px, teeth_end)
        cell_px = float(np.hypot(*(points[0, 1] - points[0, 0])))
        return MouthMaps(
            upper_points=self._without_shadow(upper, from_upper_px, upper_t, UPPER),
            lower_points=self._without_shadow(lower, from_lower_px, lower_t, LOWER),
            own_points=mouth.axes.pixels(skull_t, own_v).astype(np.float32),
            from_upper_lip=_from_edge(from_upper_px, cell_px) / unit,
            from_lower_lip=_from_edge(from_lower_px, cell_px) / unit,
            skull_u=mouth.normalised(skull_t),
            skull_from_upper=(teeth_v - mouth.upper(skull_t)) / unit,
            skull_from_lower=(skull_v - mouth.lower(skull_t)) / unit,
            lip_u=mouth.normalised(upper_t),
        )

    def _without_shadow(
        self, points: Float32Array, from_edge_px: Float64Array, t: Float64Array, layer: int
    ) -> Float32Array:
        """Return source points (h, w, 2) of one lip moved away from its edge, past the shadow of the seam.

        Closed lips shade each other where they touch. When they part, the lip that was in the shadow is lit: texture
        from beyond the shadow is stretched up to the edge, which stays where the skin has moved it.

        from_edge_px: (h, w) distance below the edge of the lip. t: (h, w) position along the mouth, pixels.
        """
        mouth = self.rig.face.mouth
        outwards = 1.0 if layer == LOWER else -1.0
        thickness = mouth.lower_thickness_px if layer == LOWER else mouth.upper_thickness_px
        band = self._apart() * self.rig.mouth.dark_bands[layer] * self.rig.face.height_px
        if band <= 0.0:
            return points
        reach = Falloff(max(_LIT_REACH * thickness, band))
        lens = np.clip(_LIT_GAIN * (1.0 - mouth.normalised(t) ** 2), 0.0, 1.0)
        shift = outwards * band * lens * reach(np.maximum(outwards * from_edge_px, 0.0))
        return np.asarray(points + shift[..., None] * mouth.axes.down, np.float32)

    def _opened(self) -> float:
        """Return how far the lips have parted by shapes that move them, face heights."""
        weight = dict(zip(FIELD_NAMES, self.weights.tolist(), strict=True))
        parted = weight["jaw"] + weight["part_lower"] + weight["part_upper"] + self._tucked()
        return max(float(parted - weight["close_opened"]), 0.0)

    def _tucked(self) -> float:
        """Return how much of the lower lip is rolled in under the upper teeth, face heights."""
        return TUCK_ROLL * self._value("lip_tuck") * self.rig.face.mouth.lower_thickness_px / self.rig.face.height_px

    def _apart(self) -> float:
        """Return the share of the seam's shadow that the parted lips have lost."""
        return min(self._opened() / _APART, 1.0)

    def mouth_state(self) -> MouthState:
        """Return the numbers that the mouth interior needs."""
        weight = dict(zip(FIELD_NAMES, self.weights.tolist(), strict=True))
        unit, mouth = self.rig.face.height_px, self.rig.face.mouth
        opened = self._opened()
        closing = weight["close_source"] * self.rig.mouth.gap
        press = max(self._value("lips_closed") - _PRESS_FROM, 0.0) / (1.0 - _PRESS_FROM) * _PRESS_ROLL
        pitch, yaw = float(self.rotation[0]), float(self.rotation[1])
        return MouthState(
            jaw=weight["jaw"] * _TEETH_FOLLOW + _jaw_of_lip(weight["part_lower"]) - (1.0 - UPPER_LIP_CLOSES) * closing,
            opened=opened + closing + self._corner_motion(),
            raised=weight["part_upper"],
            sealed=float(smooth_ramp(self.expression[SHAPE_INDEX["lips_closed"]], _SEALS_FROM, 1.0)),
            pucker=float(np.clip(self._value("pucker"), 0.0, 1.0)),
            smile=float(np.clip(self._value("smile"), 0.0, 1.0)),
            roll_upper=press * mouth.upper_thickness_px / unit,
            roll_lower=self._tucked() + press * mouth.lower_thickness_px / unit,
            parallax_u=_PARALLAX_YAW * float(np.sin(yaw)) * 2.0 * unit / mouth.width_px,
            parallax_down=_PARALLAX_PITCH * float(np.sin(pitch)),
        )

    def _teeth_lowered(self) -> float:
        """Return how far the upper teeth follow the upper lip of a wide mouth that closes, face heights."""
        closing = float(self.weights[FIELD_NAMES.index("close_source")]) * self.rig.mouth.gap
        return max(UPPER_LIP_CLOSES * closing - _LIP_COVERS, 0.0)

    def _corner_motion(self) -> float:
        """Return how far the corners of an open mouth move, face heights; its own interior then shows in part only."""
        if self.rig.mouth.gap <= 0.0:
            return 0.0
        return _CORNER_TRAVEL * sum(abs(self._value(shape)) for shape in ("smile", "spread", "pucker"))

    def eye_states(self) -> tuple[tuple[Eye, EyeState], ...]:
        """Return both eyes of the rig with their states; those behind dark lenses stay as they are."""
        gaze, states = (self._value("gaze_x"), self._value("gaze_y")), []
        left, right = self.rig.left_eye, self.rig.right_eye
        for eye, other, blink in ((left, right, "blink_left"), (right, left, "blink_right")):
            hidden = is_behind_dark_lens(eye.lens_brightness, other.lens_brightness)
            states.append((eye, EyeState(0.0, 0.0, 0.0) if hidden else EyeState(self._value(blink), *gaze)))
        return tuple(states)

    def forward(self, points: Float32Array, layer: int) -> Float32Array:
        """Return where points (h, w, 2) of one skin layer move to."""
        moved = self.skin[layer].forward(points)
        return self.head.forward(moved) if self.head_moves else moved

    def mouth_box(self) -> Box:
        """Return the output box around both lips."""
        outline = self.rig.mouth_outline
        points = np.concatenate([self.forward(outline, layer) for layer in (UPPER, LOWER)]).reshape(-1, 2)
        return Box.around(points, max(_MOUTH_PAD * self.rig.face.height_px, _MOUTH_PAD_CELLS * self.rig.head_grid.cell))

    def eye_box(self, eye: Eye, state: EyeState) -> Box:
        """Return the output box around one eye and, if they move, its lids."""
        across, up = eye.reach_px(state.blinks)
        corners = np.array([[a * across, b * up] for a in (-1, 0, 1) for b in (-1, 0, 1)])
        points = eye.frame.axes.pixels(corners[:, 0], corners[:, 1])
        return Box.around(self.forward(points[:, None, :].astype(np.float32), UPPER).reshape(-1, 2))


def _jaw_of_lip(lip_drop: float) -> float:
    """Return the drop of the lower teeth, face heights, for that of a lip that the jaw does not explain."""
    drop = max(lip_drop, 0.0)
    return drop - _MOST_BARED * (1.0 - math.exp(-drop / _MOST_BARED))


def _from_edge(below_px: Float64Array, cell_px: float) -> Float32Array:
    """Return the distance (h, w) from a lip's edge for the vertical one ``below_px`` on nodes ``cell_px`` apart.

    Both are equal where the edge is level; where it is steep, soft edges would be too narrow without the difference.
    """
    below, scale = below_px.astype(np.float32), 0.5 / cell_px
    along, down = (cv2.Sobel(below, cv2.CV_32F, *order, ksize=1, scale=scale) for order in ((1, 0), (0, 1)))
    slope = np.minimum(np.maximum(cv2.magnitude(along, down), np.float32(1.0)), np.float32(_STEEPEST))
    return np.asarray(below / slope, np.float32)


def _any_motion(values: Float64Array) -> bool:
    return bool(np.any(np.abs(values) > _MIN_MOTION))
