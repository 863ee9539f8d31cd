"""Frozen feature networks for the perceptual loss (Johnson et al. 2016), applied to several scales of an image.

face-vid2vid and SadTalker use VGG-19, whose weights torchvision downloads on first use. A network with fixed random
filters needs no download and is used in tests and small runs.
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
"""Indices of relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 in the layers of VGG-19."""
SCALES: Final = (1.0, 0.5, 0.25, 0.125)
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)
RANDOM_WIDTHS: Final = (3, 16, 32, 64)
_LEAK: Final = 0.2


class FeaturePyramid(nn.Module):
    """Outputs of selected layers of a frozen network for an image at several scales.

    layers: network on normalised images. taps: indices of the layers whose outputs are returned. scales: factors on
    the side of the image; at a small scale, layers after a pooling layer that would need more pixels are skipped.
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

    def forward(self, image: Tensor) -> list[Tensor]:
        """RGB images (B, 3, H, W) in [0, 1] -> features (B, C, h, w) of all taps, scale by scale."""
        features = []
        for scale in self.scales:
            resized = image if scale == 1 else _downsample(image, scale)
            out = (resized - self.mean) / self.deviation
            for index, layer in enumerate(self.layers):
                if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) and min(out.shape[2:]) < 2:
                    break
                out = layer(out)
                if index in self.taps:
                    features.append(out)
        return features


def vgg_pyramid() -> FeaturePyramid:
    """Return the pyramid of VGG-19 trained on ImageNet; torchvision downloads 550 MB on first use.

    MissingPackageError if torchvision is not installed.
    """
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingPackageError(
            "The perceptual loss uses VGG-19 from torchvision, which is not installed; run: pip install torchvision, "
            "or choose --perceptual random"
        ) from error
    network: Any = models.vgg19(weights=models.VGG19_Weights.IMAGENET1K_V1)
    return FeaturePyramid(cast("nn.Sequential", network.features), VGG_TAPS)


def random_pyramid(scales: Sequence[float] = (1.0, 0.5), seed: int = 0) -> FeaturePyramid:
    """Return a pyramid of three layers with fixed random filters, the same on every machine."""
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
"""Choices of ``--perceptual``."""


def _downsample(image: Tensor, scale: float) -> Tensor:
    # kornia's rescale and pyrdown take 3 to 8 times as long (kornia 0.6.7 and 0.9.0, CPU, 256 pixels).
    return functional.interpolate(image, scale_factor=scale, mode="bilinear", antialias=True)
