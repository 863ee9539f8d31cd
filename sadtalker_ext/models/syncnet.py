"""SyncNet: features of five frames of a face and of the sound that belongs to them (Chung and Zisserman 2016).

Features of a face and of sound that belong together are close to each other. State-dict keys are those of the public
checkpoint ``syncnet_v2.model``.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

FACE_PX: Final = 224
"""Side of the face crops."""
WINDOW_FRAMES: Final = 5
"""Consecutive frames that the network reads at once, at 25 Hz."""
WINDOW_COLUMNS: Final = 20
"""Columns of the MFCC features of these frames, at 100 Hz."""
COEFFICIENTS: Final = 13
"""MFCC coefficients of each column."""
FEATURES: Final = 1024


def _conv2d(channels_in: int, channels_out: int, kernel: tuple[int, int], padding: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, kernel, padding=padding)
    return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]


def _conv3d(
    channels: tuple[int, int], kernel: tuple[int, int, int], stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    """Return convolution, batch norm and ReLU; stride and padding apply to height and width."""
    convolution = nn.Conv3d(*channels, kernel, (1, stride, stride), (0, padding, padding))
    return [convolution, nn.BatchNorm3d(channels[1]), nn.ReLU(inplace=True)]


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, FEATURES))


class SyncNet(nn.Module):
    """Two networks with outputs in one space: ``face_features`` and ``sound_features``."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_conv2d(1, 64, (3, 3)),
            nn.MaxPool2d(1, 1),  # keeps the numbers in the keys of the layers that follow
            *_conv2d(64, 192, (3, 3)),
            nn.MaxPool2d(3, (1, 2)),
            *_conv2d(192, 384, (3, 3)),
            *_conv2d(384, 256, (3, 3)),
            *_conv2d(256, 256, (3, 3)),
            nn.MaxPool2d(3, 2),
            *_conv2d(256, 512, (5, 4), padding=0),
        )
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = nn.Sequential(
            *_conv3d((3, 96), (WINDOW_FRAMES, 7, 7), stride=2),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_conv3d((96, 256), (1, 5, 5), stride=2, padding=1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_conv3d((256, 256), (1, 3, 3), padding=1),
            *_conv3d((256, 256), (1, 3, 3), padding=1),
            *_conv3d((256, 256), (1, 3, 3), padding=1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_conv3d((256, 512), (1, 6, 6)),
        )

    def face_features(self, faces: Tensor) -> Tensor:
        """Blue, green and red (B, 3, 5, 224, 224) from 0 to 255 -> features (B, 1024)."""
        features: Tensor = self.netfclip(self.netcnnlip(faces).flatten(1))
        return features

    def sound_features(self, coefficients: Tensor) -> Tensor:
        """MFCC coefficients (B, 1, 13, 20) -> features (B, 1024)."""
        features: Tensor = self.netfcaud(self.netcnnaud(coefficients).flatten(1))
        return features

    def forward(self, faces: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of faces and of sound; see the two methods."""
        return self.face_features(faces), self.sound_features(coefficients)
