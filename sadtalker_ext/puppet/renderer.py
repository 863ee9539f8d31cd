"""The puppet's renderer: a portrait and motion in, frames at the portrait's own resolution out.

Everything moves by smooth displacement, so nothing can tear; the only cuts are the lips and the lids. Each frame is
computed on coarse grids first (where does each output cell come from?), then looked up once at full resolution.
At rest the picture itself is returned, pixel for pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet.basis import SHAPE_INDEX
from sadtalker_ext.puppet.expression_fields import FIELD_NAMES, LOWER, TUCK_ROLL, UPPER, clamp_expression, field_scalars
from sadtalker_ext.puppet.eyes import BLINKS
from sadtalker_ext.puppet.head import clamp_pose
from sadtalker_ext.puppet.imaging import CpuImaging
from sadtalker_ext.puppet.mouth import MouthState, compose_mouth
from sadtalker_ext.puppet.rig import Rig, build_rig
from sadtalker_ext.puppet.warp import Displacement, Grid, cover

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.puppet.eyes import Eye
    from sadtalker_ext.puppet.imaging import Imaging, Pixels

    Array = NDArray[np.float64]
    Array32 = NDArray[np.float32]
    Picture = NDArray[np.uint8]

MOUTH_NODES: Final = 40
EYE_NODES: Final = 20
_STILL_PX: Final = 0.01
"""Displacements below this are no motion."""
_MOUTH_FIELDS: Final = tuple(FIELD_NAMES.index(name) for name in FIELD_NAMES if not name.startswith("brows"))


class PortraitRenderer:
    """A portrait that can move. Frames may be rendered from several threads at once."""

    def __init__(
        self, picture: Picture, mesh: Array32, person: Array32 | None = None, imaging: Imaging | None = None
    ) -> None:
        self.imaging: Imaging = imaging or CpuImaging()
        self.rig: Rig = build_rig(picture, mesh, person, self.imaging)
        self._canvas = self.imaging.array(picture)
        self._backdrop = self.imaging.array(self.rig.backdrop)

    def render_frame(self, expression: Array32, rotation: Array32, translation: Array32) -> Picture:
        """One frame (H, W, 3) uint8 for expression (E,), rotation (3,) rad and translation (3,) face heights."""
        pose = _Pose(self.rig, expression, rotation, translation)
        canvas = self.imaging.copy(self._canvas)
        if pose.moves:
            self._warp_stage(canvas, pose)
        if pose.mouth_moves:
            self._draw_mouth(canvas, pose)
        for eye, shape in ((self.rig.left_eye, "blink_left"), (self.rig.right_eye, "blink_right")):
            state = (float(pose.expression[SHAPE_INDEX[shape]]), *pose.gaze)
            if any(abs(value) > 1e-3 for value in state):
                self._draw_eye(canvas, pose, eye, state)
        return self.imaging.to_numpy(canvas)

    def place_points(
        self, points: Array32, below_mouth: NDArray[np.bool_], motion: tuple[Array32, Array32, Array32]
    ) -> Array32:
        """Where skin points (N, 2) of the picture lie in the frame for ``motion`` (the arguments of :meth:`render_frame`).

        below_mouth: (N,) whether a point belongs to the lower lip or what hangs on it. Lids are not followed.
        """
        pose = _Pose(self.rig, *motion)
        layers = [pose.forward(points[:, None].astype(np.float32), layer)[:, 0] for layer in (UPPER, LOWER)]
        return np.where(below_mouth[:, None], layers[LOWER], layers[UPPER])

    def _warp_stage(self, canvas: Picture, pose: _Pose) -> None:
        rig, imaging = self.rig, self.imaging
        nodes = rig.stage.nodes(margin=1)
        still, source = pose.unpose(nodes)
        matte = _matte_at(rig, still)
        moved = (np.abs(source - nodes).max(axis=-1) > _STILL_PX) & ((matte > 0.002) | (rig.matte > 0.002))
        if not moved.any():
            return
        part, nodes_box = _moving_part(rig.stage, moved)
        window, inner = _window(part, canvas.shape)
        texels = (source[nodes_box] - np.asarray(rig.texture.origin, np.float32)) * np.float32(rig.texture.scale)
        front = imaging.sample_texels(rig.texture, imaging.upsample(texels, part.cell)[inner])
        share = matte[nodes_box]
        if float(share.min()) > 0.999:
            canvas[window] = imaging.to_uint8(front)
        else:
            cover_share = imaging.upsample(share[..., None], part.cell)[inner][..., 0]
            canvas[window] = imaging.blend(front, self._backdrop[window], cover_share)

    def _draw_mouth(self, canvas: Picture, pose: _Pose) -> None:
        rig, imaging = self.rig, self.imaging
        grid = cover(pose.mouth_box(), MOUTH_NODES)
        window, inner = _window(grid, canvas.shape)
        if canvas[window].size == 0:
            return
        maps = imaging.upsample(pose.mouth_maps(grid.nodes(margin=1)), grid.cell)[inner]
        levels = compose_mouth(rig.mouth, rig.texture, maps, pose.mouth_state(), imaging)
        self._lay(canvas, window, inner, levels, grid)

    def _draw_eye(self, canvas: Picture, pose: _Pose, eye: Eye, state: tuple[float, float, float]) -> None:
        imaging = self.imaging
        grid = cover(pose.eye_box(eye, state[0] >= BLINKS), EYE_NODES)
        window, inner = _window(grid, canvas.shape)
        if canvas[window].size == 0:
            return
        maps = imaging.upsample(pose.unpose_skin(grid.nodes(margin=1)), grid.cell)[inner]
        self._lay(canvas, window, inner, eye.compose(self.rig.texture, maps, state, imaging), grid)

    def _lay(
        self, canvas: Pixels, window: tuple[slice, slice], inner: tuple[slice, slice], levels: Pixels, grid: Grid
    ) -> None:
        """Put a box of levels on the canvas, feathered at its border."""
        imaging = self.imaging
        feather = imaging.array(_feather(grid.height, grid.width))[inner]
        below = imaging.to_float(canvas[window])
        mixed = levels * feather[..., None] + below * (1.0 - feather)[..., None]
        canvas[window] = imaging.to_uint8(mixed)


def _feather(height: int, width: int) -> Array32:
    """1 inside, falling to 0 over the outer tenth: (height, width)."""

    def ramp(size: int) -> Array:
        edge = max(2.0, 0.08 * size)
        position = np.arange(size) + 0.5
        return np.clip(np.minimum(position, size - position) / edge, 0.0, 1.0)

    return (ramp(height)[:, None] * ramp(width)[None, :]).astype(np.float32)


def _moving_part(stage: Grid, moved: NDArray[np.bool_]) -> tuple[Grid, tuple[slice, slice]]:
    """The cells that move, with one more around them, and the slices of their nodes (margin cells included)."""
    rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    top, bottom = max(int(rows[0]) - 1, 1), min(int(rows[-1]) + 1, stage.rows)
    left, right = max(int(columns[0]) - 1, 1), min(int(columns[-1]) + 1, stage.columns)
    part = Grid(
        stage.x0 + (left - 1) * stage.cell,
        stage.y0 + (top - 1) * stage.cell,
        stage.cell,
        bottom - top + 1,
        right - left + 1,
    )
    return part, (slice(top - 1, bottom + 2), slice(left - 1, right + 2))


def _window(grid: Grid, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The grid's pixels that lie in the picture: slices of the picture and of the grid's own pixels."""
    top, left = max(grid.y0, 0), max(grid.x0, 0)
    bottom, right = max(min(grid.y0 + grid.height, shape[0]), top), max(min(grid.x0 + grid.width, shape[1]), left)
    picture = (slice(top, bottom), slice(left, right))
    own = (slice(top - grid.y0, bottom - grid.y0), slice(left - grid.x0, right - grid.x0))
    return picture, own


def _matte_at(rig: Rig, points: Array32) -> Array32:
    """How much the moving person covers the output at points already turned back into the source."""
    return rig.stage.widened(1).sample(rig.matte, points)


class _Pose:
    """One frame's displacements: the head's, and the two skin layers' of the face."""

    def __init__(self, rig: Rig, expression: Array32, rotation: Array32, translation: Array32) -> None:
        self.rig = rig
        self.expression = clamp_expression(np.asarray(expression, np.float64)[None])[0]
        turned, shifted = clamp_pose(np.asarray(rotation, np.float64)[None], np.asarray(translation, np.float64)[None])
        self.rotation, self.translation = turned[0], shifted[0]
        lower_lip = rig.face.mouth.lower_thickness_px / rig.face.height_px
        self.scalars = field_scalars(self.expression[None], rig.mouth.gap, lower_lip)[0]
        self.head_moves = bool(np.any(np.abs(self.rotation) > 1e-5) or np.any(np.abs(self.translation) > 1e-5))
        self.face_moves = bool(np.any(np.abs(self.scalars) > 1e-5))
        self.moves = self.head_moves or self.face_moves
        self.mouth_moves = bool(np.any(np.abs(self.scalars[list(_MOUTH_FIELDS)]) > 1e-5)) or self._rolls()
        self.gaze = (float(self.expression[SHAPE_INDEX["gaze_x"]]), float(self.expression[SHAPE_INDEX["gaze_y"]]))
        self.head = rig.head.displace(self.rotation, self.translation)
        shifts = np.einsum("j,jlrcd->lrcd", self.scalars.astype(np.float32), rig.fields)
        self.skin = [Displacement.on(rig.face_grid, shifts[layer]) for layer in (UPPER, LOWER)]

    def _rolls(self) -> bool:
        return float(self.expression[SHAPE_INDEX["lip_tuck"]]) > 1e-5

    def unpose(self, points: Array32) -> tuple[Array32, Array32]:
        """Output points -> the same points before head motion, and their source pixels."""
        still = self.head.backward(points) if self.head_moves else points
        face = self.rig.face_grid.window_of(still) if self.face_moves else None
        if face is None:
            return still, still
        upper = self.skin[UPPER].backward(still[face])
        lower = self.skin[LOWER].backward(still[face])
        mouth = self.rig.face.mouth
        t, v = mouth.axes.local(upper.astype(np.float64))
        above = (v - mouth.upper(t)) < 0.0
        source = still.copy()
        source[face] = np.where(above[..., None], upper, lower)
        return still, source

    def unpose_skin(self, points: Array32) -> Array32:
        """Output points above the mouth -> their source pixels."""
        still = self.head.backward(points) if self.head_moves else points
        return self.skin[UPPER].backward(still) if self.face_moves else still

    def mouth_maps(self, points: Array32) -> Array32:
        """Channels of :data:`sadtalker_ext.puppet.mouth.CHANNELS` at output points (h, w, 2)."""
        mouth, unit = self.rig.face.mouth, self.rig.face.height_px
        still = self.head.backward(points) if self.head_moves else points
        upper, lower = self.skin[UPPER].backward(still), self.skin[LOWER].backward(still)
        tu, vu = mouth.axes.local(upper.astype(np.float64))
        tl, vl = mouth.axes.local(lower.astype(np.float64))
        ts, vs = mouth.axes.local(still.astype(np.float64))
        channels = [
            upper[..., 0], upper[..., 1], lower[..., 0], lower[..., 1], still[..., 0], still[..., 1],
            (vu - mouth.upper(tu)) / unit, (vl - mouth.lower(tl)) / unit,
            mouth.normalised(ts), (vs - mouth.upper(ts)) / unit, (vs - mouth.lower(ts)) / unit,
            mouth.normalised(tu),
        ]  # fmt: skip
        maps: Array32 = np.stack(channels, axis=-1).astype(np.float32)
        return maps

    def mouth_state(self) -> MouthState:
        """Numbers the mouth interior needs."""
        value = {name: float(self.expression[index]) for name, index in SHAPE_INDEX.items()}
        scalar = dict(zip(FIELD_NAMES, self.scalars.tolist(), strict=True))
        unit = self.rig.face.height_px
        mouth = self.rig.face.mouth
        rolled = TUCK_ROLL * value["lip_tuck"] * mouth.lower_thickness_px / unit
        parted = scalar["jaw"] + scalar["part_lower"] + scalar["part_upper"] + rolled
        opened = max(parted - scalar["close_opened"], 0.0)
        closing = scalar["close_source"] * self.rig.mouth.gap
        press = max(value["lips_closed"] - 0.6, 0.0) / 0.4 * 0.10
        return MouthState(
            jaw=scalar["jaw"] * 0.96,
            opened=opened + closing,
            roll_upper=press * mouth.upper_thickness_px / unit,
            roll_lower=rolled + press * mouth.lower_thickness_px / unit,
            parallax=(
                0.07 * float(np.sin(self.rotation[1])) * 2.0 * unit / mouth.width_px,
                0.05 * float(np.sin(self.rotation[0])),
            ),
        )

    def forward(self, points: Array32, layer: int) -> Array32:
        """Where points (h, w, 2) of one skin layer go."""
        moved = self.skin[layer].forward(points)
        return self.head.forward(moved) if self.head_moves else moved

    def mouth_box(self) -> tuple[float, float, float, float]:
        """Output box (left, top, right, bottom) around both lips."""
        points = np.concatenate([self.forward(self.rig.outline, layer) for layer in (UPPER, LOWER)]).reshape(-1, 2)
        pad = max(0.012 * self.rig.face.height_px, 1.6 * self.rig.stage.cell)
        low, high = points.min(0) - pad, points.max(0) + pad
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def eye_box(self, eye: Eye, blinks: bool) -> tuple[float, float, float, float]:
        """Output box around one eye and, if they move, its lids."""
        across, up = eye.reach_px(blinks)
        axes = eye.frame.axes
        corners = np.array([[a * across, b * up] for a in (-1, 0, 1) for b in (-1, 0, 1)])
        points = axes.origin + corners[:, :1] * axes.along + corners[:, 1:] * axes.down
        moved = self.forward(points[:, None, :].astype(np.float32), UPPER).reshape(-1, 2)
        low, high = moved.min(0), moved.max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])
