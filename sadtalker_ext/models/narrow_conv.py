"""Convolutions with few outputs, for one picture: one product of matrices, then sums of shifted maps.

Libraries compute outputs in groups of 16 or more, so that a convolution with one output takes as long as with 16.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NarrowConv(nn.Module):
    """Equivalent of a convolution with an odd square kernel, stride 1 and zero padding that keeps the size.

    ValueError for other convolutions.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        side, self.outputs = conv.kernel_size[0], conv.out_channels
        if conv.bias is None or conv.kernel_size != (side, side) or conv.padding != (side // 2,) * 2 or side % 2 == 0:
            raise ValueError(f"cannot split {conv} into shifted maps")
        self.side = side
        taps = conv.weight.detach().permute(2, 3, 0, 1).reshape(-1, conv.in_channels)
        self.register_buffer("taps", taps.contiguous())
        self.register_buffer("bias", conv.bias.detach().clone())

    taps: Tensor
    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(1, C, H, W) -> (1, C', H, W) in the dtype of the sums, at least float32."""
        (height, width), half = x.shape[2:], self.side // 2
        maps = (self.taps @ x[0].flatten(1)).to(sum_dtype(x)).view(-1, self.outputs, height, width)
        maps = F.pad(maps, (half,) * 4)
        out = self.bias.to(maps.dtype).view(-1, 1, 1).repeat(1, height, width)
        for index, part in enumerate(maps):
            row, column = divmod(index, self.side)
            out += part[:, row : row + height, column : column + width]
        return out.unsqueeze(0)


def sum_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which many values of ``x`` are summed: at least float32."""
    return torch.promote_types(x.dtype, torch.float32)
