"""3x3 convolutions of one picture in bands of rows, by the algorithm that suits the dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.row_winograd import RowWinogradConv
from sadtalker_ext.models.winograd import Band, WinogradConv, pad_rows

BAND_PIXELS: Final = 4096
"""Output pixels per band of :class:`DirectConv`: with 512 channels in bfloat16, a band takes 4 MB."""
HALVES: Final = (torch.float16, torch.bfloat16)
"""Dtypes with so few digits that the transforms of :class:`WinogradConv` would lose too many of them."""
ROW_CHANNELS: Final = 256
"""Fewest inputs and outputs for which :class:`RowWinogradConv` saves more than its sums cost (measured in bfloat16)."""


class DirectConv:
    """A 3x3 convolution with stride 1 and zero padding 1 with the interface of :class:`WinogradConv`."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias, self.outputs = weight, bias, len(weight)

    def __call__(self, x: Tensor) -> Tensor:
        """(C, H, W) -> (C', H, W)."""
        return F.conv2d(x.unsqueeze(0), self.weight, self.bias, padding=1)[0]

    def bands(self, x: Tensor) -> Iterator[Band]:
        """Yield the bands of an input (C, H, W) from top to bottom."""
        height, width = x.shape[1:]
        rows = max(1, BAND_PIXELS // width)
        for start in range(0, height, rows):
            stop = min(start + rows, height)
            yield Band(start, stop, width, pad_rows(x, start, stop).unsqueeze(0))

    def pixels(self, band: Band, part: slice = slice(None)) -> Tensor:
        """Return the output channels ``part`` of a band, (C'', rows, width)."""
        return F.conv2d(band.tiles, self.weight[part], self.bias[part])[0]


def banded_conv(weight: Tensor, bias: Tensor, dtype: torch.dtype, *, keep: bool = False) -> WinogradConv | DirectConv:
    """Return a convolution that computes in ``dtype``; keep: see :class:`WinogradConv`."""
    weight, bias = weight.detach().to(dtype), bias.detach().to(dtype)
    return DirectConv(weight, bias) if dtype in HALVES else WinogradConv(weight, bias, keep=keep)


def whole_conv(weight: Tensor, bias: Tensor, dtype: torch.dtype, *, keep: bool = False) -> Callable[[Tensor], Tensor]:
    """Return a convolution of whole maps that computes in ``dtype``; keep: see :class:`WinogradConv`."""
    if dtype in HALVES and min(weight.shape[:2]) >= ROW_CHANNELS:
        return RowWinogradConv(weight, bias, weight.new_empty(0, dtype=dtype))
    return banded_conv(weight, bias, dtype, keep=keep)


def bias_of(conv: nn.Conv2d) -> Tensor:
    """Return the bias of a convolution; ValueError if it has none."""
    if conv.bias is None:
        raise ValueError(f"{conv} has no bias")
    return conv.bias
