"""Frozen networks in whose features pictures are compared (Johnson et al. 2016), at several sizes of the picture.

VGG-19 is what face-vid2vid and SadTalker use; its weights come from torchvision when somebody trains with it. A fixed
network of random filters needs no file: it serves tests and small runs.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sadtalker_ext.errors import MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Sequence

VGG_TAPS: Final = (1, 6, 11, 20, 29)
"""relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 among VGG-19's layers."""
SCALES: Final = (1.0, 0.5, 0.25, 0.125)
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)
RANDOM_WIDTHS: Final = (3, 16, 32, 64)
_LEAK: Final = 0.2


class FeaturePyramid(nn.Module):
    """Outputs of some layers of a frozen network for a picture at several scales.

    layers: an nn.Sequential on normalised pictures; taps: which of its outputs count. scales: factors on the side of
    the picture; a scale at which a deep layer would see less than one pixel ends before that layer.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: nn.Sequential, taps: Sequence[int], scales: Sequence[float] = SCALES) -> None:
        super().__init__()
        kept = list(layers)[: max(taps) + 1]
        self.layers = nn.ModuleList(kept).eval().requires_grad_(requires_grad=False)
        self.taps, self.scales = tuple(taps), tuple(scales)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1))

    def forward(self, picture: Tensor) -> list[Tensor]:
        """RGB (B, 3, H, W) in [0, 1] -> features (B, C, h, w), scale by scale."""
        features = []
        for scale in self.scales:
            seen = picture if scale == 1 else _smaller(picture, scale)
            out = (seen - self.mean) / self.deviation
            for index, layer in enumerate(self.layers):
                if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) and min(out.shape[2:]) < 2:
                    break
                out = layer(out)
                if index in self.taps:
                    features.append(out)
        return features


def vgg_pyramid() -> FeaturePyramid:
    """VGG-19 trained on ImageNet, as torchvision gives it (it fetches 550 MB once)."""
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingPackageError(
            "the perceptual loss compares pictures in VGG-19, which comes with torchvision; install it with: "
            "pip install torchvision, or choose --perceptual random"
        ) from error
    network: Any = models.vgg19(weights=models.VGG19_Weights.IMAGENET1K_V1)
    return FeaturePyramid(cast("nn.Sequential", network.features), VGG_TAPS)


def random_pyramid(scales: Sequence[float] = (1.0, 0.5), seed: int = 0) -> FeaturePyramid:
    """Three layers of fixed random filters; the same on every machine."""
    random = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(RANDOM_WIDTHS):
        conv = nn.Conv2d(before, after, 3, padding=1)
        with torch.no_grad():
            conv.weight.copy_(torch.randn(conv.weight.shape, generator=random) * (2 / (9 * before)) ** 0.5)
            conv.bias.zero_()  # type: ignore[union-attr]
        layers += [conv, nn.LeakyReLU(_LEAK), nn.AvgPool2d(2)]
    return FeaturePyramid(nn.Sequential(*layers), range(1, len(layers), 3), scales)


PYRAMIDS: Final = {"vgg": vgg_pyramid, "random": random_pyramid}
"""What --perceptual chooses from."""


def _smaller(picture: Tensor, scale: float) -> Tensor:
    return functional.interpolate(picture, scale_factor=scale, mode="bilinear", antialias=True)
