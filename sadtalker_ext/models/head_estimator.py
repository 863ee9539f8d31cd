"""HeadEstimator: head pose and expression of a face image (HEEstimator of face-vid2vid).

Only the old checkpoint layout contains it. Training uses it; the SadTalker pipeline does not.
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
"""Constructor of a normalisation layer, called with the number of channels."""


@dataclass(frozen=True)
class HeadEstimatorConfig:
    """Sizes of the network; the defaults are those of the official checkpoint.

    base_channels: channels of the 7x7 stem. stage_channels: channels of the four stages. stage_blocks: blocks per
    stage that keep the size.
    norm_groups: groups of the group norms, or 0 for batch norms. After a short run with small batches, the running
        statistics of batch norms are wrong for some images; group norms are identical in training and inference.
    """

    base_channels: int = 64
    stage_channels: tuple[int, ...] = (256, 512, 1024, 2048)
    stage_blocks: tuple[int, ...] = (3, 3, 5, 2)
    keypoints: int = 15
    angle_bins: int = 66
    norm_groups: int = 0

    def norm(self, channels: int) -> nn.Module:
        """Return a normalisation layer for ``channels`` channels."""
        return nn.GroupNorm(self.norm_groups, channels) if self.norm_groups else nn.BatchNorm2d(channels)


class ResBottleneck(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions with norms."""

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
        """Return the input."""
        return x


class HalvingBottleneck(ResBottleneck):
    """Bottleneck with stride 2 and a projected shortcut."""

    FOLDS: ClassVar[FoldPairs] = (*ResBottleneck.FOLDS, ("skip", "norm4"))

    def __init__(self, channels: int, norm: Norm = nn.BatchNorm2d) -> None:
        nn.Module.__init__(self)
        self._build(channels, 2, norm)
        self.skip = nn.Conv2d(channels, channels, 1, 2)
        self.norm4 = norm(channels)

    def shortcut(self, x: Tensor) -> Tensor:
        """Return the projected input at half the size."""
        out: Tensor = self.norm4(self.skip(x))
        return out


def _blocks(prefix: str, count: int, channels: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(OrderedDict((f"{prefix}_{i}", ResBottleneck(channels, norm)) for i in range(count)))


class HeadEstimator(nn.Module):
    """ResNet with linear heads."""

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
        """Return the head parameters of RGB images (B, 3, S, S) in [0, 1].

        The layer named ``fc_roll`` predicts yaw and ``fc_yaw`` predicts roll, as in the official checkpoint.
        """
        out: Tensor = F.max_pool2d(self._stem(1, image), 3, 2, padding=1)
        out = self.block1(self._stem(2, out))
        out = self.block3(self.block2(self._stem(3, out)))
        out = self.block5(self.block4(self._stem(4, out)))
        out = self.block7(self.block6(self._stem(5, out)))
        out = F.adaptive_avg_pool2d(out, 1).flatten(1)
        deformation = self.fc_exp(out).unflatten(1, (self.config.keypoints, 3))
        return HeadParameters(self.fc_roll(out), self.fc_pitch(out), self.fc_yaw(out), self.fc_t(out), deformation)
