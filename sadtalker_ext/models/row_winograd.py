"""3x3 convolutions with two thirds of the multiplications: F(2, 3) of Winograd (1980) along columns, for one picture.

Two rows of the output read four rows of the input. Sums of these rows are convolved with four kernels of 1x3 values,
and sums of the results are the two rows. Few digits of 16-bit floats are lost in them, in contrast to the larger
transforms of :mod:`~sadtalker_ext.models.winograd`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


class RowWinogradConv:
    """Equivalent of a 3x3 convolution with stride 1 and zero padding 1, up to rounding; for inference on a CPU.

    weight: (C', C, 3, 3), in more digits than ``like``, whose dtype is that of the computation. bias: (C',).
    """

    def __init__(self, weight: Tensor, bias: Tensor, like: Tensor) -> None:
        above, middle, below = weight.detach().double().split(1, dim=2)  # type: ignore[no-untyped-call]
        outer = above + below
        kernels = (above, (outer + middle) / 2, (outer - middle) / 2, below)
        self._kernels = [kernel.to(like).contiguous() for kernel in kernels]
        self._bias = bias.detach().to(like)

    def __call__(self, x: Tensor) -> Tensor:
        """(C, H, W) -> (C', H, W)."""
        height = x.shape[1]
        padded = F.pad(x, (1, 1, 1, 1 + height % 2)).unsqueeze(0)
        first, second, third, fourth = (padded[:, :, row : row + height + height % 2 : 2] for row in range(4))
        top, centre, difference, bottom = self._kernels
        middle = F.conv2d(second + third, centre, self._bias)
        out = x.new_empty(middle.shape[1], 2 * middle.shape[2], middle.shape[3])
        upper, lower = out[:, 0::2], out[:, 1::2]
        upper.copy_(middle[0])
        lower.copy_(middle[0])
        part = F.conv2d(third - second, difference)[0]
        upper += part
        lower -= part
        upper += F.conv2d(first - third, top)[0]
        lower -= F.conv2d(second - fourth, bottom)[0]
        return out[:, :height]
