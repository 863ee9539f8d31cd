"""3x3 convolutions with 4/9 of the multiplications: F(2x2, 3x3) of Lavin and Gray (2016), for one picture.

Along one axis, two values of the output read four values ``x0`` to ``x3`` of the input. With the taps ``a, b, c``::

    even  a x0 + b x1 + c x2 = p + q + a (x0 - x2)      p = (a + b + c) / 2 (x1 + x2)
    odd   a x1 + b x2 + c x3 = p - q + c (x3 - x1)      q = (a - b + c) / 2 (x2 - x1)

In two dimensions, four pixels need 16 products instead of 36. All sums are of two or three values without factors, so
that few digits of 16-bit floats are lost, in contrast to the larger transforms of
:mod:`~sadtalker_ext.models.winograd`. Maps are ``channels_last``: the products are those of matrices (pixels, C) by
(C, C'), and sums run over contiguous channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from sadtalker_ext.models.bands import Band

BAND_PIXELS: Final = 4096
"""Output pixels per band: with 256 channels in bfloat16, a band takes 2 MB, and its products 8 MB."""
TERMS: Final = ((0, 2, -1), (1, 2, 1), (2, 1, -1), (3, 1, -1))
"""The four sums of input values along one axis: two positions and the sign of the second one."""
UNIT_TERM: Final = 5
"""Index of the product that all four pixels contain with factor 1, ``p`` of both axes; it carries the bias."""


class HalfWinogradConv:
    """Equivalent of a 3x3 convolution with stride 1 and zero padding 1, up to rounding; for inference on a CPU.

    weight: (C', C, 3, 3), in more digits than ``dtype``, that of the computation. bias: (C',).
    """

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        taps = weight.detach().permute(2, 3, 1, 0).contiguous()
        self._kernels = _kernel_terms(_kernel_terms(taps, 0), 1).flatten(0, 1).to(dtype).contiguous()
        self.bias = bias.detach().to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """(1, C, H, W) -> (1, C', H, W); H and W are even."""
        return self.join(self.bands(x), x.shape[2:])

    def join(self, bands: Iterable[Band], size: Sequence[int]) -> Tensor:
        """Return the output (1, C', *size) for the bands of an input."""
        out = self.bias.new_empty(*size, len(self.bias)).permute(2, 0, 1).unsqueeze(0)
        for band in bands:
            for grid, pixels in zip(band.grids, self.pixels(band), strict=True):
                out[grid] = pixels
        return out

    def bands(self, x: Tensor) -> Iterator[Band]:
        """Yield the bands of an input (1, C, H, W) from top to bottom: the four pixels of all tiles of 2 x 2.

        H and W are even. The sums of the input are (4, 4, H' / 2, W / 2, C): terms of rows, then of columns.
        """
        height, width = x.shape[2:]
        rows = 2 * max(1, BAND_PIXELS // width // 2)
        for start in range(0, height, rows):
            stop = min(start + rows, height)
            above, below = min(start, 1), min(height - stop, 1)
            pixels = x[0].permute(1, 2, 0)[start - above : stop + below]  # (rows, columns, channels)
            padded = F.pad(pixels, (0, 0, 1, 1, 1 - above, 1 - below))
            sums = _input_terms(_input_terms(padded))
            steps = [(slice(row, stop, 2), slice(column, None, 2)) for row in (start, start + 1) for column in (0, 1)]
            yield Band(tuple((..., *step) for step in steps), (sums,))

    def pixels(self, band: Band) -> tuple[Tensor, ...]:
        """Return the four pixels of all tiles of a band, (1, C', H' / 2, W / 2) each."""
        sums = band.tiles[0]
        products = torch.bmm(sums.flatten(0, 1).flatten(1, 2), self._kernels)
        products[UNIT_TERM] += self.bias
        products = products.view(*sums.shape[:-1], -1)
        pixels = [part for rows in _output_terms(products) for part in _output_terms(rows)]
        return tuple(part.permute(2, 0, 1).unsqueeze(0) for part in pixels)


def _kernel_terms(taps: Tensor, axis: int) -> Tensor:
    """Return the four factors for three taps along ``axis``, which stay along ``axis``."""
    first, own, last = taps.split(1, dim=axis)  # type: ignore[no-untyped-call]
    return torch.cat((first, (first + own + last) / 2, (first - own + last) / 2, last), dim=axis)


def _input_terms(x: Tensor) -> Tensor:
    """Return the four sums along axis 1 of (..., L + 2, ...), half as long as L, in a new axis in front."""
    length = x.shape[1] - 2
    parts = [x[:, position : position + length : 2] for position in range(4)]
    out = x.new_empty(4, *parts[0].shape)
    for index, (position, other, sign) in enumerate(TERMS):
        torch.add(parts[position], parts[other], alpha=sign, out=out[index])
    return out


def _output_terms(products: Tensor) -> tuple[Tensor, Tensor]:
    """Return the even and the odd values of an axis from its four products (4, ...)."""
    first, own, difference, last = products
    return (own + difference).add_(first), (own - difference).add_(last)
