"""Residual blocks of depthwise separable convolutions, shared by the networks that find faces.

Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019, section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PointwiseConv2d(nn.Conv2d):
    """1 x 1 convolution as a matrix product, faster than convolution kernels for small maps in channels-last layout.

    On one core, a network of these blocks takes 0.6 to 0.8 times as long as with nn.Conv2d.
    """

    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 1, groups=groups)

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W), in channels-last layout."""
        count, _, height, width = input.shape
        rows = input.permute(0, 2, 3, 1).reshape(count * height * width, -1)
        if self.groups == 1:
            mixed = F.linear(rows, self.weight.flatten(1), self.bias)
        else:
            weight = torch.unflatten(self.weight.flatten(1), 0, (self.groups, -1)).mT
            bias = None if self.bias is None else torch.unflatten(self.bias, 0, (self.groups, 1, -1))
            grouped = torch.unflatten(rows, 1, (self.groups, -1)).transpose(0, 1)
            product = torch.bmm(grouped, weight) if bias is None else torch.baddbmm(bias, grouped, weight)
            mixed = product.transpose(0, 1).flatten(1)
        return mixed.reshape(count, height, width, -1).permute(0, 3, 1, 2)


class BlazeBlock(nn.Module):
    """Depthwise and pointwise convolution with a residual connection, then an activation.

    inputs, outputs: channels of one group. stride: 1 or 2; with stride 2, height and width must be even. groups: number
    of networks of equal shape that are computed side by side, on ``groups * inputs`` channels. prelu: PReLU instead of
    ReLU.

    The depthwise kernel has 3 x 3 weights. With stride 2 a row and a column of zeros precede them: TensorFlow pads the
    input at the right and bottom edges only, and a 4 x 4 kernel with equal padding does the same without a copy.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, groups: int = 1, *, prelu: bool = False) -> None:
        super().__init__()
        self.inputs, self.outputs, self.stride, self.groups = inputs, outputs, stride, groups
        channels = groups * inputs
        self.depthwise = nn.Conv2d(channels, channels, 2 + stride, stride, 1, groups=channels)
        self.pointwise = PointwiseConv2d(channels, groups * outputs, groups)
        self.activation = nn.PReLU(groups * outputs) if prelu else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, groups * inputs, H, W) to (N, groups * outputs, H / stride, W / stride)."""
        y: Tensor = self.pointwise(self.depthwise(x))
        skip = F.max_pool2d(x, 2) if self.stride == 2 else x
        if self.inputs == self.outputs:
            return self.activation(y.add_(skip))  # type: ignore[no-any-return]
        grouped = torch.unflatten(y, 1, (self.groups, self.outputs))
        grouped[:, :, : self.inputs] += torch.unflatten(skip, 1, (self.groups, self.inputs))
        return self.activation(y)  # type: ignore[no-any-return]


class BottleneckBlazeBlock(nn.Module):
    """Two depthwise separable convolutions with a narrow middle ("double BlazeBlock"), then ReLU.

    inputs, middle, outputs: channels. stride: of the first convolution. With stride 1 the input is added before the
    last ReLU; ``inputs`` must be equal to ``outputs`` then.
    """

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = stride == 1
        self.reduce_depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs)
        self.reduce = PointwiseConv2d(inputs, middle)
        self.expand_depthwise = nn.Conv2d(middle, middle, 3, 1, 1, groups=middle)
        self.expand = PointwiseConv2d(middle, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.reduce(self.reduce_depthwise(x)).relu_()
        y = self.expand(self.expand_depthwise(y))
        if self.residual:
            y = y.add_(x)
        return y.relu_()
