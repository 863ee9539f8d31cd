"""The generator arranged for a CPU: the same function as :class:`Generator`, computed in less than half the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from sadtalker_ext.models.banded_conv import bias_of
from sadtalker_ext.models.fast_spade import FastSpadeDecoder
from sadtalker_ext.models.folding import has_spectral_norm
from sadtalker_ext.models.generator import EncodedSource
from sadtalker_ext.models.narrow_conv import NarrowConv
from sadtalker_ext.models.winograd import WinogradConv

if TYPE_CHECKING:
    from torch import nn

    from sadtalker_ext.models.dense_motion import DenseMotion, DenseMotionField
    from sadtalker_ext.models.generator import Generator


def convert_convolutions(generator: Generator, dtype: torch.dtype) -> None:
    """Convert the convolutions that run for every frame to ``dtype`` in place.

    The source is still encoded in float32, and keypoints, masks and sampling positions are computed in float32: they
    move pixels, and an error there is seen as a shift.
    """
    _convert_motion(generator.dense_motion_network, dtype)
    for part in (generator.third, generator.fourth, generator.decoder):
        part.to(dtype)


def use_channels_last(generator: Generator) -> None:
    """Store the 2D kernels that run for every frame with channels last, in place.

    The results of such convolutions have this layout too. Tensor cores of GPUs read it as it is; other layouts are
    converted before and after each convolution.
    """
    for part in (generator.third, generator.fourth, generator.decoder):
        part.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # an overload that torch does not declare


def _convert_motion(motion: DenseMotion, dtype: torch.dtype) -> None:
    for part in (motion.hourglass, motion.mask, motion.occlusion):
        part.to(dtype)


class FastGenerator:
    """Equivalent of a folded :class:`Generator` up to rounding; ValueError for one that is not folded.

    dtype: of the convolutions; None: that of the weights. The generator is taken over: it must not be used afterwards.
    """

    def __init__(self, generator: Generator, dtype: torch.dtype | None = None) -> None:
        if any(has_spectral_norm(module) for module in generator.modules()):
            raise ValueError("the generator must be folded first")
        dtype = dtype or generator.fourth.weight.dtype
        self.generator = generator
        self.decoder = FastSpadeDecoder(generator.decoder, dtype)
        third, motion = generator.third.conv, generator.dense_motion_network
        self._third = WinogradConv(third.weight, bias_of(third))
        motion.occlusion = NarrowConv(cast("nn.Conv2d", motion.occlusion))
        _convert_motion(motion, dtype)
        del generator.decoder  # its weights are held in the other arrangement

    def encode_source(self, image: Tensor) -> EncodedSource:
        """Encode RGB portraits (B, 3, S, S), as :meth:`Generator.encode_source` does."""
        return self.generator.encode_source(image)

    def render(self, encoded: EncodedSource, source: Tensor, driving: Tensor) -> Tensor:
        """Render frames (B, 3, S, S) in (0, 1), as :meth:`Generator.render` does, one after the other."""
        frames = []
        for index in range(len(driving)):
            lane = EncodedSource(*(_lane(part, index) for part in encoded))
            motion = self.generator.dense_motion_network(lane.compressed, _lane(source, index), _lane(driving, index))
            frames.append(self.decoder(self.guide(lane, motion)))
        return torch.stack(frames)

    def guide(self, encoded: EncodedSource, motion: DenseMotionField) -> Tensor:
        """Return the guide (1, 256, S / 4, S / 4) of one frame, as :meth:`Generator.guide` does.

        It is computed in the dtype of the source: every block reads it, so that its errors count most.
        """
        hidden = self._third(self.generator.warp(encoded, motion))
        hidden = F.leaky_relu_(hidden, self.generator.third.negative_slope)
        guide: Tensor = self.generator.fourth(hidden) * motion.occlusion
        return guide


def _lane(values: Tensor, index: int) -> Tensor:
    """Return row ``index`` of values (B, ...), or the only row of values (1, ...) that all frames share."""
    return values if len(values) == 1 else values[index : index + 1]
