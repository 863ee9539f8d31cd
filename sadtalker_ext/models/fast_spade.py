"""The SPADE decoder arranged for a CPU: the same function as :class:`SpadeDecoder` with a third of its multiplications.

- In float32, 3x3 convolutions at the size of their input are :class:`WinogradConv`; those of the upsampled guide stay
  merged with the upsampling.
- Scale and shift are one convolution, applied to each band of rows while it is in the cache.
- The shift of a shortcut goes straight to the width of the output: two linear maps in a row are one convolution.
- Statistics and normalization of upsampled features are those of the features before upsampling.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.banded_conv import banded_conv, bias_of, whole_conv
from sadtalker_ext.models.narrow_conv import NarrowConv, sum_dtype
from sadtalker_ext.models.spade import LEAK, Spade, SpadeBlock, SpadeDecoder
from sadtalker_ext.models.upsampled_conv import UpsampledConv

CHUNK: Final = 128
"""Channels whose scale and shift are computed at once; larger chunks do not fit into the cache with their kernels."""
KEEP_CHANNELS: Final = 256
"""Widest block that keeps its transformed kernels; wider ones have larger kernels and fewer bands that use them."""
INSTANCE_NORM_EPS: Final = 1e-5
"""``eps`` of :func:`torch.nn.functional.instance_norm`."""


class NormalizedRows:
    """Instance norm of features (C, h, w) that are enlarged ``factor`` times, computed a band of rows at a time."""

    def __init__(self, x: Tensor, factor: int) -> None:
        flat = x.flatten(1).to(sum_dtype(x))
        mean = flat.mean(dim=1, keepdim=True)
        variance = torch.linalg.vector_norm(flat - mean, dim=1, keepdim=True).square() / flat.shape[1]
        scale = (variance + INSTANCE_NORM_EPS).rsqrt()
        self.scale, self.shift = scale.unsqueeze(2), (-mean * scale).unsqueeze(2)
        self.x, self.factor = x, factor

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows ``start`` to ``stop`` of the result, (C, stop - start, factor w)."""
        first, last = start // self.factor, -(-stop // self.factor)
        band = torch.addcmul(self.shift, self.x[:, first:last].to(self.shift.dtype), self.scale).to(self.x.dtype)
        if self.factor > 1:
            band = band.repeat_interleave(self.factor, dim=2).repeat_interleave(self.factor, dim=1)
            band = band[:, start - first * self.factor :][:, : stop - start]
        return band


class FastSpade:
    """Equivalent of :class:`Spade` for one picture.

    keep: see :class:`~sadtalker_ext.models.winograd.WinogradConv`. shortcut: (C', C, 1, 1) weights of a convolution
    that follows; the result then has C' channels.
    """

    def __init__(self, spade: Spade, dtype: torch.dtype, *, keep: bool, shortcut: Tensor | None = None) -> None:
        gamma, beta, beta_bias = spade.mlp_gamma, spade.mlp_beta, bias_of(spade.mlp_beta)
        self.channels = gamma.out_channels
        self._shortcut, self._shift = None, None
        if shortcut is not None:
            mix = shortcut.flatten(1)
            weight = torch.einsum("oc,cikl->oikl", mix.double(), beta.weight.double()).to(mix.dtype).contiguous()
            self._shift = banded_conv(weight, mix @ beta_bias, dtype, keep=keep)
            self._shortcut = mix.to(dtype)
        self._parts = []
        for start in range(0, self.channels, CHUNK):
            part = slice(start, min(start + CHUNK, self.channels))
            weight, bias = gamma.weight[part], 1 + bias_of(gamma)[part]
            if self._shift is None:
                weight, bias = torch.cat((weight, beta.weight[part])), torch.cat((bias, beta_bias[part]))
            self._parts.append((part, banded_conv(weight, bias, dtype, keep=keep)))
        self.shared = cast("UpsampledConv | nn.Conv2d", spade.mlp_shared[0].to(dtype))

    def bands(self, x: NormalizedRows, hidden: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield slices of rows and the modulated features (C or C', rows, W). hidden: (128, H, W)."""
        for band in self._parts[0][1].bands(hidden):
            out = x.rows(band.start, band.stop)
            for part, conv in self._parts:
                pixels = conv.pixels(band)
                if self._shift is None:
                    scale, shift = pixels.tensor_split(2)
                    torch.addcmul(shift, out[part], scale, out=out[part])
                else:
                    out[part] *= pixels
            if self._shortcut is not None and self._shift is not None:
                mixed = self._shortcut @ out.flatten(1)
                out = self._shift.pixels(band).add_(mixed.view(-1, *out.shape[1:]))
            yield slice(band.start, band.stop), out

    def activated(self, x: NormalizedRows, hidden: Tensor) -> Tensor:
        """Return the modulated features (C, H, W) after leaky ReLU."""
        out = hidden.new_empty(self.channels, *hidden.shape[1:])
        for rows, band in self.bands(x, hidden):
            out[:, rows] = F.leaky_relu_(band, LEAK)
        return out


class FastSpadeBlock:
    """Equivalent of :class:`SpadeBlock` for one picture; ``factor`` enlarges the input first."""

    def __init__(self, block: SpadeBlock, factor: int, dtype: torch.dtype) -> None:
        keep = factor > 1 and block.conv_0.in_channels <= KEEP_CHANNELS
        self.factor = factor
        self.norm_0, self.norm_1 = (FastSpade(norm, dtype, keep=keep) for norm in (block.norm_0, block.norm_1))
        self.conv_0, self.conv_1 = (
            whole_conv(conv.weight, bias_of(conv), dtype, keep=keep) for conv in (block.conv_0, block.conv_1)
        )
        self.norm_s = None
        if block.learned_shortcut:
            self.norm_s = FastSpade(block.norm_s, dtype, keep=keep, shortcut=block.conv_s.weight)

    def __call__(self, x: Tensor, guide: Tensor) -> Tensor:
        """Features (C, h, w) and guide (1, G, h', w') -> (C', factor h, factor w)."""
        normalized = NormalizedRows(x, self.factor)
        inner = self.conv_0(self.norm_0.activated(normalized, hidden_maps(self.norm_0, guide)))
        inner = self.norm_1.activated(NormalizedRows(inner, 1), hidden_maps(self.norm_1, guide))
        out = self.conv_1(inner)
        if self.norm_s is None:
            return out.add_(x)
        for rows, band in self.norm_s.bands(normalized, hidden_maps(self.norm_s, guide)):
            out[:, rows] += band
        return out


class FastSpadeDecoder:
    """Equivalent of a folded :class:`SpadeDecoder` that computes in ``dtype``, one picture at a time."""

    def __init__(self, decoder: SpadeDecoder, dtype: torch.dtype) -> None:
        self.fc = whole_conv(decoder.fc.weight, bias_of(decoder.fc), dtype)
        names = [f"G_middle_{index}" for index in range(decoder.config.middle_blocks)]
        middle = [FastSpadeBlock(_block(decoder, name), 1, dtype) for name in names]
        upsampling = [FastSpadeBlock(_block(decoder, f"up_{index}"), 2, dtype) for index in range(decoder.doublings)]
        self.blocks = middle + upsampling
        self.last = NarrowConv(decoder.conv_img).to(dtype)

    def __call__(self, guide: Tensor) -> Tensor:
        """Warped features (1, 256, h, w) -> RGB image (3, 4h, 4w) in (0, 1)."""
        x = self.fc(guide[0])
        for block in self.blocks:
            x = block(x, guide)
        image: Tensor = self.last(F.leaky_relu_(x, LEAK).unsqueeze(0))[0]
        return image.sigmoid_()


def hidden_maps(spade: FastSpade, guide: Tensor) -> Tensor:
    """Return the hidden maps (128, H, W) from which scale and shift are predicted."""
    return F.relu_(spade.shared(guide)[0])


def _block(decoder: SpadeDecoder, name: str) -> SpadeBlock:
    return cast("SpadeBlock", decoder.get_submodule(name))
