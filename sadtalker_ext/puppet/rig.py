"""Rig of a portrait: everything that is measured, painted and tabulated once, before the first frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.backdrop import fill_background, person_mask, soft_matte
from sadtalker_ext.puppet.continued_parts import FacePlace, add_continued_parts
from sadtalker_ext.puppet.drawing import is_drawing
from sadtalker_ext.puppet.drawn_eyes import cheek_colour, flat_skin_at, refine_drawn_eyes
from sadtalker_ext.puppet.drawn_mouth import refine_drawn_mouth
from sadtalker_ext.puppet.expression_fields import build_fields
from sadtalker_ext.puppet.eyes import Eye
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.glasses import is_behind_dark_lens
from sadtalker_ext.puppet.head import build_head
from sadtalker_ext.puppet.lid_outline import refine_lids
from sadtalker_ext.puppet.mouth import build_mouth
from sadtalker_ext.puppet.mouth_seam import refine_seam
from sadtalker_ext.puppet.protrusions import add_protrusions
from sadtalker_ext.puppet.rim_motion import keep_rims_still, remove_brow_motion
from sadtalker_ext.puppet.warp import Box, Grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image, UInt8Array
    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.far_side import FarSide
    from sadtalker_ext.puppet.head import Head
    from sadtalker_ext.puppet.head_back import HeadBack
    from sadtalker_ext.puppet.imaging import Imaging, Texture
    from sadtalker_ext.puppet.mouth import Mouth
    from sadtalker_ext.puppet.warp import Window

_HEAD_NODES: Final = 96
"""Cells along the longer side of the region that can move."""
_FACE_NODES: Final = 104
"""Cells along the longer side of the face box, on which the expression fields are tabulated."""
HEAD_MARGIN_CELLS: Final = 1
"""Cells around the head grid on which the matte is sampled too, so that it can be interpolated up to the border."""
_DISPLACEMENT_MARGIN_CELLS: Final = 2
"""Cells around the head grid on which the head's displacement is computed: the matte's margin and one for its slope."""
_FILL_MARGIN_CELLS: Final = 12
"""Cells around the head grid whose pixels the filled background continues."""
_OUTLINE_POINTS: Final = 13
"""Points on each lip edge that bound the mouth box."""
_OUTLINE_WIDTH: Final = 1.12
"""Reach of these points to both sides, in half mouth widths: a little beyond the corners."""
_OUTLINE_HEIGHT: Final = 0.03
"""Distance of these points above and below the lip edges, in face heights."""


class _Reach(NamedTuple):
    """Size of a box around the face oval's centre, in face heights along the face's own axes."""

    sideways: float
    up: float
    down: float


_FACE_REACH: Final = _Reach(sideways=0.78, up=0.85, down=1.05)
"""The box on which expression fields act: the face with its forehead and the neck, which follows the jaw."""
_HEAD_REACH: Final = _Reach(sideways=2.1, up=2.2, down=1.25)
"""The region that can move with the head: hair on all sides, and the neck."""


@dataclass(frozen=True)
class Rig:
    """A portrait that is ready to be rendered.

    head_grid: the region of the picture that can move; every pixel outside is the picture's own.
    fields: (J, 2 layers, rows, columns, 2) pixels on face_grid. matte: (rows, columns) on the nodes of head_grid with
    HEAD_MARGIN_CELLS, how much a pixel belongs to the moving person. backdrop: the picture with the person filled in.
    mouth_outline: (N, 1, 2) pixels, points that bound both lips. mouth_covered: whether jaw and lips stay as they are.
    soft: a blurred texture with the matte as fourth channel, for parts that a free view squeezes, or None.
    far_side: what is drawn where a free view stretches the far side of a turned face, or None. backs: what a free view
    shows behind the ears. within_face: (rows, columns) on the nodes of head_grid, share of the face, in a free view.
    borders: windows of the picture that nothing covers in a free view.
    """

    picture: Image
    texture: Texture
    face: FaceGeometry
    face_grid: Grid
    fields: Float32Array
    head: Head
    head_grid: Grid
    matte: Float32Array
    backdrop: Image
    mouth: Mouth
    left_eye: Eye
    right_eye: Eye
    mouth_outline: Float32Array
    mouth_covered: bool = False
    soft: Texture | None = None
    far_side: FarSide | None = None
    backs: tuple[HeadBack, ...] = ()
    within_face: Float32Array | None = None
    borders: tuple[Window, ...] = ()


def build_rig(
    picture: Image, mesh: Float32Array, person: Float32Array | None, imaging: Imaging, *, mouth_covered: bool = False
) -> Rig:
    """Return the rig of a portrait: picture (H, W, 3) RGB, mesh (478, 3) pixels, person (H, W) in [0, 1] or None."""
    height, width = picture.shape[:2]
    face = refine_seam(picture, measure_face(mesh))
    drawn = is_drawing(picture, face, mesh)
    flat_skin = cheek_colour(picture, mesh) if drawn else None
    if drawn:
        face = refine_drawn_mouth(picture, refine_drawn_eyes(picture, face, mesh), mesh)
    face = refine_lids(picture, face, drawn=drawn)
    centre = mesh[list(topo.FACE_OVAL), :2].astype(np.float64).mean(0)
    face_grid = Grid.cover(_box(face, centre, _FACE_REACH), _FACE_NODES)
    left_eye, right_eye = (
        Eye(eye, picture, imaging, flat_skin_at(picture, eye, flat_skin)) for eye in (face.left_eye, face.right_eye)
    )
    head_grid = Grid.cover(_box(face, centre, _HEAD_REACH).clipped(width, height), _HEAD_NODES)
    if person is None:
        matte = np.ones(head_grid.nodes(HEAD_MARGIN_CELLS).shape[:2], np.float32)
        backdrop = picture
    else:
        mask = attached_mask(head_grid, picture, person_mask(person, mesh, face.height_px), face)
        matte = matte_on(head_grid, soft_matte(mask, face.height_px))
        backdrop = fill_around(head_grid, picture, mask)
    return Rig(
        picture=picture,
        texture=imaging.texture(picture),
        face=face,
        face_grid=face_grid,
        fields=_expression_fields(face, face_grid, (left_eye, right_eye)),
        head=build_head(face, mesh, head_grid.widened(_DISPLACEMENT_MARGIN_CELLS), (width, height)),
        head_grid=head_grid,
        matte=matte,
        backdrop=backdrop,
        mouth=build_mouth(picture, face, imaging, drawn=drawn),
        left_eye=left_eye,
        right_eye=right_eye,
        mouth_outline=_mouth_outline(face),
        mouth_covered=mouth_covered,
    )


def _expression_fields(face: FaceGeometry, grid: Grid, eyes: tuple[Eye, Eye]) -> Float32Array:
    """Return the fields (J, 2 layers, rows, columns, 2) on the nodes of ``grid``; glasses do not follow the brows."""
    fields = np.ascontiguousarray(build_fields(face, grid.nodes().astype(np.float64)).swapaxes(0, 1), np.float32)
    left, right = (eye.lens_brightness for eye in eyes)
    if is_behind_dark_lens(left, right) and is_behind_dark_lens(right, left):
        remove_brow_motion(fields)
    keep_rims_still(fields, grid, face, [eye.lid_skin.rim_mask for eye in eyes if eye.lid_skin.rim_mask is not None])
    return fields


def _box(face: FaceGeometry, centre: Float64Array, reach: _Reach) -> Box:
    """Return the upright box around a face that may lean."""
    side, up, below = (value * face.height_px for value in reach)
    down = face.axes.down
    across = np.array([-down[1], down[0]])
    return Box.around(np.array([centre + a * across + b * down for a in (-side, side) for b in (-up, below)]))


def matte_on(grid: Grid, matte: Float32Array) -> Float32Array:
    """Return the matte (H, W) at the nodes of ``grid``, margin included."""
    nodes = grid.nodes(HEAD_MARGIN_CELLS)
    columns = np.clip(np.rint(nodes[..., 0]), 0, matte.shape[1] - 1).astype(np.int64)
    rows = np.clip(np.rint(nodes[..., 1]), 0, matte.shape[0] - 1).astype(np.int64)
    on_nodes: Float32Array = matte[rows, columns]
    return on_nodes


def fill_around(
    grid: Grid, picture: Image, mask: UInt8Array, fill: Callable[[Image, UInt8Array], Image] = fill_background
) -> Image:
    """Return the picture with the pixels under ``mask`` replaced by ``fill``, on ``grid`` and a margin around it."""
    window = _fill_window(grid)
    backdrop = picture.copy()
    backdrop[window] = fill(picture[window], mask[window])
    return backdrop


def attached_mask(grid: Grid, picture: Image, mask: UInt8Array, face: FaceGeometry) -> UInt8Array:
    """Return ``mask`` with what stands out of it, on ``grid`` and a margin around it; see :func:`add_protrusions` and
    :func:`~sadtalker_ext.puppet.continued_parts.add_continued_parts`.
    """
    window = _fill_window(grid)
    attached, part = mask.copy(), picture[window]
    with_rims = add_protrusions(part, mask[window], face.height_px)
    origin = np.array([window[1].start, window[0].start])
    place = FacePlace(np.asarray(face.chin, np.float64) - origin, face.axes.down, face.height_px)
    attached[window] = add_continued_parts(part, with_rims, mask[window], place)
    return attached


def _fill_window(grid: Grid) -> Window:
    pad = grid.cell * _FILL_MARGIN_CELLS
    top, left = max(grid.y0 - pad, 0), max(grid.x0 - pad, 0)
    return slice(top, grid.y0 + grid.height + pad), slice(left, grid.x0 + grid.width + pad)


def _mouth_outline(face: FaceGeometry) -> Float32Array:
    mouth = face.mouth
    t = np.linspace(-_OUTLINE_WIDTH * mouth.left_px, _OUTLINE_WIDTH * mouth.right_px, _OUTLINE_POINTS)
    pad = _OUTLINE_HEIGHT * face.height_px
    points = [mouth.axes.pixels(t, v) for v in (mouth.upper(t) - pad, mouth.lower(t) + pad)]
    outline: Float32Array = np.concatenate(points)[:, None, :].astype(np.float32)
    return outline
