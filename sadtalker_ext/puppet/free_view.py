"""Rig for large rotations: a solid head on a finer grid, a background with texture, and pixels beyond the border.

It is made from the rig for ordinary head motion, once per portrait and only when it is needed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.backdrop import MASK_SET, close_gaps, fill_textured, grow_mask, person_mask, soft_matte
from sadtalker_ext.puppet.far_side import build_far_side
from sadtalker_ext.puppet.head_back import build_backs
from sadtalker_ext.puppet.picture_border import border_windows, inside_border, without_border
from sadtalker_ext.puppet.profiles import smooth_ramp
from sadtalker_ext.puppet.rig import (
    Rig,
    attached_mask,
    fill_around,
    matte_on,
)
from sadtalker_ext.puppet.solid_head import build_solid_head
from sadtalker_ext.puppet.uncertain_background import without_background
from sadtalker_ext.puppet.warp import Box, Grid, Window

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Image
    from sadtalker_ext.puppet.imaging import Imaging, Texture

_NODES: Final = 160
"""Cells along the longer side of the region that can move: fine enough for the edge of a cheek before the hair."""
_MARGIN_CELLS: Final = 12
"""Cells around the grid on which the displacement is computed, for what a rotation brings in from outside."""
_FOREGROUND_FROM: Final = 0.15
"""Segmentation values above this are foreground: loose hair and lace that stayed behind would be seen."""
_GAPS: Final = 0.08
"""Radius in face heights of gaps in the mask that move with the head."""
_FILL_GROWTH: Final = 0.04
"""Further growth of the filled mask in face heights, so that loose hair does not stay behind when the head turns."""
_SOFT_SCALE: Final = 2
_SOFT_BLUR_PX: Final = 1.0
"""Reduction and blur of the texture for squeezed parts, which shrink about five times in one direction."""
_BEYOND: Final = 0.5
"""Width in face heights of the mirrored pixels beyond the border of the picture."""
_JOINT: Final = 0.15
"""Distance beyond the border in face heights within which the picture's last pixels fade into the background."""
_CUT_FROM: Final = 0.5
_CUT_WHOLE: Final = 0.75
"""Share of the person at the border from which and at which it cuts the person: mirrored hair continues it there.
Elsewhere the background is mirrored."""
_STRANDS: Final = 0.05
_STRANDS_FROM: Final = 0.15
"""Distance in face heights from a certain part within which a border that is only possibly the person, such as one
that cuts strands with gaps, counts as certain, and the least share of the person there."""
_NARROWING: Final = 0.5
_SOFT: Final = 0.04
"""How much narrower at each end the person is with each pixel beyond the border, and the width of its edge in face
heights."""

_INNER_FACE: Final = 0.94
_FACE_EDGE: Final = 0.02
"""Scale of the oval that counts as the face, and the softness of its edge in face heights."""


def free_view_rig(rig: Rig, mesh: Float32Array, person: Float32Array | None, imaging: Imaging) -> Rig:
    """Return the rig for large rotations of the portrait that ``rig`` was built from; see ``build_rig``."""
    height, width = rig.picture.shape[:2]
    unit, old = rig.face.height_px, rig.head_grid
    inside = inside_border(rig.picture)
    picture = without_border(rig.picture, inside)
    box = Box(old.x0, old.y0, old.x0 + old.width - 1, old.y0 + old.height - 1).clipped(width, height)
    grid = Grid.cover(box, _NODES)
    alpha, backdrop = np.ones((height, width), np.float32), rig.backdrop
    if person is not None:
        person = without_border(person, inside)
        mask = close_gaps(person_mask(person, mesh, unit, _FOREGROUND_FROM), _GAPS * unit)
        mask = without_background(picture, mask, person, (mesh[list(topo.FACE_OVAL), :2].mean(axis=0), unit))
        mask = attached_mask(grid, picture, mask, rig.face)
        alpha = soft_matte(mask, unit)
        filled = grow_mask(mask, _FILL_GROWTH * unit)
        backdrop = fill_around(grid, picture, filled, partial(fill_textured, height_px=unit))
    covered = _covered(inside, grid, round(_BEYOND * unit))
    origin = covered.first
    if person is None:
        beyond = _beyond(picture, covered)
    else:
        away = _distance_beyond(covered)
        share = _cut_share(person, covered, away, unit)
        beyond = _without_copies((picture, backdrop), share, covered, away, _JOINT * unit)
    wider = grid.widened(_MARGIN_CELLS)
    return replace(
        rig,
        texture=imaging.texture(beyond, origin),
        soft=_soft_texture(beyond, _matte_beyond(alpha, covered), origin, imaging),
        head=build_solid_head(rig.face, mesh, wider, (width, height), person),
        head_grid=grid,
        matte=matte_on(grid, alpha),
        backdrop=backdrop,
        far_side=build_far_side(picture, mesh, person, (rig.face, grid), imaging),
        backs=build_backs((picture, backdrop), mesh, person, (rig.face, grid), imaging),
        borders=border_windows((height, width), inside),
        within_face=_within_face(mesh, unit, grid),
    )


def _within_face(mesh: Float32Array, unit: float, grid: Grid) -> Float32Array:
    """Return the share of the face (rows, columns) at the nodes of ``grid``, 1 inside its oval and 0 outside of it."""
    oval = mesh[list(topo.FACE_OVAL), :2]
    inner = oval.mean(axis=0) + _INNER_FACE * (oval - oval.mean(axis=0))
    corners = np.rint((inner - grid.nodes()[0, 0]) / grid.cell).astype(np.int32)
    inside = cv2.fillPoly(np.zeros((grid.rows, grid.columns), np.float32), [corners], (1.0,))
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), _FACE_EDGE * unit / grid.cell), np.float32)


class _Covered(NamedTuple):
    """What a grid covers of a picture, and the rows above and below and columns on both sides that the picture lacks.

    first: the first pixel of both together, x and y.
    """

    part: Window
    missing: tuple[int, int, int, int]
    first: tuple[float, float]


def _beyond(picture: Image, covered: _Covered) -> Image:
    """Return what is covered of a picture, mirrored beyond its border."""
    part = picture[covered.part]
    return np.asarray(cv2.copyMakeBorder(part, *covered.missing, borderType=cv2.BORDER_REFLECT_101), np.uint8)


def _cut_share(person: Float32Array, covered: _Covered, away: Float32Array, unit: float) -> Float32Array:
    """Return 1 in the picture and, beyond it, how much the border there cuts the person (H, W); as :func:`_beyond`.

    away: (H, W) distance in pixels from the picture.
    """
    part = person[covered.part]
    side = 2 * max(1, round(_STRANDS * unit)) + 1
    beside = cv2.dilate(part, np.ones((side, side), np.uint8))
    certain = smooth_ramp(np.where(part > _STRANDS_FROM, beside, part), _CUT_FROM, _CUT_WHOLE).astype(np.float32)
    share = np.asarray(cv2.copyMakeBorder(certain, *covered.missing, borderType=cv2.BORDER_REPLICATE), np.float32)
    above, _, left, _ = covered.missing
    share[above : above + certain.shape[0], left : left + certain.shape[1]] = 1.0
    along = cv2.distanceTransform((share > 0.0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    narrower = smooth_ramp(along - _NARROWING * away, 0.0, _SOFT * unit)
    return np.minimum(share, narrower.astype(np.float32))


def _without_copies(
    pictures: tuple[Image, Image], share: Float32Array, covered: _Covered, away: Float32Array, joint_px: float
) -> Image:
    """Return the picture as :func:`_beyond`, but where ``share`` (H, W) is 0 with the background beyond the border.

    pictures: the picture and its background (H, W, 3). There is no copy of the person beyond the border. The difference
    of both at the border fades out within ``joint_px``, so that it shows no seam. away: as for :func:`_cut_share`.
    """
    mirrored, behind = (_beyond(picture, covered) for picture in pictures)
    joined = np.asarray(cv2.blendLinear(mirrored, behind, share, 1.0 - share), np.uint8)
    if not any(covered.missing):
        return joined
    picture, background = (part[covered.part].astype(np.int16) for part in pictures)
    step = cv2.copyMakeBorder(picture - background, *covered.missing, borderType=cv2.BORDER_REPLICATE)
    fading = smooth_ramp(away, joint_px, 0.0) * (1.0 - share)
    return np.asarray(np.clip(np.rint(joined + step * fading[..., None]), 0.0, 255.0), np.uint8)


def _distance_beyond(covered: _Covered) -> Float32Array:
    """Return the distance (H, W) in pixels of what :func:`_beyond` returns from the picture."""
    above, below, left, right = covered.missing
    outside = []
    for span, before, after in zip(covered.part, (above, left), (below, right), strict=True):
        length = span.stop - span.start
        place = np.arange(-before, length + after, dtype=np.float32)
        outside.append(np.maximum(np.maximum(-place, place - (length - 1)), 0.0))
    return np.asarray(np.hypot(outside[0][:, None], outside[1]), np.float32)


def _covered(inside: Window, grid: Grid, margin_px: int) -> _Covered:
    """Return what ``grid`` and ``margin_px`` around it cover of the window ``inside`` of a picture."""
    rows, columns = inside
    left, top = grid.x0 - margin_px, grid.y0 - margin_px
    right, bottom = grid.x0 + grid.width + margin_px, grid.y0 + grid.height + margin_px
    part = (
        slice(max(top, rows.start), min(bottom, rows.stop)),
        slice(max(left, columns.start), min(right, columns.stop)),
    )
    missing = (
        max(rows.start - top, 0), max(bottom - rows.stop, 0),
        max(columns.start - left, 0), max(right - columns.stop, 0),
    )  # fmt: skip
    return _Covered(part, missing, (float(left), float(top)))


def _matte_beyond(matte: Float32Array, covered: _Covered) -> Float32Array:
    """Return what is covered of a matte (H, W), continued beyond the border."""
    part = matte[covered.part]
    return np.asarray(cv2.copyMakeBorder(part, *covered.missing, borderType=cv2.BORDER_REPLICATE), np.float32)


def _soft_texture(picture: Image, matte: Float32Array, origin: tuple[float, float], imaging: Imaging) -> Texture:
    """Return the texture (h, w, 4) of ``picture`` (H, W, 3), whose first pixel is at ``origin``, blurred at half size.

    The colours are multiplied with the matte (H, W), which is the last channel in levels: where means of both are drawn
    over the backdrop, the colours of the background beside the person do not show.
    """
    size = (max(1, picture.shape[1] // _SOFT_SCALE), max(1, picture.shape[0] // _SOFT_SCALE))
    colours, share = (cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (picture, matte))
    levels = np.concatenate([colours * share[..., None], MASK_SET * share[..., None]], axis=-1)
    texture = imaging.texture(np.asarray(np.rint(cv2.GaussianBlur(levels, (0, 0), _SOFT_BLUR_PX)), np.uint8))
    centre = (_SOFT_SCALE - 1) / 2.0
    return replace(texture, scale=texture.scale / _SOFT_SCALE, origin=(origin[0] + centre, origin[1] + centre))
