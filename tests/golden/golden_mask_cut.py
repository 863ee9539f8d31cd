"""Comparison of renderings whose mask values are within float32 rounding of the cut.

``DenseMotion`` sets mask values below ``MASK_FLOOR`` to zero. A value whose distance from the cut is below the error of
float32 may be on the other side than in the stored run, because convolution kernels differ between processors. The
comparison may move such cells across the cut, and no others. Every other difference still fails the test.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from golden_tools import view

from sadtalker_ext.models.dense_motion import MASK_FLOOR
from sadtalker_ext.models.grids import coordinate_grid

MASK_ROUNDING = 3e-7
"""Largest difference between the mask values of two processors' kernels near the cut. Measured against float64 on
10533 values within 1e-4 of the cut: at most 1.3e-7 with AVX2 and SSE4.1 kernels, 0.4e-7 with AVX-512."""
REACH_CELLS = 4
"""Largest distance, in cells of the mask, at which a cell on the other side causes the largest difference of a map."""
MOST_MOVED = 12
"""Cells moved per comparison. About 30 of a million are within ``MASK_ROUNDING``."""


@dataclass
class Rendering:
    """One call of the renderer whose doubtful mask cells can be moved across the cut.

    network: a ``Generator``. encoded: its source, for B frames or one. source, driving: keypoints (B, K, 3).
    """

    network: object
    encoded: object
    source: torch.Tensor
    driving: torch.Tensor
    moved: list = field(default_factory=list)

    def __post_init__(self):
        self.encoded = self.encoded.expand(len(self.driving))
        self.source = self.source.expand(len(self.driving), -1, -1)
        self.motion = self.network.dense_motion_network(self.encoded.compressed, self.source, self.driving)

    def frames(self):
        """Return the frames (B, 3, S, S)."""
        return self.network.warp_and_decode(self.encoded, self.motion)

    def doubtful_cells(self):
        """Return indices (N, 5) of mask values within rounding of the cut: batch, motion, depth, row, column."""
        return ((self.motion.mask.double() - MASK_FLOOR).abs() < MASK_ROUNDING).nonzero()

    def move_cell_near(self, lane, row, column):
        """Move the doubtful cell nearest to a position across the cut; return whether one was within reach."""
        near = [
            (max(abs(cell[3] - row), abs(cell[4] - column)), tuple(cell))
            for cell in self.doubtful_cells().tolist()
            if cell[0] == lane and tuple(cell) not in self.moved
        ]
        if not near or min(near)[0] > REACH_CELLS:
            return False
        self._move(min(near)[1])
        return True

    def _move(self, cell):
        lane, motion, *place = cell
        value = self.motion.mask[cell]
        deformation = self.motion.deformation.clone()
        point = coordinate_grid(tuple(self.motion.mask.shape[2:]), deformation)[tuple(place)]
        if motion:
            point = point + self.source[lane, motion - 1] - self.driving[lane, motion - 1]
        deformation[(lane, *place)] += (value if value < MASK_FLOOR else -value) * point
        self.motion = self.motion._replace(deformation=deformation)
        self.moved.append(cell)


def settle(golden, compute, rendering_of, allowed):
    """Return the maps of ``compute`` by name, after moving doubtful cells to their side in the golden.

    compute: returns maps (..., H, W) by golden name. rendering_of: returns the rendering and the lane of an index into
    a map. allowed: returns the tolerance of a name.
    """
    found = compute()
    for _ in range(MOST_MOVED):
        maps = {name: ours for name, ours in found.items() if name in golden.stored}
        gap, name, index = max(_largest_gap(golden, name, ours, allowed(name)) for name, ours in maps.items())
        if gap <= 1:
            break
        rendering, lane = rendering_of(index)
        rows, columns = rendering.motion.mask.shape[3:]
        height, width = found[name].shape[-2:]
        if not rendering.move_cell_near(lane, index[-2] * rows / height, index[-1] * columns / width):
            break
        found = compute()
    return found


def _largest_gap(golden, name, ours, allowed):
    """Return the largest difference as a multiple of its tolerance, the name, and the index in the full tensor."""
    ours, text = np.asarray(ours), golden.stats[name]["view"]
    places = view(np.arange(ours.size).reshape(ours.shape), text)
    gaps = np.abs(view(ours, text).astype(np.float64) - golden.stored[name]) / allowed
    worst = gaps.argmax()
    index = np.unravel_index(places.reshape(-1)[worst], ours.shape)
    return float(gaps.reshape(-1)[worst]), name, tuple(int(part) for part in index)
