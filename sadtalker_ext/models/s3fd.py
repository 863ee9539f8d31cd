"""S3FD, the face detector of SyncNet's pipeline (Zhang et al. 2017): picture -> face boxes with scores.

State-dict keys are those of the public file ``sfd_face.pth``. The authors of LSE cut faces by its boxes.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN: Final = (123.0, 117.0, 104.0)
"""Mean red, green and blue of the training pictures."""
VGG: Final = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "ceil", 512, 512, 512, "pool", 512, 512, 512, "pool")
"""Widths of the 3 x 3 convolutions of VGG-16, each followed by a ReLU, and its poolings."""
TAPS: Final = (16, 23, 30)
"""Layers of VGG after which features are read: the third, fourth and fifth stage."""
TAP_SCALES: Final = {"L2Norm3_3": (256, 10.0), "L2Norm4_3": (512, 8.0), "L2Norm5_3": (512, 5.0)}
WIDTHS: Final = (256, 512, 512, 1024, 512, 256)
"""Channels of the six feature maps."""
STEPS_PX: Final = (4, 8, 16, 32, 64, 128)
SIZES_PX: Final = (16, 32, 64, 128, 256, 512)
"""Distance of the cells of each map, and side of the face that a cell looks for."""
CENTRE_SCALE, SIZE_SCALE = 0.1, 0.2
"""Scales of the predicted offsets of a box."""
FIRST_BACKGROUNDS: Final = 3
"""Outputs of the first map for "no face", of which the largest counts."""


class Normalize(nn.Module):
    """Scale the channels of each pixel to unit length, times a learned factor per channel."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return self.weight[None, :, None, None] * (x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10))


def _backbone() -> nn.ModuleList:
    layers: list[nn.Module] = []
    before = 3
    for item in VGG:
        if isinstance(item, str):
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=item == "ceil"))
        else:
            layers += [nn.Conv2d(before, item, 3, 1, 1), nn.ReLU(inplace=True)]
            before = item
    layers += [nn.Conv2d(before, 1024, 3, 1, 6, dilation=6), nn.ReLU(inplace=True)]
    return nn.ModuleList([*layers, nn.Conv2d(1024, 1024, 1, 1), nn.ReLU(inplace=True)])


class S3FD(nn.Module):
    """Boxes of possible faces."""

    def __init__(self) -> None:
        super().__init__()
        self.vgg = _backbone()
        for name, (channels, scale) in TAP_SCALES.items():
            self.add_module(name, Normalize(channels, scale))
        self.extras = nn.ModuleList([
            nn.Conv2d(1024, 256, 1, 1), nn.Conv2d(256, 512, 3, 2, 1), nn.Conv2d(512, 128, 1, 1),
            nn.Conv2d(128, 256, 3, 2, 1),
        ])  # fmt: skip
        self.loc = nn.ModuleList(nn.Conv2d(width, 4, 3, 1, 1) for width in WIDTHS)
        outputs = (FIRST_BACKGROUNDS + 1, 2, 2, 2, 2, 2)
        self.conf = nn.ModuleList(nn.Conv2d(*sizes, 3, 1, 1) for sizes in zip(WIDTHS, outputs, strict=True))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """RGB (1, 3, H, W) from 0 to 255 -> boxes (N, 4) left, top, right, bottom in pixels, and scores (N,)."""
        boxes, scores = [], []
        for index, features in enumerate(self._maps(picture - picture.new_tensor(MEAN)[None, :, None, None])):
            offsets = self.loc[index](features)[0].permute(1, 2, 0).reshape(-1, 4)
            outputs = self.conf[index](features)[0]
            # Only the first map has more than one output for the background.
            background = outputs[:-1].amax(0, keepdim=True)
            scores.append(torch.cat((background, outputs[-1:])).softmax(0)[1].flatten())
            boxes.append(_decode(offsets, features.shape[-2:], STEPS_PX[index], SIZES_PX[index]))
        return torch.cat(boxes), torch.cat(scores)

    def _maps(self, x: Tensor) -> list[Tensor]:
        maps, names = [], dict(zip(TAPS, TAP_SCALES, strict=True))
        for number, layer in enumerate(self.vgg, 1):
            x = layer(x)
            if number in names:
                maps.append(self.get_submodule(names[number])(x))
        maps.append(x)
        for number, layer in enumerate(self.extras):
            x = F.relu(layer(x))
            if number % 2:
                maps.append(x)
        return maps


def _decode(offsets: Tensor, shape: torch.Size, step_px: int, size_px: int) -> Tensor:
    """Return the boxes (H * W, 4) of a map of this shape; offsets (H * W, 4) of centre and size."""
    rows, columns = (torch.arange(count, device=offsets.device) for count in shape)
    cells = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).reshape(-1, 2)
    centres = (cells + 0.5) * step_px + offsets[:, :2] * CENTRE_SCALE * size_px
    sizes = size_px * torch.exp(offsets[:, 2:] * SIZE_SCALE)
    return torch.cat((centres - sizes / 2, centres + sizes / 2), 1)
