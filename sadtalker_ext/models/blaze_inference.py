"""Blocks of :mod:`sadtalker_ext.models.blaze_blocks` for inference on a CPU.

For one small picture, a network of these blocks spends more time on calls than on arithmetic. The functions here make
fewer calls, keep the weights in the layout of the kernels, and pass maps as (N, H, W, C). They are plain objects, not
modules, as a call of a module costs as much as a small matrix product; they are made from the tensors of a state dict,
because making the modules first would take longer than the first picture.
"""

from __future__ import annotations

from functools import cache
from itertools import count, takewhile
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class LayerWeights:
    """The tensors of a state dict whose names begin with ``prefix``, in any floating-point type.

    The functions made from them use float32 copies. packed: whether convolutions get weights in oneDNN's layout, see
    :func:`convolution`.
    """

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str = "", *, packed: bool = True) -> None:
        self._tensors, self._prefix, self.packed = tensors, prefix, packed

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[self._prefix + name]

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._tensors

    def vector(self, name: str) -> Tensor:
        """Return a copy, float32, of a tensor such as a bias or the slopes of a PReLU."""
        return _float_copy(self[name])

    def part(self, name: str) -> LayerWeights:
        """Return the tensors of a part of the network."""
        return LayerWeights(self._tensors, f"{self._prefix}{name}.", packed=self.packed)

    def blocks(self, name: str, tensor: str) -> list[LayerWeights]:
        """Return the parts of an nn.Sequential whose modules all have a tensor of this name."""
        parts = (self.part(f"{name}.{number}") for number in count())
        return list(takewhile(lambda part: tensor in part, parts))


class MatrixLayer:
    """A convolution without groups, whose kernel is as large as its input, or 1 x 1, as a matrix product."""

    def __init__(self, weights: LayerWeights) -> None:
        self._rows = _float_copy(_kernel_rows(weights["weight"]))
        self._bias = weights.vector("bias")

    def __call__(self, x: Tensor) -> Tensor:
        """Return (N, outputs) of (N, inputs); with these strides, the result of a row does not depend on the others."""
        return F.linear(x, self._rows, self._bias)


class MatrixSum:
    """A convolution as a matrix product that is added to given values.

    groups: those of the convolution.
    """

    def __init__(self, weights: LayerWeights, groups: int = 1) -> None:
        rows = torch.unflatten(_kernel_rows(weights["weight"]), 0, (groups, -1))
        self.groups, self.outputs, self.inputs = rows.shape
        self._matrix = _float_copy(rows[0].T if groups == 1 else rows.mT)
        self.bias = weights.vector("bias")

    def __call__(self, x: Tensor) -> Tensor:
        """Return (N, groups * outputs) of (N, groups * inputs)."""
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

    weights: the block's; their shapes determine channels, stride and groups. overwrite: whether the block may use its
    input's memory. side_px: the input's height and width, if they are known to be very small; with stride 1 only.
    """

    def __init__(self, weights: LayerWeights, *, overwrite: bool = False, side_px: int | None = None) -> None:
        kernel, depthwise = weights["depthwise.weight"], weights.part("depthwise")
        self._stride = kernel.shape[-1] - 2
        self._overwrite = overwrite or self._stride == 2
        self._pointwise = MatrixSum(weights.part("pointwise"), len(kernel) // weights["pointwise.weight"].shape[1])
        self.inputs, self.outputs = self._pointwise.inputs, self._pointwise.outputs
        self._depthwise = (
            small_depthwise(depthwise, side_px) if side_px else depthwise_convolution(depthwise, self._stride)
        )
        self._slope = weights.vector("activation.weight") if "activation.weight" in weights else None

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, H, W, groups * inputs) to (N, H / stride, W / stride, groups * outputs), both contiguous."""
        maps = self._depthwise(x)
        if self._stride == 2:
            x = _pool(x)
        y = self._biased(x)
        rows = y.view(-1, y.shape[3])
        self._pointwise.add_to(rows, maps.reshape(len(rows), -1))
        rows = rows.relu_() if self._slope is None else torch.prelu(rows, self._slope)
        return rows.view(y.shape)

    def _biased(self, x: Tensor) -> Tensor:
        """Return ``x`` with further channels of zeros, if the block adds any, plus the bias of the pointwise layer."""
        bias = self._pointwise.bias
        if self.inputs == self.outputs:
            return x.add_(bias) if self._overwrite else x + bias
        y = bias.expand(*x.shape[:3], len(bias)).contiguous()
        kept = torch.unflatten(y, 3, (-1, self.outputs))[..., : self.inputs]
        kept += torch.unflatten(x, 3, (-1, self.inputs))
        return y


class BottleneckInferenceBlock:
    """The function of a :class:`BottleneckBlazeBlock` in float32 on the CPU.

    weights: the block's. A block with as many outputs as inputs has stride 1, another one stride 2. overwrite: whether
    the block may use its input's memory.
    """

    def __init__(self, weights: LayerWeights, *, overwrite: bool = False) -> None:
        inputs, outputs = len(weights["reduce_depthwise.weight"]), len(weights["expand.weight"])
        self._residual, self._overwrite = inputs == outputs, overwrite
        self._reduce_depthwise = depthwise_convolution(weights.part("reduce_depthwise"), 1 if self._residual else 2)
        self._reduce = MatrixLayer(weights.part("reduce"))
        self._expand_depthwise = depthwise_convolution(weights.part("expand_depthwise"))
        self._expand = MatrixSum(weights.part("expand"))

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, H, W, inputs) to (N, H / stride, W / stride, outputs), both contiguous."""
        y = pointwise(self._reduce, self._reduce_depthwise(x)).relu_()
        y = self._expand_depthwise(y)
        rows = y.reshape(-1, y.shape[3])
        if self._residual:
            bias = self._expand.bias
            x = x.add_(bias) if self._overwrite else x + bias
            self._expand.add_to(x.view(len(rows), -1), rows)
            return x.relu_()
        return self._expand(rows).relu_().view(*y.shape[:3], -1)


def pointwise(layer: MatrixLayer, x: Tensor) -> Tensor:
    """Return (N, H, W, outputs) of a 1 x 1 convolution of maps (N, H, W, inputs)."""
    return layer(x.reshape(-1, x.shape[3])).view(*x.shape[:3], -1)


def depthwise_convolution(weights: LayerWeights, stride: int = 1) -> Callable[[Tensor], Tensor]:
    """Return the function of a depthwise convolution with a padding of 1 on maps (N, H, W, C)."""
    return convolution(weights, stride, 1, len(weights["weight"]))


def convolution(
    weights: LayerWeights, stride: int = 1, padding: int = 0, groups: int = 1
) -> Callable[[Tensor], Tensor]:
    """Return the function of a convolution on maps (N, H, W, C).

    Weights in oneDNN's layout need the functions of PyTorch that torch.compile uses. Without them they are copied in
    each call, which takes as long as a small convolution. It takes as long as ten calls to make them.
    """
    weight = weights["weight"].to(torch.float32, copy=True, memory_format=torch.channels_last)
    bias = weights.vector("bias")
    strides, paddings, dilation = [stride, stride], [padding, padding], [1, 1]

    def plain(x: Tensor) -> Tensor:
        maps = torch.conv2d(x.permute(0, 3, 1, 2), weight, bias, strides, paddings, dilation, groups)
        return maps.permute(0, 2, 3, 1)

    if not (weights.packed and has_packed_convolutions()):
        return plain
    run = torch.ops.mkldnn._convolution_pointwise.default
    packed = torch.ops.mkldnn._reorder_convolution_weight(weight, paddings, strides, dilation, groups)

    def quick(x: Tensor) -> Tensor:
        maps = run(x.permute(0, 3, 1, 2), packed, bias, paddings, strides, dilation, groups, "none", [], "")
        return maps.permute(0, 2, 3, 1)  # type: ignore[no-any-return]

    return quick


@cache
def has_packed_convolutions() -> bool:
    """Return whether this PyTorch has oneDNN's convolutions with weights in its own layout; tried once."""
    tiny = torch.zeros(1, 1, 3, 3)
    layer = [1, 1], [1, 1], [1, 1], 1
    try:
        packed = torch.ops.mkldnn._reorder_convolution_weight(tiny, *layer)
        torch.ops.mkldnn._convolution_pointwise.default(tiny, packed, None, *layer, "none", [], "")
    except (AttributeError, NotImplementedError, RuntimeError):  # another version or build of PyTorch
        return False
    return True


def small_depthwise(weights: LayerWeights, side_px: int) -> Callable[[Tensor], Tensor]:
    """Return the function of a depthwise convolution with a kernel of 3 x 3 and a padding of 1 on small maps.

    Maps: (N, side_px, side_px, C). It is a sum over all their pixels: each pixel contributes to each other one, mostly
    with weight 0; up to 3 x 3 pixels, this takes a third of the time.
    """
    pixels, channels = side_px * side_px, len(weights["weight"])
    kernel = F.pad(_float_copy(weights["weight"]).flatten(1), (1, 0))  # a weight of zero for pixels too far away
    spread = kernel[:, _kernel_places(side_px)]
    matrix, bias = spread.view(channels, pixels, pixels).permute(1, 2, 0).contiguous(), weights.vector("bias")

    def dense(x: Tensor) -> Tensor:
        summed = (x.view(-1, 1, pixels, channels) * matrix).sum(2).add_(bias)
        return summed.view(-1, side_px, side_px, channels)

    return dense


def _kernel_places(side_px: int) -> Tensor:
    """Return the number (P * P,) of the weight, from 1, that leads to each output pixel from each input pixel, or 0."""
    steps = torch.arange(side_px)
    offset = steps[None, :] - steps[:, None] + 1  # (output, input)
    down, across = offset[:, None, :, None], offset[None, :, None, :]
    near = (down >= 0) & (down <= 2) & (across >= 0) & (across <= 2)
    return torch.where(near, 3 * down + across + 1, 0).flatten()


def _kernel_rows(weight: Tensor) -> Tensor:
    """Return a weight (outputs, inputs, h, w) as (outputs, h * w * inputs)."""
    return weight.permute(0, 2, 3, 1).flatten(1)


def _float_copy(x: Tensor) -> Tensor:
    return torch.empty(x.shape).copy_(x)


def _pool(x: Tensor) -> Tensor:
    """Return the maxima (N, H / 2, W / 2, C) of squares of 2 x 2 pixels of (N, H, W, C); faster than max_pool2d."""
    x = torch.maximum(x[:, :, ::2], x[:, :, 1::2])
    return torch.maximum(x[:, ::2], x[:, 1::2])
