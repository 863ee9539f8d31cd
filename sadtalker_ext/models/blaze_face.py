"""BlazeFace: the detector of faces, for short range (selfies) and full range (small faces).

Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019, and the models of
MediaPipe (Apache-2.0), whose weights fit these classes. Both networks predict, for each anchor, a score and a box with
six key points; :class:`FaceAnchors` converts the raw output to coordinates.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sadtalker_ext.models.blaze_blocks import BlazeBlock, BottleneckBlazeBlock

KEY_POINTS: Final = 6
"""Right eye, left eye, tip of the nose, centre of the mouth, right ear, left ear (of the subject)."""
VALUES: Final = 4 + 2 * KEY_POINTS
"""Values of a detection: centre x, centre y, width, height, then x and y of the key points."""
_MAX_LOGIT: Final = 100.0
"""Raw scores are clipped to this range, as in MediaPipe's graph."""


class BlazeFaceShortRange(nn.Module):
    """Detector for faces that fill a tenth of the picture or more; it reads 128 x 128 pixels."""

    side_px = 128
    grids: tuple[tuple[int, int], ...] = ((16, 2), (8, 6))
    """Side of each feature map and anchors per cell."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 5, 2)
        self.fine = nn.Sequential(
            BlazeBlock(24, 24), BlazeBlock(24, 28), BlazeBlock(28, 32, 2), BlazeBlock(32, 36), BlazeBlock(36, 42),
            BlazeBlock(42, 48, 2), BlazeBlock(48, 56), BlazeBlock(56, 64), BlazeBlock(64, 72), BlazeBlock(72, 80),
            BlazeBlock(80, 88),
        )  # fmt: skip
        self.coarse = nn.Sequential(BlazeBlock(88, 96, 2), *(BlazeBlock(96, 96) for _ in range(4)))
        self.fine_score = nn.Conv2d(88, 2, 1)
        self.coarse_score = nn.Conv2d(96, 6, 1)
        self.fine_values = nn.Conv2d(88, 2 * VALUES, 1)
        self.coarse_values = nn.Conv2d(96, 6 * VALUES, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, 896) and raw values (N, 896, 16) of pictures (N, 3, 128, 128) in [-1, 1]."""
        fine: Tensor = self.fine(self.stem(F.pad(pictures, (1, 2, 1, 2))).relu_())
        coarse: Tensor = self.coarse(fine)
        logits = [_per_anchor(self.fine_score(fine), 1), _per_anchor(self.coarse_score(coarse), 1)]
        values = [_per_anchor(self.fine_values(fine), VALUES), _per_anchor(self.coarse_values(coarse), VALUES)]
        return torch.cat(logits, 1).squeeze(-1), torch.cat(values, 1)


class BlazeFaceFullRange(nn.Module):
    """Detector for small faces with a feature pyramid; it reads 192 x 192 pixels."""

    side_px = 192
    grids: tuple[tuple[int, int], ...] = ((48, 1),)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        self.level4 = nn.Sequential(
            BottleneckBlazeBlock(32, 8, 32), BottleneckBlazeBlock(32, 8, 32), *_level(32, 16, 64, 2)
        )
        self.lateral4 = nn.Conv2d(64, 48, 1)
        self.level8 = _level(64, 32, 128, 2)
        self.lateral8 = nn.Conv2d(128, 64, 1)
        self.level16 = _level(128, 48, 192, 2)
        self.lateral16 = nn.Conv2d(192, 96, 1)
        self.level32 = _level(192, 96, 384, 3)
        self.top32 = nn.Conv2d(384, 96, 1)
        self.merged16 = nn.Sequential(*(BottleneckBlazeBlock(96, 48, 96) for _ in range(2)))
        self.top16 = nn.Conv2d(96, 64, 1)
        self.merged8 = nn.Sequential(*(BottleneckBlazeBlock(64, 32, 64) for _ in range(2)))
        self.top8 = nn.Conv2d(64, 48, 1)
        self.merged4 = BottleneckBlazeBlock(48, 24, 48)
        self.score = nn.Conv2d(48, 4, 1)
        self.score_depthwise = nn.Conv2d(4, 4, 3, 2, 1, groups=4)
        self.values = nn.Conv2d(48, 4 * VALUES, 1)
        self.values_depthwise = nn.Conv2d(4 * VALUES, 4 * VALUES, 3, 2, 1, groups=4 * VALUES)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, 2304) and raw values (N, 2304, 16) of pictures (N, 3, 192, 192) in [-1, 1]."""
        level4: Tensor = self.level4(self.stem(pictures).relu_())
        level8: Tensor = self.level8(level4)
        level16: Tensor = self.level16(level8)
        level32: Tensor = self.level32(level16)
        merged = self.merged16(_add_upsampled(self.top32(level32), self.lateral16(level16)))
        merged = self.merged8(_add_upsampled(self.top16(merged), self.lateral8(level8)))
        merged = self.merged4(_add_upsampled(self.top8(merged), self.lateral4(level4)))
        score = F.pixel_shuffle(self.score_depthwise(self.score(merged)), 2)
        values = F.pixel_shuffle(self.values_depthwise(self.values(merged)), 2)
        return _per_anchor(score, 1).squeeze(-1), _per_anchor(values, VALUES)


class FaceAnchors(nn.Module):
    """Anchors of a detector: the centres of the cells of its feature maps.

    side_px: side of the detector's input. grids: side and anchors per cell of each feature map.
    """

    centres: Tensor

    def __init__(self, side_px: int, grids: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.side_px = side_px
        rows = []
        for cells, count in grids:
            steps = (torch.arange(cells, dtype=torch.float32) + 0.5) / cells
            y, x = torch.meshgrid(steps, steps, indexing="ij")
            rows.append(torch.stack([x, y], -1).reshape(-1, 1, 2).expand(-1, count, 2).reshape(-1, 2))
        self.register_buffer("centres", torch.cat(rows), persistent=False)

    def forward(self, logits: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (N, A) in [0, 1] and values (N, A, 16) as fractions of the input's side."""
        values = raw / self.side_px
        offsets = self.centres.repeat(1, VALUES // 2)
        offsets[:, 2:4] = 0.0
        return logits.clamp(-_MAX_LOGIT, _MAX_LOGIT).sigmoid(), values + offsets


def _level(inputs: int, middle: int, outputs: int, blocks: int) -> nn.Sequential:
    """Return a block that halves the size, then ``blocks`` blocks."""
    first = BottleneckBlazeBlock(inputs, middle, outputs, 2)
    return nn.Sequential(first, *(BottleneckBlazeBlock(outputs, middle, outputs) for _ in range(blocks)))


def _add_upsampled(top: Tensor, lateral: Tensor) -> Tensor:
    return F.interpolate(top.relu_(), scale_factor=2.0, mode="bilinear", align_corners=False).add_(lateral.relu_())


def _per_anchor(maps: Tensor, values: int) -> Tensor:
    """Rearrange (N, count * values, H, W) to (N, H * W * count, values)."""
    return maps.permute(0, 2, 3, 1).reshape(len(maps), -1, values)
