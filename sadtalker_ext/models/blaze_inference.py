"""Blocks of :mod:`sadtalker_ext.models.blaze_blocks` for inference on a CPU.

For one small picture, a network of these blocks spends more time on calls than on arithmetic. The functions here make
fewer calls, keep the weights in the layout of the kernels, and pass maps as (N, H, W, C). They are plain objects, not
modules, as a call of a module costs as much as a small matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from sadtalker_ext.models.blaze_blocks import BlazeBlock


class MatrixLayer:
    """A convolution whose kernel is as large as its input, or 1 x 1, as a matrix product; in groups, if it has any.

    layer: its weights (groups * outputs, inputs, h, w) are copied.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        rows = torch.unflatten(layer.weight.detach().permute(0, 2, 3, 1).flatten(1), 0, (layer.groups, -1)).clone()
        self.groups, self.inputs, self.outputs = rows.shape[0], rows.shape[2], rows.shape[1]
        self._rows = rows[0]
        self._matrix = (rows[0].T if self.groups == 1 else rows.mT).contiguous()
        self.bias = cast("Tensor", layer.bias).detach().clone()

    def __call__(self, x: Tensor) -> Tensor:
        """Return (N, groups * outputs) of (N, groups * inputs)."""
        if self.groups == 1:
            # With these strides, the result of a row does not depend on the other rows.
            return F.linear(x, self._rows, self.bias)
        return self.add_to(self.bias.expand(len(x), -1).contiguous(), x)

    def add_to(self, total: Tensor, x: Tensor) -> Tensor:
        """Add the product, without the bias, to ``total`` (N, groups * outputs), contiguous, and return it."""
        if self.groups == 1:
            return total.addmm_(x, self._matrix)
        grouped = x.view(-1, self.groups, self.inputs).transpose(0, 1)
        total.view(-1, self.groups, self.outputs).transpose(0, 1).baddbmm_(grouped, self._matrix)
        return total


class InferenceBlock:
    """The function of a :class:`BlazeBlock` in float32 on the CPU.

    overwrite: whether the block may use its input's memory. side_px: the input's height and width, if they are known
    to be very small; with stride 1 only.
    """

    def __init__(self, block: BlazeBlock, *, overwrite: bool = False, side_px: int | None = None) -> None:
        self.inputs, self.outputs, self._stride = block.inputs, block.outputs, block.stride
        self._overwrite = overwrite or block.stride == 2
        self._depthwise = small_depthwise(block.depthwise, side_px) if side_px else packed_convolution(block.depthwise)
        self._pointwise = MatrixLayer(block.pointwise)
        self._slope = block.activation.weight.detach().clone() if isinstance(block.activation, nn.PReLU) else None

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, H, W, groups * inputs) to (N, H / stride, W / stride, groups * outputs), both contiguous."""
        maps = self._depthwise(x)
        if self._stride == 2:
            x = _pool(x)
        y = self._biased(x)
        count, height, width, channels = y.shape
        rows = y.view(-1, channels)
        self._pointwise.add_to(rows, maps.reshape(len(rows), -1))
        rows = rows.relu_() if self._slope is None else torch.prelu(rows, self._slope)
        return rows.view(count, height, width, channels)

    def _biased(self, x: Tensor) -> Tensor:
        """Return ``x`` with further channels of zeros, if the block adds any, plus the bias of the pointwise layer."""
        bias = self._pointwise.bias
        if self.inputs == self.outputs:
            return x.add_(bias) if self._overwrite else x + bias
        count, height, width, _ = x.shape
        y = bias.expand(count, height, width, len(bias)).contiguous()
        kept = torch.unflatten(y, 3, (-1, self.outputs))[..., : self.inputs]
        kept += torch.unflatten(x, 3, (-1, self.inputs))
        return y


def packed_convolution(layer: nn.Conv2d) -> Callable[[Tensor], Tensor]:
    """Return the function of a convolution on maps (N, H, W, C).

    Its weights are in oneDNN's layout, if this PyTorch has the functions that torch.compile uses for that: otherwise
    they are copied in each call, which takes as long as a small convolution.
    """
    weight = layer.weight.detach().contiguous(memory_format=torch.channels_last)
    bias = cast("Tensor", layer.bias).detach().clone()
    stride, padding, dilation = list(layer.stride), [int(side) for side in layer.padding], list(layer.dilation)
    groups = layer.groups

    def plain(x: Tensor) -> Tensor:
        return torch.conv2d(x.permute(0, 3, 1, 2), weight, bias, stride, padding, dilation, groups).permute(0, 2, 3, 1)

    try:
        run = torch.ops.mkldnn._convolution_pointwise.default
        packed = torch.ops.mkldnn._reorder_convolution_weight(weight, padding, stride, dilation, groups)
        tiny = weight.new_zeros(1, layer.in_channels, 8, 8)
        run(tiny, packed, bias, padding, stride, dilation, groups, "none", [], "")
    except (AttributeError, NotImplementedError, RuntimeError):  # another version or build of PyTorch
        return plain

    def quick(x: Tensor) -> Tensor:
        maps = run(x.permute(0, 3, 1, 2), packed, bias, padding, stride, dilation, groups, "none", [], "")
        return maps.permute(0, 2, 3, 1)  # type: ignore[no-any-return]

    return quick


def small_depthwise(layer: nn.Conv2d, side_px: int) -> Callable[[Tensor], Tensor]:
    """Return the function of a depthwise convolution on maps (N, side_px, side_px, C): a sum over all their pixels.

    Each pixel contributes to each other one, mostly with weight 0; up to 3 x 3 pixels, this takes a third of the time.
    """
    pixels, channels = side_px * side_px, layer.groups
    impulses = torch.eye(pixels).view(pixels, 1, side_px, side_px).repeat(1, channels, 1, 1)
    weight, bias = layer.weight.detach().float(), cast("Tensor", layer.bias).detach().clone()
    spread = torch.conv2d(impulses, weight, None, layer.stride, layer.padding, layer.dilation, channels)
    weights = spread.flatten(2).permute(2, 0, 1).contiguous()

    def dense(x: Tensor) -> Tensor:
        summed = (x.view(-1, 1, pixels, channels) * weights).sum(2).add_(bias)
        return summed.view(-1, side_px, side_px, channels)

    return dense


def _pool(x: Tensor) -> Tensor:
    """Return the maxima (N, H / 2, W / 2, C) of squares of 2 x 2 pixels of (N, H, W, C); faster than max_pool2d."""
    x = torch.maximum(x[:, :, ::2], x[:, :, 1::2])
    return torch.maximum(x[:, ::2], x[:, 1::2])
