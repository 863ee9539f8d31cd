"""Inception v3 without its classifier: picture -> 2048 features, whose statistics FID compares.

State-dict keys are those of torchvision. There are two variants: the network of the original FID (Heusel et al. 2017)
in the layout of pytorch-fid, and torchvision's own. They differ in weights and in the pooling of some blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE_PX: Final = 299
"""Side to which pictures are resized."""
FEATURES: Final = 2048
NORM_EPSILON: Final = 0.001
Kernel = int | tuple[int, int]
Chain = tuple[tuple[int, Kernel], ...]
"""Convolutions that follow each other: output channels and kernel of each."""


@dataclass(frozen=True)
class InceptionConfig:
    """Variant of the network.

    classes: outputs of the classifier, which is loaded but not used; the network of FID has 1008.
    auxiliary: whether the file has the auxiliary classifier.
    tensorflow_pooling: whether averages at the border leave out the padding, and the last block takes the maximum, as
    in the network of FID.
    """

    classes: int = 1008
    auxiliary: bool = False
    tensorflow_pooling: bool = True


FID_INCEPTION: Final = InceptionConfig()
TORCHVISION_INCEPTION: Final = InceptionConfig(classes=1000, auxiliary=True, tensorflow_pooling=False)


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, ReLU; the size stays the same with stride 1 unless ``valid``."""

    def __init__(self, channels: tuple[int, int], kernel: Kernel, stride: int = 1, valid: bool = False) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (0, 0) if valid or stride > 1 else (sides[0] // 2, sides[1] // 2)
        self.conv = nn.Conv2d(*channels, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels[1], eps=NORM_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Parallel chains of convolutions, whose outputs are concatenated, and a pooled branch.

    chains: by the name of the branch; keys have the suffixes ``_1``, ``_2`` and so on if there are several.
    pooled: channels of the convolution after the pooling; 0 in blocks that halve the size, which take a maximum.
    """

    def __init__(self, channels: int, chains: dict[str, Chain], pooled: int, pooling: str) -> None:
        super().__init__()
        self.pooling, self.branches = pooling, []
        for name, chain in chains.items():
            names = [name] if len(chain) == 1 else [f"{name}_{number}" for number in range(1, len(chain) + 1)]
            before = channels
            for index, (part, (width, kernel)) in enumerate(zip(names, chain, strict=True)):
                stride = 2 if not pooled and index == len(chain) - 1 else 1
                self.add_module(part, ConvNorm((before, width), kernel, stride))
                before = width
            self.branches.append(names)
        self.branch_pool = ConvNorm((channels, pooled), 1) if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        outputs = []
        for names in self.branches:
            out = x
            for name in names:
                out = self.get_submodule(name)(out)
            outputs.append(out)
        return torch.cat([*outputs, self._pooled(x)], 1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.branch_pool is None:
            return F.max_pool2d(x, 3, 2)
        out: Tensor = self.branch_pool(pool(x, self.pooling))
        return out


class MixedSplit(nn.Module):
    """The last two blocks: two chains end in a pair of convolutions side by side."""

    def __init__(self, channels: int, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling
        self.branch1x1 = ConvNorm((channels, 320), 1)
        self.branch3x3_1 = ConvNorm((channels, 384), 1)
        self.branch3x3_2a = ConvNorm((384, 384), (1, 3))
        self.branch3x3_2b = ConvNorm((384, 384), (3, 1))
        self.branch3x3dbl_1 = ConvNorm((channels, 448), 1)
        self.branch3x3dbl_2 = ConvNorm((448, 384), 3)
        self.branch3x3dbl_3a = ConvNorm((384, 384), (1, 3))
        self.branch3x3dbl_3b = ConvNorm((384, 384), (3, 1))
        self.branch_pool = ConvNorm((channels, 192), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 2048, H, W)."""
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pairs = [self.branch3x3_2a(single), self.branch3x3_2b(single)]
        pairs += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(x), *pairs, self.branch_pool(pool(x, self.pooling))], 1)


class AuxiliaryClassifier(nn.Module):
    """Parameters of the auxiliary classifier of training, so that torchvision's file loads strictly."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv0 = ConvNorm((768, 128), 1)
        self.conv1 = ConvNorm((128, 768), 5, valid=True)
        self.fc = nn.Linear(768, classes)


class InceptionV3(nn.Module):
    """Features of the last average pooling."""

    def __init__(self, config: InceptionConfig = FID_INCEPTION) -> None:
        super().__init__()
        self.config = config
        average, last = ("inside", "maximum") if config.tensorflow_pooling else ("average", "average")
        self.Conv2d_1a_3x3 = ConvNorm((3, 32), 3, 2)
        self.Conv2d_2a_3x3 = ConvNorm((32, 32), 3, valid=True)
        self.Conv2d_2b_3x3 = ConvNorm((32, 64), 3)
        self.Conv2d_3b_1x1 = ConvNorm((64, 80), 1)
        self.Conv2d_4a_3x3 = ConvNorm((80, 192), 3, valid=True)
        for name, channels, pooled in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
            chains: dict[str, Chain] = {
                "branch1x1": ((64, 1),), "branch5x5": ((48, 1), (64, 5)), "branch3x3dbl": ((64, 1), (96, 3), (96, 3)),
            }  # fmt: skip
            self.add_module(f"Mixed_{name}", Mixed(channels, chains, pooled, average))
        chains = {"branch3x3": ((384, 3),), "branch3x3dbl": ((64, 1), (96, 3), (96, 3))}
        self.Mixed_6a = Mixed(288, chains, 0, "maximum")
        for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
            self.add_module(f"Mixed_{name}", Mixed(768, _seven(width), 192, average))
        if config.auxiliary:
            self.AuxLogits = AuxiliaryClassifier(config.classes)
        chains = {"branch3x3": ((192, 1), (320, 3)), "branch7x7x3": ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3))}
        self.Mixed_7a = Mixed(768, chains, 0, "maximum")
        self.Mixed_7b = MixedSplit(1280, average)
        self.Mixed_7c = MixedSplit(FEATURES, last)
        self.fc = nn.Linear(FEATURES, config.classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """RGB (B, 3, H, W) in [0, 1] of any size -> features (B, 2048)."""
        x = 2 * F.interpolate(pictures, (SIDE_PX, SIDE_PX), mode="bilinear", align_corners=False) - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = self.get_submodule(f"Mixed_{name}")(x)
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


def pool(x: Tensor, pooling: str) -> Tensor:
    """Pool 3 x 3 neighbourhoods: ``maximum``, ``average`` with padding zeros, or ``inside`` without them."""
    if pooling == "maximum":
        return F.max_pool2d(x, 3, 1, 1)
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=pooling == "average")


def _seven(width: int) -> dict[str, Chain]:
    """Return the chains of the blocks with 7 x 1 and 1 x 7 kernels; ``width`` is that of their inner layers."""
    row, column = (1, 7), (7, 1)
    return {
        "branch1x1": ((192, 1),),
        "branch7x7": ((width, 1), (width, row), (192, column)),
        "branch7x7dbl": ((width, 1), (width, column), (width, row), (width, column), (192, row)),
    }
