"""HeadEstimator: head pose and expression from a picture (face-vid2vid's HEEstimator).

Present only in the old checkpoint layout; the SadTalker pipeline never calls it, training losses may.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.folding import FoldPairs
from sadtalker_ext.models.mapping_net import HeadParameters

Norm = Callable[[int], nn.Module]
"""Channels -> what normalises them."""


@dataclass(frozen=True)
class HeadEstimatorConfig:
    """base_channels: of the 7x7 stem. stage_channels: of the four stages. stage_blocks: blocks that keep the size.

    norm_groups: groups of the group norms, or 0 for batch norms, as in the official checkpoint, whose numbers the
    other defaults are too. A short run of small batches leaves batch norms with statistics that suit the mean picture
    and throw some others far away; group norms do the same whether they learn or serve.
    """

    base_channels: int = 64
    stage_channels: tuple[int, ...] = (256, 512, 1024, 2048)
    stage_blocks: tuple[int, ...] = (3, 3, 5, 2)
    keypoints: int = 15
    angle_bins: int = 66
    norm_groups: int = 0

    def norm(self, channels: int) -> nn.Module:
        """What normalises ``channels`` of a picture."""
        return nn.GroupNorm(self.norm_groups, channels) if self.norm_groups else nn.BatchNorm2d(channels)


class ResBottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with norms; a strided block projects its input."""

    FOLDS: ClassVar[FoldPairs] = (("conv1", "norm1"), ("conv2", "norm2"), ("conv3", "norm3"))

    def __init__(self, channels: int, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self._build(channels, 1, norm)

    def _build(self, channels: int, stride: int, norm: Norm) -> None:
        narrow = channels // 4
        self.conv1 = nn.Conv2d(channels, narrow, 1)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride, padding=1)
        self.conv3 = nn.Conv2d(narrow, channels, 1)
        self.norm1 = norm(narrow)
        self.norm2 = norm(narrow)
        self.norm3 = norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H / stride, W / stride)."""
        out = F.relu(self.norm1(self.conv1(x)))
        out = F.relu(self.norm2(self.conv2(out)))
        return F.relu(self.norm3(self.conv3(out)) + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        """The input itself."""
        return x


class HalvingBottleneck(ResBottleneck):
    """A bottleneck of stride 2 with a projected shortcut."""

    FOLDS: ClassVar[FoldPairs] = (*ResBottleneck.FOLDS, ("skip", "norm4"))

    def __init__(self, channels: int, norm: Norm = nn.BatchNorm2d) -> None:
        nn.Module.__init__(self)
        self._build(channels, 2, norm)
        self.skip = nn.Conv2d(channels, channels, 1, 2)
        self.norm4 = norm(channels)

    def shortcut(self, x: Tensor) -> Tensor:
        """The input, projected and halved."""
        out: Tensor = self.norm4(self.skip(x))
        return out


def _blocks(prefix: str, count: int, channels: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(OrderedDict((f"{prefix}_{i}", ResBottleneck(channels, norm)) for i in range(count)))


class HeadEstimator(nn.Module):
    """A ResNet with linear heads."""

    FOLDS: ClassVar[FoldPairs] = tuple((f"conv{i}", f"norm{i}") for i in range(1, 6))

    def __init__(self, config: HeadEstimatorConfig | None = None) -> None:
        super().__init__()
        self.config = config or HeadEstimatorConfig()
        widths = (self.config.base_channels, *self.config.stage_channels)
        blocks, last, norm = self.config.stage_blocks, widths[-1], self.config.norm
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, padding=3)
        for i in range(1, 5):
            self.add_module(f"conv{i + 1}", nn.Conv2d(widths[i - 1], widths[i], 1))
        for i in range(5):
            self.add_module(f"norm{i + 1}", norm(widths[i]))
        self.block1 = _blocks("b1", blocks[0], widths[1], norm)
        self.block2 = HalvingBottleneck(widths[2], norm)
        self.block3 = _blocks("b3", blocks[1], widths[2], norm)
        self.block4 = HalvingBottleneck(widths[3], norm)
        self.block5 = _blocks("b5", blocks[2], widths[3], norm)
        self.block6 = HalvingBottleneck(last, norm)
        self.block7 = _blocks("b7", blocks[3], last, norm)
        bins = self.config.angle_bins
        self.fc_roll, self.fc_pitch, self.fc_yaw = (nn.Linear(last, bins) for _ in range(3))
        self.fc_t = nn.Linear(last, 3)
        self.fc_exp = nn.Linear(last, 3 * self.config.keypoints)

    def _stem(self, index: int, x: Tensor) -> Tensor:
        convolved = self.get_submodule(f"conv{index}")(x)
        return F.relu(self.get_submodule(f"norm{index}")(convolved))

    def forward(self, image: Tensor) -> HeadParameters:
        """RGB picture (B, 3, S, S) in [0, 1]. Yaw comes from the layer called roll and the reverse, as trained."""
        out: Tensor = F.max_pool2d(self._stem(1, image), 3, 2, padding=1)
        out = self.block1(self._stem(2, out))
        out = self.block3(self.block2(self._stem(3, out)))
        out = self.block5(self.block4(self._stem(4, out)))
        out = self.block7(self.block6(self._stem(5, out)))
        out = F.adaptive_avg_pool2d(out, 1).flatten(1)
        deformation = self.fc_exp(out).unflatten(1, (self.config.keypoints, 3))
        return HeadParameters(self.fc_roll(out), self.fc_pitch(out), self.fc_yaw(out), self.fc_t(out), deformation)
