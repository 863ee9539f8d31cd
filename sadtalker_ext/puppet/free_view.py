"""Rig for large rotations: a solid head on a finer grid, a background with texture, and pixels beyond the border.

It is made from the rig for ordinary head motion, once per portrait and only when it is needed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.puppet.backdrop import fill_textured, grow_mask, person_mask, soft_matte
from sadtalker_ext.puppet.rig import (
    HEAD_MARGIN_CELLS,
    Rig,
    fill_around,
    matte_on,
)
from sadtalker_ext.puppet.solid_head import build_solid_head
from sadtalker_ext.puppet.warp import Box, Grid

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Image
    from sadtalker_ext.puppet.imaging import Imaging, Texture

_NODES: Final = 160
"""Cells along the longer side of the region that can move: fine enough for the edge of a cheek before the hair."""
_MARGIN_CELLS: Final = 12
"""Cells around the grid on which the displacement is computed, for what a rotation brings in from outside."""
_FILL_GROWTH: Final = 0.04
"""Further growth of the filled mask in face heights, so that loose hair does not stay behind when the head turns."""
_BEYOND: Final = 0.5
"""Width in face heights of the mirrored pixels beyond the border of the picture."""


def free_view_rig(rig: Rig, mesh: Float32Array, person: Float32Array | None, imaging: Imaging) -> Rig:
    """Return the rig for large rotations of the portrait that ``rig`` was built from; see ``build_rig``."""
    height, width = rig.picture.shape[:2]
    unit, old = rig.face.height_px, rig.head_grid
    box = Box(old.x0, old.y0, old.x0 + old.width - 1, old.y0 + old.height - 1).clipped(width, height)
    grid = Grid.cover(box, _NODES)
    matte, backdrop = np.ones(grid.nodes(HEAD_MARGIN_CELLS).shape[:2], np.float32), rig.backdrop
    if person is not None:
        mask = person_mask(person, mesh, unit)
        matte = matte_on(grid, soft_matte(mask, unit))
        filled = grow_mask(mask, _FILL_GROWTH * unit)
        backdrop = fill_around(grid, rig.picture, filled, partial(fill_textured, height_px=unit))
    wider = grid.widened(_MARGIN_CELLS)
    return replace(
        rig,
        texture=_texture_beyond(rig.picture, grid, round(_BEYOND * unit), imaging),
        head=build_solid_head(rig.face, mesh, wider, (width, height), person),
        head_grid=grid,
        matte=matte,
        backdrop=backdrop,
    )


def _texture_beyond(picture: Image, grid: Grid, margin_px: int, imaging: Imaging) -> Texture:
    """Return the texture of what ``grid`` covers and ``margin_px`` around it, mirrored beyond the picture."""
    height, width = picture.shape[:2]
    left, top = grid.x0 - margin_px, grid.y0 - margin_px
    right, bottom = grid.x0 + grid.width + margin_px, grid.y0 + grid.height + margin_px
    part = picture[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    beyond = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    mirrored = cv2.copyMakeBorder(part, *beyond, borderType=cv2.BORDER_REFLECT_101)
    return imaging.texture(np.asarray(mirrored, np.uint8), origin=(float(left), float(top)))
