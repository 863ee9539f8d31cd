"""IResNet, the identity network of ArcFace (Deng et al. 2019): aligned face -> identity vector.

State-dict keys are those of InsightFace's ``backbone.pth`` (recognition/arcface_torch).
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

FACE_PX: Final = 112
"""Side of the aligned faces."""
VECTOR: Final = 512
WIDTHS: Final = (64, 128, 256, 512)
FINAL_PX: Final = 7
"""Side of the last feature map."""
DEPTHS: Final[dict[int, tuple[int, ...]]] = {
    18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 200: (6, 26, 60, 6),
}  # fmt: skip
"""Blocks of the four stages by the number of layers."""


class Block(nn.Module):
    """Residual block: norm, convolution, norm, PReLU, convolution, norm; the first of a stage halves the size."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.prelu = nn.PReLU(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample = None
        if stride != 1:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        inner = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        out: Tensor = self.bn3(self.conv2(inner)) + (x if self.downsample is None else self.downsample(x))
        return out


class IResNet(nn.Module):
    """Identity vectors of aligned faces. layers: a key of :data:`DEPTHS`."""

    def __init__(self, layers: int = 50) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.prelu = nn.PReLU(WIDTHS[0])
        before = WIDTHS[0]
        for stage, (width, blocks) in enumerate(zip(WIDTHS, DEPTHS[layers], strict=True), 1):
            first = Block(before, width, 2)
            self.add_module(f"layer{stage}", nn.Sequential(first, *(Block(width, width, 1) for _ in range(blocks - 1))))
            before = width
        self.bn2 = nn.BatchNorm2d(before)
        self.fc = nn.Linear(before * FINAL_PX**2, VECTOR)
        self.features = nn.BatchNorm1d(VECTOR)

    def forward(self, faces: Tensor) -> Tensor:
        """RGB (B, 3, 112, 112) in [-1, 1] -> identity vectors (B, 512), not normalised."""
        x = self.prelu(self.bn1(self.conv1(faces)))
        for stage in range(1, 1 + len(WIDTHS)):
            x = self.get_submodule(f"layer{stage}")(x)
        vectors: Tensor = self.features(self.fc(self.bn2(x).flatten(1)))
        return vectors


def layers_of(blocks: tuple[int, ...]) -> int | None:
    """Return the number of layers of a network with these blocks in its four stages; None if there is no such."""
    return next((layers for layers, depths in DEPTHS.items() if depths == blocks), None)
