"""Geometric portrait renderer: renders frames of a portrait at its own resolution from motion.

Everything moves by smooth displacements, so nothing can tear; the only cuts are the lips and the lids. Each frame is
computed on coarse grids first (where does each output cell come from?), then looked up once at full resolution.
At rest the frame is the source picture, pixel for pixel.
"""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.expression_fields import LOWER, UPPER
from sadtalker_ext.puppet.free_view import free_view_rig
from sadtalker_ext.puppet.grid_blocks import blocks, clear_hidden
from sadtalker_ext.puppet.imaging import CpuImaging
from sadtalker_ext.puppet.mouth_compositing import compose_mouth
from sadtalker_ext.puppet.mouth_maps import MouthMaps
from sadtalker_ext.puppet.pose import Pose
from sadtalker_ext.puppet.rig import HEAD_MARGIN_CELLS, Rig, build_rig
from sadtalker_ext.puppet.warp import Grid, squeezed_footprints, stretched_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Frame, Image
    from sadtalker_ext.puppet.backend_array import BackendArray
    from sadtalker_ext.puppet.eyes import Eye, EyeState
    from sadtalker_ext.puppet.imaging import Imaging
    from sadtalker_ext.puppet.warp import Window

_MOUTH_NODES: Final = 40
"""Cells along the longer side of the mouth box."""
_EYE_NODES: Final = 20
"""Cells along the longer side of an eye box."""
_BOX_MARGIN_CELLS: Final = 1
"""Cells around a box that :meth:`~sadtalker_ext.puppet.imaging.Imaging.upsample` needs for its border."""
_STILL_PX: Final = 0.01
"""Displacements below this are no motion."""
_MIN_MATTE: Final = 0.002
"""Matte below which a pixel is background; half a level of 255."""
_WHOLE_MATTE: Final = 0.999
"""Matte above which a pixel is foreground only, so that blending can be skipped."""
_IN_FOOTPRINT: Final = np.array([-0.375, -0.125, 0.125, 0.375], np.float32).reshape(-1, 1, 1, 1)
"""Places in what a squeezed pixel shows, as shares of its length, whose mean is its colour: up to 7 source pixels."""
_ACROSS_EDGE: Final = np.float32(4.0)
"""Lengths over which that mean is taken in the face. What the far side of the nose hides is squeezed to a strip of
some pixels, where its shading would be a dark line; a mean over so much contains the skin on both sides."""
_OPAQUE: Final = 255.0
"""Level of a soft texture's last channel where it hides the backdrop."""
_FEATHER_SHARE: Final = 0.08
_MIN_FEATHER_PX: Final = 2.0
"""Width of a box's feathered border, as a share of the box, and its minimum."""


class PortraitRenderer:
    """A portrait that can be rendered in motion. Several threads may render frames at once.

    rig: what was measured and prepared once. imaging: backend of the pixel operations.
    """

    def __init__(
        self,
        picture: Image,
        mesh: Float32Array,
        person: Float32Array | None = None,
        imaging: Imaging | None = None,
        *,
        mouth_covered: bool = False,
    ) -> None:
        """Prepare a portrait.

        picture: (H, W, 3) RGB. mesh: (478, 3) MediaPipe mesh in pixels, whole numbers at pixel centres. person: (H, W)
        segmentation of the foreground in [0, 1]; without it the background moves with the head. imaging: OpenCV by
        default. mouth_covered: whether jaw and lips stay as they are, because something is in front of the mouth.
        """
        self.imaging: Imaging = imaging or CpuImaging()
        self.rig: Rig = build_rig(picture, mesh, person, self.imaging, mouth_covered=mouth_covered)
        self._mesh, self._person = mesh, person
        self._picture = self.imaging.array(picture)
        self._backdrop = self.imaging.array(self.rig.backdrop)
        self._free_view: PortraitRenderer | None = None

    def free_view(self) -> PortraitRenderer:
        """Return the renderer of the same portrait for rotations up to FREE_VIEW_LIMITS_RAD.

        It is prepared at the first call and kept. Frames at rest are the picture, as here. Call it from one thread.
        """
        if self.rig.soft is not None:
            return self
        if self._free_view is None:
            wide = copy(self)
            wide.rig = free_view_rig(self.rig, self._mesh, self._person, self.imaging)
            wide._backdrop = self.imaging.array(wide.rig.backdrop)
            self._free_view = wide
        return self._free_view

    def render_frame(self, expression: Float32Array, rotation: Float32Array, translation: Float32Array) -> Frame:
        """Return one frame (H, W, 3) uint8.

        expression: (E,), the shapes of :mod:`~sadtalker_ext.puppet.basis`. rotation: (3,) pitch, yaw and roll in
        radians. translation: (3,) right, down and towards the camera in face heights.
        """
        pose = Pose(self.rig, expression, rotation, translation)
        canvas = self.imaging.copy(self._picture)
        inside = self._draw_head(canvas, pose) if pose.moves else None
        if pose.mouth_moves:
            self._draw_mouth(canvas, pose, inside)
        for eye, state in pose.eye_states():
            if state.moves:
                self._draw_eye(canvas, (pose, inside), eye, state)
        for border in self.rig.borders:
            canvas[border] = self._picture[border]
        return self.imaging.to_numpy(canvas)

    def place_points(
        self,
        points: Float32Array,
        below_mouth: NDArray[np.bool_],
        motion: tuple[Float32Array, Float32Array, Float32Array],
    ) -> Float32Array:
        """Return where skin points (N, 2) of the picture are in the frame for ``motion``.

        below_mouth: (N,) whether a point moves with the lower lip. motion: the arguments of :meth:`render_frame`.
        Motion of the lids is not included.
        """
        pose = Pose(self.rig, *motion)
        layers = [pose.forward(points[:, None].astype(np.float32), layer)[:, 0] for layer in (UPPER, LOWER)]
        return np.where(below_mouth[:, None], layers[LOWER], layers[UPPER])

    def _draw_head(self, canvas: BackendArray, pose: Pose) -> Float32Array | None:
        """Draw the warped picture where it differs from the source, over the backdrop.

        Return, in a free view, what is inside the outline of the person by more than a cell: a share at the nodes.
        """
        rig, imaging = self.rig, self.imaging
        nodes = rig.head_grid.nodes(HEAD_MARGIN_CELLS)
        grid = rig.head_grid.widened(HEAD_MARGIN_CELLS)
        unposed = pose.unpose_nodes(nodes, grid)
        source = pose.source_points(unposed)
        matte = grid.sample(rig.matte, unposed)
        visible = (matte > _MIN_MATTE) | (rig.matte > _MIN_MATTE)
        x, y = cv2.split(np.abs(source - nodes))
        moved = (np.maximum(x, y) > _STILL_PX) & visible
        if not moved.any():
            return None
        part, nodes_window = _moving_part(rig.head_grid, moved)
        window, inner = part.pixel_windows(*canvas.shape[:2])
        texels = (source[nodes_window] - np.asarray(rig.texture.origin, np.float32)) * np.float32(rig.texture.scale)
        front = imaging.sample_texels(rig.texture, imaging.upsample(texels, part.cell)[inner])
        if rig.far_side is not None:
            front = self._with_far_side(front, source[nodes_window], (part, inner))
        share = matte[nodes_window]
        if float(share.min()) > _WHOLE_MATTE:
            canvas[window] = imaging.to_uint8(front)
        else:
            pixel_share = imaging.upsample(share[..., None], part.cell)[inner][..., 0]
            canvas[window] = imaging.blend(front, self._backdrop[window], pixel_share)
        self._draw_squeezed(canvas, source[nodes_window], part)
        clear_hidden(canvas, self._backdrop, pose.head, (unposed[nodes_window], part), imaging)
        for back in rig.backs:
            back.draw(canvas, (pose.head, pose.rotation), (source[nodes_window], part), imaging)
        if rig.soft is None:
            return None
        return np.asarray(cv2.erode(matte * pose.head.seen_at(unposed), np.ones((3, 3), np.uint8)), np.float32)

    def _draw_squeezed(self, canvas: BackendArray, source: Float32Array, part: Grid) -> None:
        """Draw means of the soft texture over the backdrop where the picture is squeezed, because it would alias there.

        source: where the nodes of ``part`` come from.
        """
        share, footprints = squeezed_footprints(source, part.cell)
        soft = self.rig.soft
        if soft is None or not share.any():
            return
        if self.rig.within_face is not None:
            in_face = self.rig.head_grid.sample(self.rig.within_face, source)
            footprints *= (1.0 + (_ACROSS_EDGE - 1.0) * in_face)[..., None]
        scale = np.float32(soft.scale)
        texels = (source - np.asarray(soft.origin, np.float32)) * scale
        maps = np.concatenate([texels, footprints * scale, share[..., None]], axis=-1)
        for block, nodes in blocks(part, share > 0.0):
            self._draw_block(canvas, maps[nodes], block)

    def _draw_block(self, canvas: BackendArray, maps: Float32Array, block: Grid) -> None:
        """Draw a block of :meth:`_draw_squeezed`; maps: (rows, columns, 5), places and footprints in texels, shares."""
        imaging, soft = self.imaging, self.rig.soft
        window, inner = block.pixel_windows(*canvas.shape[:2])
        if soft is None or _is_empty(window):
            return
        fine = imaging.upsample(maps, block.cell)[inner]
        offsets = imaging.array(_IN_FOOTPRINT)
        places = (fine[..., :2] + offsets * fine[..., 2:4]).reshape(-1, *fine.shape[1:2], 2)
        samples = imaging.to_float(imaging.sample_texels(soft, places))
        mean = samples.reshape(len(_IN_FOOTPRINT), *fine.shape[:2], -1).mean(0)
        behind = imaging.to_float(self._backdrop[window]) * (1.0 - mean[..., 3:] / _OPAQUE)
        canvas[window] = imaging.blend(imaging.to_uint8(mean[..., :3] + behind), canvas[window], fine[..., 4])

    def _with_far_side(self, front: BackendArray, source: Float32Array, place: tuple[Grid, Window]) -> BackendArray:
        """Return ``front`` with the mirrored near side where the far side of a turned face is stretched.

        source: where the nodes of the grid come from. place: the grid, and the window of it that ``front`` covers.
        """
        part, inner = place
        far = self.rig.far_side
        if far is None:
            return front
        share = far.grid.sample(far.share, source) * stretched_share(source, part.cell)
        if not share.any():
            return front
        imaging = self.imaging
        mirrored = imaging.sample(far.texture, imaging.upsample(source, part.cell)[inner])
        return imaging.blend(mirrored, front, imaging.upsample(share[..., None], part.cell)[inner][..., 0])

    def _draw_mouth(self, canvas: BackendArray, pose: Pose, inside: Float32Array | None) -> None:
        rig, imaging = self.rig, self.imaging
        grid = Grid.cover(pose.mouth_box(), _MOUTH_NODES)
        window, inner = grid.pixel_windows(*canvas.shape[:2])
        if _is_empty(window):
            return
        channels = pose.mouth_maps(grid.nodes(_BOX_MARGIN_CELLS)).to_channels()
        maps = MouthMaps.from_channels(imaging.upsample(channels, grid.cell)[inner])
        levels = compose_mouth(rig.mouth, rig.texture, maps, pose.mouth_state(), imaging)
        self._paste(canvas, levels, grid, inside)

    def _draw_eye(
        self, canvas: BackendArray, place: tuple[Pose, Float32Array | None], eye: Eye, state: EyeState
    ) -> None:
        imaging, (pose, inside) = self.imaging, place
        grid = Grid.cover(pose.eye_box(eye, state), _EYE_NODES)
        window, inner = grid.pixel_windows(*canvas.shape[:2])
        if _is_empty(window):
            return
        points = imaging.upsample(pose.upper_source_points(grid.nodes(_BOX_MARGIN_CELLS)), grid.cell)[inner]
        self._paste(canvas, eye.compose(self.rig.texture, points, state, imaging), grid, inside)

    def _paste(self, canvas: BackendArray, levels: BackendArray, grid: Grid, inside: Float32Array | None) -> None:
        """Paste the levels of a box, as far as it is in the picture, with a feathered border.

        inside: what :meth:`_draw_head` returned; the outline of the person stays as it was drawn there.
        """
        imaging = self.imaging
        window, inner = grid.pixel_windows(*canvas.shape[:2])
        weight = imaging.array(_feather(grid.height, grid.width))[inner]
        if inside is not None:
            head_grid = self.rig.head_grid.widened(HEAD_MARGIN_CELLS)
            share = head_grid.sample(inside, grid.nodes(_BOX_MARGIN_CELLS))
            if float(share.min()) < _WHOLE_MATTE:
                weight = weight * imaging.upsample(share[..., None], grid.cell)[inner][..., 0]
        below = imaging.to_float(canvas[window])
        mixed = levels * weight[..., None] + below * (1.0 - weight)[..., None]
        canvas[window] = imaging.to_uint8(mixed)


def _is_empty(window: Window) -> bool:
    return any(part.start >= part.stop for part in window)


@lru_cache(maxsize=64)
def _feather(height: int, width: int) -> Float32Array:
    """Return weights (height, width): 1 inside, falling to 0 towards the border. Calls share them."""

    def ramp(size: int) -> Float64Array:
        edge = max(_MIN_FEATHER_PX, _FEATHER_SHARE * size)
        position = np.arange(size) + 0.5
        return np.clip(np.minimum(position, size - position) / edge, 0.0, 1.0)

    return (ramp(height)[:, None] * ramp(width)[None, :]).astype(np.float32)


def _moving_part(grid: Grid, moved: NDArray[np.bool_]) -> tuple[Grid, Window]:
    """Return the cells that move, with one more around them, and the window of their nodes (margin cells included).

    moved: (rows + 2, columns + 2) on the nodes of ``grid`` with one margin cell.
    """
    rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    top, bottom = max(int(rows[0]) - 1, 1), min(int(rows[-1]) + 1, grid.rows)
    left, right = max(int(columns[0]) - 1, 1), min(int(columns[-1]) + 1, grid.columns)
    x0, y0 = grid.x0 + (left - 1) * grid.cell, grid.y0 + (top - 1) * grid.cell
    part = Grid(x0, y0, grid.cell, bottom - top + 1, right - left + 1)
    return part, (slice(top - 1, bottom + 2), slice(left - 1, right + 2))
