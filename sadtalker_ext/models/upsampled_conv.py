"""A convolution of a map that was enlarged by repeating its cells, without enlarging it first.

Of the output pixels of one cell only a few differ in which cells they see: the first row sees the cell above once
and its own twice, inner rows see only their own, the last row sees its own twice and the one below. Each such phase
is a small convolution of the map as it is; the result is the same, with fewer products (4/9 of them for a factor of
2, 25/144 for 4).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL = 3


class UpsampledConv(nn.Module):
    """What ``conv(nearest(x, factor))`` gives, factor 2 or more in height and width; inference only.

    conv: 3x3 or 3x3x3, stride 1, zero padding 1, with bias; depth, where there is one, is not enlarged.
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d, factor: int) -> None:
        super().__init__()
        if set(conv.kernel_size) != {KERNEL} or set(conv.stride) != {1} or conv.bias is None or factor < 2:
            raise ValueError(f"cannot write {conv} as phases of factor {factor}")
        self.factor = factor
        weight = conv.weight.detach().double()
        for row in range(3):
            for column in range(3):
                kernel = _fold_axis(_fold_axis(weight, -2, row), -1, column)
                self.register_buffer(f"phase{row}{column}", kernel.to(conv.weight.dtype).contiguous())
        self.register_buffer("bias", conv.bias.detach())

    bias: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ..., h, w) -> (B, C', ..., factor h, factor w)."""
        height, width = x.shape[-2:]
        padded = F.pad(x, (1, 1, 1, 1))
        kinds = [0, *[1] * (self.factor - 2), 2]
        made: dict[tuple[int, int], Tensor] = {}
        rows = []
        for row in kinds:
            for column in kinds:
                if (row, column) not in made:
                    made[row, column] = self._phase(padded, row, column, (height, width))
            rows.append(torch.stack([made[row, column] for column in kinds], dim=-1))
        cells = torch.stack(rows, dim=-3)
        return cells.flatten(-4, -3).flatten(-2, -1)

    def _phase(self, padded: Tensor, row: int, column: int, size: Sequence[int]) -> Tensor:
        """Output pixels of one kind: 0 first, 1 inner, 2 last in their cell."""
        kernel = self.get_buffer(f"phase{row}{column}")
        top, left = int(row > 0), int(column > 0)
        seen = padded[..., top : top + size[0] + kernel.shape[-2] - 1, left : left + size[1] + kernel.shape[-1] - 1]
        if kernel.ndim == 5:
            return F.conv3d(seen, kernel, self.bias, padding=(1, 0, 0))
        return F.conv2d(seen, kernel, self.bias)


def _fold_axis(weight: Tensor, axis: int, kind: int) -> Tensor:
    """Three taps along an axis as the two (or, for inner pixels, one) cells that they fall on."""
    before, own, after = weight.split(1, dim=axis)  # type: ignore[no-untyped-call]
    if kind == 0:
        return torch.cat((before, own + after), dim=axis)
    if kind == 2:
        return torch.cat((before + own, after), dim=axis)
    return torch.as_tensor(before + own + after)
