"""The SPADE decoder arranged for a CPU: the same function as :class:`SpadeDecoder` with a third of its multiplications.

- 3x3 convolutions at the size of their input are computed from sums of it (:func:`.banded_conv.banded_conv`); those of
  the upsampled guide stay merged with the upsampling. The sums of the guide are the same for all blocks.
- Scale and shift are one convolution, applied to each band of the output while it is in the cache.
- The shift of a shortcut goes straight to the width of the output: two linear maps in a row are one convolution.
- Statistics and normalisation of upsampled features are those of the features before upsampling.
- Features that pass from block to block, and the first convolution, are computed in float32 at least. Their mean may
  exceed their deviation many times, and normalisation would turn the rounding of bfloat16 into noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.banded_conv import BandedConv, banded_conv, bias_of, empty_map, layout_of
from sadtalker_ext.models.bands import Band, Grid
from sadtalker_ext.models.narrow_conv import NarrowConv, sum_dtype
from sadtalker_ext.models.spade import LEAK, Spade, SpadeBlock, SpadeDecoder
from sadtalker_ext.models.upsampled_conv import UpsampledConv

CHUNK: Final = 128
"""Channels whose scale and shift are computed at once; larger chunks do not fit into the cache with their kernels."""
KEEP_CHANNELS: Final = 256
"""Widest block that keeps its transformed kernels; wider ones have larger kernels and fewer bands that use them."""
INSTANCE_NORM_EPS: Final = 1e-5
"""``eps`` of :func:`torch.nn.functional.instance_norm`."""


class NormalizedMap:
    """Instance norm in ``dtype`` of features (1, C, h, w) that are enlarged ``factor`` times, one part at a time."""

    def __init__(self, x: Tensor, factor: int, dtype: torch.dtype) -> None:
        exact = x.to(sum_dtype(x))
        mean = exact.mean(dim=(2, 3), keepdim=True)
        variance = (exact - mean).square_().mean(dim=(2, 3), keepdim=True)
        self.scale = (variance + INSTANCE_NORM_EPS).rsqrt()
        self.shift = -mean * self.scale
        self.x, self.factor, self.dtype = x, factor, dtype

    def at(self, grid: Grid) -> Tensor:
        """Return the part of the result at rows and columns of ``grid``, (1, C, H', W')."""
        rows, columns = (shrink(part, self.factor) for part in grid[1:])
        part = torch.addcmul(self.shift, self.x[..., rows.places, columns.places].to(self.shift.dtype), self.scale)
        part = part.to(self.dtype)
        if rows.repeats == columns.repeats == 1:
            return part
        out = empty_map(part.shape[1], (rows.repeats * part.shape[2], columns.repeats * part.shape[3]), part)
        for down in range(rows.repeats):
            for across in range(columns.repeats):
                out[:, :, down :: rows.repeats, across :: columns.repeats] = part
        return out


class Shrunk(NamedTuple):
    """Places of an upsampled axis in the axis before upsampling, and how often each is repeated."""

    places: slice
    repeats: int


def shrink(part: slice, factor: int) -> Shrunk:
    """Return what the places ``part`` of an axis that was upsampled ``factor`` times are before upsampling.

    The step of ``part`` divides the factor, or the factor the step.
    """
    start, step = part.start or 0, part.step or 1
    stop = None if part.stop is None else -(-part.stop // factor)
    return Shrunk(slice(start // factor, stop, max(1, step // factor)), max(1, factor // step))


class Guide:
    """The features (1, G, h, w) that all blocks read, and their bands, which all 3x3 convolutions share."""

    def __init__(self, features: Tensor) -> None:
        self.features = features
        self._bands: tuple[Band, ...] = ()

    def bands(self, conv: BandedConv) -> tuple[Band, ...]:
        """Return the bands that ``conv`` reads, which are those of any other convolution in the same dtype."""
        self._bands = self._bands or tuple(conv.bands(self.features))
        return self._bands


class FastSpade:
    """Equivalent of :class:`Spade` for one picture.

    keep: see :class:`~sadtalker_ext.models.winograd.WinogradConv`. shortcut: (C', C, 1, 1) weights of a convolution
    that follows; the result then has C' channels.
    """

    def __init__(self, spade: Spade, dtype: torch.dtype, *, keep: bool, shortcut: Tensor | None = None) -> None:
        gamma, beta, beta_bias = spade.mlp_gamma, spade.mlp_beta, bias_of(spade.mlp_beta)
        self.channels = gamma.out_channels
        make = partial(banded_conv, dtype=dtype, keep=keep)
        self._shared = _shared_conv(spade, dtype)
        self._shortcut, self._shift = None, None
        if shortcut is not None:
            mix = shortcut.flatten(1)
            weight = torch.einsum("oc,cikl->oikl", mix.double(), beta.weight.double()).to(mix.dtype).contiguous()
            self._shift = make(weight, mix @ beta_bias)
            self._shortcut = shortcut.to(dtype, memory_format=layout_of(dtype))
        self._parts = []
        for start in range(0, self.channels, CHUNK):
            part = slice(start, min(start + CHUNK, self.channels))
            weight, bias = gamma.weight[part], 1 + bias_of(gamma)[part]
            if self._shift is None:
                weight, bias = torch.cat((weight, beta.weight[part])), torch.cat((bias, beta_bias[part]))
            self._parts.append((part, make(weight, bias)))

    def parts(self, x: NormalizedMap, hidden: Tensor) -> Iterator[tuple[Grid, Tensor]]:
        """Yield places in (1, C or C', H, W) and the modulated features there. hidden: (1, 128, H, W)."""
        for band in self._parts[0][1].bands(hidden):
            outs = [x.at(grid) for grid in band.grids]
            for part, conv in self._parts:
                for out, pixels in zip(outs, conv.pixels(band), strict=True):
                    if self._shift is None:
                        scale, shift = pixels.tensor_split(2, dim=1)
                        torch.addcmul(shift, out[:, part], scale, out=out[:, part])
                    else:
                        out[:, part] *= pixels
            if self._shortcut is not None and self._shift is not None:
                outs = [
                    shift.add_(F.conv2d(out, self._shortcut))
                    for out, shift in zip(outs, self._shift.pixels(band), strict=True)
                ]
            yield from zip(band.grids, outs, strict=True)

    def activated(self, x: NormalizedMap, guide: Guide, size: tuple[int, int]) -> Tensor:
        """Return the modulated features (1, C, H, W) after leaky ReLU."""
        out = empty_map(self.channels, size, guide.features)
        for grid, part in self.parts(x, self.hidden(guide)):
            out[grid] = F.leaky_relu_(part, LEAK)
        return out

    def hidden(self, guide: Guide) -> Tensor:
        """Return the hidden maps (1, 128, H, W) from which scale and shift are predicted."""
        if isinstance(self._shared, UpsampledConv):
            return F.relu_(self._shared(guide.features))
        return F.relu_(self._shared.join(guide.bands(self._shared), guide.features.shape[2:]))


class FastSpadeBlock:
    """Equivalent of :class:`SpadeBlock` for one picture; ``factor`` enlarges the input first."""

    def __init__(self, block: SpadeBlock, factor: int, dtype: torch.dtype) -> None:
        keep = factor > 1 and block.conv_0.in_channels <= KEEP_CHANNELS
        self.factor = factor
        self.norm_0, self.norm_1 = (FastSpade(norm, dtype, keep=keep) for norm in (block.norm_0, block.norm_1))
        self.conv_0, self.conv_1 = (
            banded_conv(conv.weight, bias_of(conv), dtype, keep=keep) for conv in (block.conv_0, block.conv_1)
        )
        self.norm_s = None
        if block.learned_shortcut:
            self.norm_s = FastSpade(block.norm_s, dtype, keep=keep, shortcut=block.conv_s.weight)

    def __call__(self, x: Tensor, guide: Guide) -> Tensor:
        """Features (1, C, h, w) -> (1, C', factor h, factor w)."""
        size = (self.factor * x.shape[2], self.factor * x.shape[3])
        normalized = NormalizedMap(x, self.factor, guide.features.dtype)
        inner = self.conv_0(self.norm_0.activated(normalized, guide, size))
        inner = self.norm_1.activated(NormalizedMap(inner, 1, guide.features.dtype), guide, size)
        out = self.conv_1(inner).to(x.dtype)
        if self.norm_s is None:
            return out.add_(x)
        for grid, part in self.norm_s.parts(normalized, self.norm_s.hidden(guide)):
            out[grid] += part
        return out


class FastSpadeDecoder:
    """Equivalent of a folded :class:`SpadeDecoder` that computes in ``dtype``, one picture at a time."""

    def __init__(self, decoder: SpadeDecoder, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self.fc = banded_conv(decoder.fc.weight, bias_of(decoder.fc), torch.promote_types(dtype, torch.float32))
        names = [f"G_middle_{index}" for index in range(decoder.config.middle_blocks)]
        middle = [FastSpadeBlock(_block(decoder, name), 1, dtype) for name in names]
        upsampling = [FastSpadeBlock(_block(decoder, f"up_{index}"), 2, dtype) for index in range(decoder.doublings)]
        self.blocks = middle + upsampling
        self.last = NarrowConv(decoder.conv_img).to(dtype)

    def __call__(self, guide: Tensor) -> Tensor:
        """Warped features (1, 256, h, w) -> RGB image (3, 4h, 4w) in (0, 1)."""
        x = self.fc(guide)
        x = x.contiguous(memory_format=layout_of(self._dtype))
        shared = Guide(guide.to(self._dtype, memory_format=layout_of(self._dtype)))
        for block in self.blocks:
            x = block(x, shared)
        image: Tensor = self.last(F.leaky_relu_(x, LEAK).to(self._dtype))[0]
        return image.sigmoid_()


def _shared_conv(spade: Spade, dtype: torch.dtype) -> UpsampledConv | BandedConv:
    conv = cast("UpsampledConv | nn.Conv2d", spade.mlp_shared[0])
    if isinstance(conv, UpsampledConv):
        return conv.to(dtype).to(memory_format=layout_of(dtype))  # type: ignore[no-any-return, call-overload] # an overload that torch does not declare
    return banded_conv(conv.weight, bias_of(conv), dtype)


def _block(decoder: SpadeDecoder, name: str) -> SpadeBlock:
    return cast("SpadeBlock", decoder.get_submodule(name))
