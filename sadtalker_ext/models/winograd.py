"""3x3 convolutions with a quarter of the multiplications: F(4x4, 3x3) of Lavin and Gray (2016), for one picture.

A tile of 4 x 4 output pixels reads 6 x 6 input pixels. Input tiles and kernels are transformed to 36 values each; their
convolution is then 36 products of matrices, and a last transform yields the output pixels. Bands of rows keep all
intermediate values in the cache of the processor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from sadtalker_ext.models.bands import Band

STEP: Final = 4
"""Side of an output tile, pixels."""
TERMS: Final = 36
"""Values of a transformed tile."""
BAND_TILES: Final = 256
"""Tiles per band: with 512 channels, a band takes 19 MB, which the caches of desktop and server processors can hold."""
CHUNK: Final = 256
"""Output channels that are computed at once, for the same reason."""
UNIT_TERM: Final = 7
"""Index of the transformed value that is added to all 16 pixels of a tile with factor 1; it carries the bias."""

_INPUT: Final = (
    (4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1),
)  # fmt: skip
_KERNEL: Final = (
    (1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1),
)  # fmt: skip
_OUTPUT: Final = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


class WinogradConv:
    """Equivalent of a 3x3 convolution with stride 1 and zero padding 1, up to rounding; for inference on a CPU.

    weight: (C', C, 3, 3). bias: (C',). keep: store the transformed kernels, which takes four times the memory of the
    weights; without it they are computed for each band, which costs 5 % of its time.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, keep: bool = False) -> None:
        self.bias = bias.detach()
        self.outputs, self.inputs = weight.shape[:2]
        self._input, self._output, self._kernel = (_square(m).to(weight) for m in (_INPUT, _OUTPUT, _KERNEL))
        self._input = self._input.view(TERMS, 1, 6, 6)
        self._taps = weight.detach().flatten(2).permute(2, 0, 1).contiguous()
        self._kernels = self._transform_kernels(slice(None)) if keep else None
        if keep:
            del self._taps

    def __call__(self, x: Tensor) -> Tensor:
        """(1, C, H, W) -> (1, C', H, W)."""
        return self.join(self.bands(x), x.shape[2:])

    def join(self, bands: Iterable[Band], size: Sequence[int]) -> Tensor:
        """Return the output (1, C', *size) for the bands of an input."""
        out = self.bias.new_empty(1, self.outputs, *size)
        for band in bands:
            for first in range(0, self.outputs, CHUNK):
                part = slice(first, min(first + CHUNK, self.outputs))
                out[:, part][band.grids[0]] = self.pixels(band, part)[0]
        return out

    def bands(self, x: Tensor) -> Iterator[Band]:
        """Yield the bands of an input (1, C, H, W) from top to bottom, with transformed input tiles (36, C, tiles)."""
        height, width = x.shape[2:]
        rows = STEP * max(1, BAND_TILES // -(-width // STEP))
        for start in range(0, height, rows):
            stop = min(start + rows, height)
            above, below = min(start, 1), min(height - stop, 1)
            sides = (1, 1 + -width % STEP, 1 - above, 1 - below + (start - stop) % STEP)
            padded = F.pad(x[0, :, start - above : stop + below], sides).unsqueeze(1)
            tiles = F.conv2d(padded, self._input, stride=STEP).flatten(2).permute(1, 0, 2)
            yield Band(((..., slice(start, stop, 1), slice(0, width, 1)),), (tiles,))

    def pixels(self, band: Band, part: slice = slice(None)) -> tuple[Tensor]:
        """Return the output channels ``part`` of a band, (1, C'', rows, width)."""
        kernels = self._transform_kernels(part) if self._kernels is None else self._kernels[:, part]
        products = torch.bmm(kernels, band.tiles[0])
        products[UNIT_TERM] += self.bias[part].unsqueeze(1)
        _, rows, columns = band.grids[0]
        across = -(-columns.stop // STEP)
        cells = (self._output @ products.flatten(1)).view(STEP, STEP, products.shape[1], -1, across)
        out = cells.permute(2, 3, 0, 4, 1).reshape(1, products.shape[1], -1, across * STEP)
        return (out[:, :, : rows.stop - rows.start, : columns.stop],)

    def _transform_kernels(self, part: slice) -> Tensor:
        taps = self._taps[:, part]
        kernels: Tensor = (self._kernel @ taps.reshape(9, -1)).view(TERMS, -1, self.inputs)
        return kernels


def _square(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return the two-dimensional form of a transform of one axis."""
    exact = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(exact, exact)
