"""The functions of :mod:`sadtalker_ext.models.blaze_face` for inference on a CPU.

They are used once or a few times per picture, so that weights are not packed: the first picture is ready earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from sadtalker_ext.models.blaze_face import VALUES, BlazeFaceFullRange, BlazeFaceShortRange
from sadtalker_ext.models.blaze_inference import (
    BottleneckInferenceBlock,
    InferenceBlock,
    LayerWeights,
    MatrixLayer,
    convolution,
    depthwise_convolution,
    pointwise,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class ShortRangeInference:
    """Raw detections of :class:`BlazeFaceShortRange`.

    weights: its state dict in any floating-point type; its tensors are copied.
    """

    side_px = BlazeFaceShortRange.side_px
    grids = BlazeFaceShortRange.grids

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        layers = LayerWeights(weights, packed=False)
        self._stem = convolution(layers.part("stem"), 2)
        self._fine, self._coarse = (
            [
                InferenceBlock(part, overwrite=index > 0)
                for index, part in enumerate(layers.blocks(name, "depthwise.weight"))
            ]
            for name in ("fine", "coarse")
        )
        self._scores = [MatrixLayer(layers.part(f"{name}_score")) for name in ("fine", "coarse")]
        self._values = [MatrixLayer(layers.part(f"{name}_values")) for name in ("fine", "coarse")]

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, 896) and raw values (N, 896, 16) of pictures (N, 3, 128, 128) in [-1, 1]."""
        count = len(pictures)
        x = self._stem(F.pad(pictures.permute(0, 2, 3, 1), (0, 0, 1, 2, 1, 2))).relu_()
        rows = []
        for blocks in (self._fine, self._coarse):
            for block in blocks:
                x = block(x)
            # Kept until the end: the next block, with stride 2, does not overwrite its input.
            rows.append(x.view(-1, x.shape[3]))
        logits = [layer(maps).view(count, -1) for layer, maps in zip(self._scores, rows, strict=True)]
        values = [layer(maps).view(count, -1, VALUES) for layer, maps in zip(self._values, rows, strict=True)]
        return torch.cat(logits, 1), torch.cat(values, 1)


class FullRangeInference:
    """Raw detections of :class:`BlazeFaceFullRange`.

    weights: its state dict in any floating-point type; its tensors are copied.
    """

    side_px = BlazeFaceFullRange.side_px
    grids = BlazeFaceFullRange.grids

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        layers = LayerWeights(weights, packed=False)
        self._stem = convolution(layers.part("stem"), 2, 1)
        self._down = [_Bottlenecks(layers, name) for name in ("level4", "level8", "level16", "level32")]
        self._lateral = [MatrixLayer(layers.part(name)) for name in ("lateral16", "lateral8", "lateral4")]
        self._top = [MatrixLayer(layers.part(name)) for name in ("top32", "top16", "top8")]
        self._merged = [_Bottlenecks(layers, name) for name in ("merged16", "merged8", "merged4")]
        self._heads = [MatrixLayer(layers.part(name)) for name in ("score", "values")]
        self._heads_depthwise = [
            depthwise_convolution(layers.part(f"{name}_depthwise"), 2) for name in ("score", "values")
        ]

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, 2304) and raw values (N, 2304, 16) of pictures (N, 3, 192, 192) in [-1, 1].

        Picture by picture, because the maps of several do not fit in the cache of a core.
        """
        found = [self._detect(picture) for picture in torch.split(pictures.permute(0, 2, 3, 1), 1)]
        logits, values = zip(*found, strict=True)
        return torch.cat(logits), torch.cat(values)

    def _detect(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        x = self._stem(picture).relu_()
        levels = []
        for down in self._down:
            x = down(x)
            levels.append(x)
        for top, lateral, level, merge in zip(self._top, self._lateral, levels[-2::-1], self._merged, strict=True):
            x = merge(_upsampled(pointwise(top, x).relu_()).add_(pointwise(lateral, level).relu_()))
        logits, values = (
            _per_anchor(depthwise(pointwise(head, x)))
            for head, depthwise in zip(self._heads, self._heads_depthwise, strict=True)
        )
        return logits.squeeze(-1), values


class _Bottlenecks:
    """A sequence of bottleneck blocks; the input is kept, because the levels are read again."""

    def __init__(self, layers: LayerWeights, name: str) -> None:
        parts = layers.blocks(name, "expand.weight") or [layers.part(name)]
        self._blocks = [BottleneckInferenceBlock(part, overwrite=index > 0) for index, part in enumerate(parts)]

    def __call__(self, x: Tensor) -> Tensor:
        for block in self._blocks:
            x = block(x)
        return x


def _upsampled(x: Tensor) -> Tensor:
    """Return maps (N, 2 H, 2 W, C) from (N, H, W, C)."""
    wide = F.interpolate(x.permute(0, 3, 1, 2), scale_factor=2.0, mode="bilinear", align_corners=False)
    return wide.permute(0, 2, 3, 1)


def _per_anchor(x: Tensor) -> Tensor:
    """Rearrange (N, H, W, values * 2 * 2), whose last axes are rows and columns, to (N, 2 H * 2 W, values)."""
    count, height, width, _ = x.shape
    parts = x.reshape(count, height, width, -1, 2, 2).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(count, 4 * height * width, -1)
