"""Blocks of cells of a grid: where only some parts of a frame are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet.warp import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.puppet.backend_array import BackendArray
    from sadtalker_ext.puppet.imaging import Imaging
    from sadtalker_ext.puppet.warp import Displacement, Window

_BLOCK_CELLS: Final = 10
"""Cells along each side of a block. What is drawn in blocks are narrow bands, such as outlines."""
_ALL_SEEN: Final = 0.996
"""Share of a node above which nothing behind it is seen."""


def blocks(grid: Grid, chosen: NDArray[np.bool_]) -> Iterator[tuple[Grid, Window]]:
    """Yield square blocks of cells that contain all chosen nodes, with the windows of their nodes.

    chosen: (rows + 2, columns + 2) on the nodes of ``grid`` with one margin cell; the windows include that margin.
    """
    for top in range(1, grid.rows + 1, _BLOCK_CELLS):
        for left in range(1, grid.columns + 1, _BLOCK_CELLS):
            bottom, right = min(top + _BLOCK_CELLS, grid.rows + 1), min(left + _BLOCK_CELLS, grid.columns + 1)
            nodes = slice(top - 1, bottom + 1), slice(left - 1, right + 1)
            if chosen[nodes].any():
                x0, y0 = grid.x0 + (left - 1) * grid.cell, grid.y0 + (top - 1) * grid.cell
                yield Grid(x0, y0, grid.cell, bottom - top, right - left), nodes


def clear_hidden(
    canvas: BackendArray, backdrop: BackendArray, head: Displacement, place: tuple[Float32Array, Grid], imaging: Imaging
) -> None:
    """Draw the backdrop (H, W, 3) on a frame where what is beside the face is hidden; see ``Displacement.seen``.

    place: where the nodes of a grid, with one margin cell, were before the head moved, and the grid. Each pixel is
    looked up: the hidden parts are squeezed to less than a cell.
    """
    if head.seen is None:
        return
    unposed, part = place
    hidden = head.seen_at(unposed) < _ALL_SEEN
    if not hidden.any():
        return
    share = imaging.texture(np.repeat(head.seen[..., None], 3, axis=-1))
    on_nodes = np.stack(head.grid.positions(unposed), axis=-1)
    for block, nodes in blocks(part, hidden):
        window, inner = block.pixel_windows(*canvas.shape[:2])
        if any(span.start >= span.stop for span in window):
            continue
        seen = imaging.sample_texels(share, imaging.upsample(on_nodes[nodes], block.cell)[inner])[..., 0]
        canvas[window] = imaging.blend(canvas[window], backdrop[window], seen)
