"""3x3 convolutions of one picture in bands, by the algorithm that suits the dtype."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from sadtalker_ext.models.half_winograd import HalfWinogradConv
from sadtalker_ext.models.winograd import WinogradConv

BandedConv = WinogradConv | HalfWinogradConv
HALVES: Final = (torch.float16, torch.bfloat16)
"""Dtypes with so few digits that the transforms of :class:`WinogradConv` would lose too many of them. Their maps are
``channels_last``, for which the library has the fastest convolutions."""


def banded_conv(weight: Tensor, bias: Tensor, dtype: torch.dtype, *, keep: bool = False) -> BandedConv:
    """Return a convolution that computes in ``dtype``; keep: see :class:`WinogradConv`."""
    if dtype in HALVES:
        return HalfWinogradConv(weight, bias, dtype)
    return WinogradConv(weight.detach().to(dtype), bias.detach().to(dtype), keep=keep)


def layout_of(dtype: torch.dtype) -> torch.memory_format:
    """Return the layout of the maps (1, C, H, W) of a convolution in ``dtype``."""
    return torch.channels_last if dtype in HALVES else torch.contiguous_format


def empty_map(channels: int, size: tuple[int, int], like: Tensor) -> Tensor:
    """Return a map (1, channels, *size) without values, in the dtype of ``like`` and the layout for this dtype."""
    layout = layout_of(like.dtype)
    return torch.empty((1, channels, *size), dtype=like.dtype, device=like.device, memory_format=layout)


def bias_of(conv: nn.Conv2d) -> Tensor:
    """Return the bias of a convolution; ValueError if it has none."""
    if conv.bias is None:
        raise ValueError(f"{conv} has no bias")
    return conv.bias
