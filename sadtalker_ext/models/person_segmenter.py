"""PersonSegmenter: the mask of the people in a picture (MediaPipe's selfie segmentation, general model).

Source: MediaPipe's model "selfie_segmentation" (Apache-2.0), whose weights fit this class: an encoder like MobileNetV3
(Howard et al., "Searching for MobileNetV3", 2019) and a decoder with channel gates.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE_PX = 256


class _Gate(nn.Module):
    """Squeeze and excitation: a weight in [0, 1] per channel, from the mean of each channel."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, middle, 1)
        self.expand = nn.Conv2d(middle, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)
        gate: Tensor = self.expand(self.reduce(mean).relu_())
        return gate.sigmoid_()


class _InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, optional gate and projection of MobileNetV3.

    gate: channels in the middle of the gate, 0 for none; blocks with a kernel of 5 use hard swish, others ReLU.
    """

    def __init__(
        self, channels: tuple[int, int, int], kernel: int = 3, stride: int = 1, gate: int = 0, *, residual: bool = False
    ) -> None:
        super().__init__()
        inputs, middle, outputs = channels
        self.stride, self.kernel, self.residual = stride, kernel, residual
        self.expand = nn.Conv2d(inputs, middle, 1)
        self.depthwise = nn.Conv2d(
            middle, middle, kernel, stride, 0 if stride == 2 else kernel // 2, groups=middle
        )
        self.gate = _Gate(middle, gate) if gate else None
        self.project = nn.Conv2d(middle, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        activation = F.hardswish if self.kernel == 5 else F.relu
        y = activation(self.expand(x), inplace=True)
        if self.stride == 2:
            y = _pad_same(y, self.kernel)
        y = activation(self.depthwise(y), inplace=True)
        if self.gate is not None:
            y = y * self.gate(y)
        projected: Tensor = self.project(y)
        return projected.add_(x) if self.residual else projected


class _DecoderStage(nn.Module):
    """Upsampling by 2 and gated fusion with a feature map of the encoder.

    inputs: channels of the coarser map. channels: those of the encoder's map and of the result.
    """

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.adapt = nn.Conv2d(inputs, channels, 1)
        self.gate = _Gate(channels, channels)
        self.fuse = nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels)

    def forward(self, coarse: Tensor, encoded: Tensor) -> Tensor:
        coarse = self.adapt(F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False))
        fused: Tensor = self.fuse(torch.addcmul(coarse, encoded, self.gate(encoded + coarse)))
        fused = fused.relu_()
        refined: Tensor = self.depthwise(fused)
        return fused + refined.relu_()


class PersonSegmenter(nn.Module):
    """Segmentation of people in pictures of 256 x 256 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2)
        self.quarter = _InvertedResidual((16, 16, 16), stride=2, gate=8)
        self.eighth = nn.Sequential(
            _InvertedResidual((16, 72, 24), stride=2), _InvertedResidual((24, 88, 24), residual=True)
        )
        self.sixteenth = nn.Sequential(
            _InvertedResidual((24, 96, 32), 5, 2, 24),
            _InvertedResidual((32, 128, 32), 5, 1, 32, residual=True),
            _InvertedResidual((32, 128, 32), 5, 1, 32, residual=True),
            _InvertedResidual((32, 96, 32), 5, 1, 24, residual=True),
            _InvertedResidual((32, 96, 32), 5, 1, 24, residual=True),
        )
        self.context = nn.Conv2d(32, 128, 1)
        self.context_gate = nn.Conv2d(32, 128, 1)
        self.decode_eighth = _DecoderStage(128, 24)
        self.decode_quarter = _DecoderStage(24, 16)
        self.decode_half = _DecoderStage(16, 16)
        self.mask = nn.ConvTranspose2d(16, 1, 2, 2)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return masks (N, 256, 256) in [0, 1] of pictures (N, 3, 256, 256) in [0, 1]."""
        half = F.hardswish(self.stem(_pad_same(pictures, 3)))
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        deep = self.sixteenth(eighth)
        gate = self.context_gate(deep.mean((2, 3), keepdim=True)).sigmoid_()
        decoded = self.decode_eighth(self.context(deep).relu_() * gate, eighth)
        decoded = self.decode_half(self.decode_quarter(decoded, quarter), half)
        mask: Tensor = self.mask(decoded)
        return mask.sigmoid_().squeeze(1)


def _pad_same(x: Tensor, kernel: int) -> Tensor:
    """Pad for a convolution with stride 2 on an even size, as TensorFlow does for "SAME"."""
    before = (kernel - 2) // 2
    after = kernel - 2 - before
    return F.pad(x, (before, after, before, after))
