"""Parts of a feature map that are computed at once."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

Grid = tuple[Any, slice, slice]
"""Index of rows and columns at equal steps in (..., H, W): an ellipsis and two slices with start, stop and step."""


class Band(NamedTuple):
    """A band of an output, and what the convolution reads for it.

    grids: places of the maps that make up the band. tiles: sums of parts of the input.
    """

    grids: tuple[Grid, ...]
    tiles: tuple[Tensor, ...]
