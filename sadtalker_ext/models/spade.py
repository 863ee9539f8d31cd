"""SPADE decoder: features -> image, modulated by the warped features (Park et al. 2019)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sadtalker_ext.models.upsampled_conv import UpsampledConv

LEAK = 0.2


@dataclass(frozen=True)
class SpadeConfig:
    """Sizes of the decoder.

    middle_blocks: residual blocks at the size of the features. modulation_channels: width of the hidden layer that
    predicts scale and shift.
    """

    middle_blocks: int = 6
    modulation_channels: int = 128


class Spade(nn.Module):
    """Instance norm with per-pixel scale and shift predicted from a guide."""

    def __init__(self, channels: int, guide_channels: int, modulation_channels: int = 128) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(guide_channels, modulation_channels, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(modulation_channels, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(modulation_channels, channels, 3, padding=1)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """Input (B, C, H, W) and guide (B, G, h, w), H a multiple of h -> (B, C, H, W)."""
        if not isinstance(self.mlp_shared[0], UpsampledConv):
            guide = F.interpolate(guide, size=x.shape[2:], mode="nearest")
        hidden = self.mlp_shared(guide)
        out: Tensor = F.instance_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)
        return out

    def upsample_in_convolution(self, factor: int) -> None:
        """Merge nearest-neighbour upsampling of the guide by ``factor`` into the first convolution."""
        conv = self.mlp_shared[0]
        if isinstance(conv, nn.Conv2d):
            self.mlp_shared[0] = UpsampledConv(conv, factor)


def spectral_conv(channels_in: int, channels_out: int, kernel: int, bias: bool = True) -> nn.Conv2d:
    """Build a convolution with spectral norm (Miyato et al. 2018)."""
    conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=bias)
    return torch.nn.utils.spectral_norm(conv)


class SpadeBlock(nn.Module):
    """Residual block of two modulated convolutions; the shortcut is a convolution if the width changes."""

    def __init__(self, channels_in: int, channels_out: int, guide_channels: int, modulation_channels: int) -> None:
        super().__init__()
        middle = min(channels_in, channels_out)
        self.conv_0 = spectral_conv(channels_in, middle, 3)
        self.conv_1 = spectral_conv(middle, channels_out, 3)
        self.norm_0 = Spade(channels_in, guide_channels, modulation_channels)
        self.norm_1 = Spade(middle, guide_channels, modulation_channels)
        self.learned_shortcut = channels_in != channels_out
        if self.learned_shortcut:
            self.conv_s = spectral_conv(channels_in, channels_out, 1, bias=False)
            self.norm_s = Spade(channels_in, guide_channels, modulation_channels)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        inner = self.conv_0(F.leaky_relu(self.norm_0(x, guide), LEAK))
        inner = self.conv_1(F.leaky_relu(self.norm_1(inner, guide), LEAK))
        shortcut = self.conv_s(self.norm_s(x, guide)) if self.learned_shortcut else x
        out: Tensor = shortcut + inner
        return out


class SpadeDecoder(nn.Module):
    """SPADE blocks at the size of the features, followed by ``doublings`` upsampling steps with one block each."""

    def __init__(
        self, channels: int = 256, last_channels: int = 64, config: SpadeConfig | None = None, doublings: int = 2
    ) -> None:
        super().__init__()
        self.config, self.doublings = config or SpadeConfig(), doublings
        wide, hidden = 2 * channels, self.config.modulation_channels
        self.fc = nn.Conv2d(channels, wide, 3, padding=1)
        for index in range(self.config.middle_blocks):
            self.add_module(f"G_middle_{index}", SpadeBlock(wide, wide, channels, hidden))
        widths = [wide, *(channels >> level for level in range(doublings - 1)), last_channels]
        for index, (before, after) in enumerate(itertools.pairwise(widths)):
            self.add_module(f"up_{index}", SpadeBlock(before, after, channels, hidden))
        self.conv_img = nn.Conv2d(last_channels, 3, 3, padding=1)

    def optimize_for_inference(self) -> None:
        """Replace convolutions of the upsampled guide by convolutions of the guide itself."""
        for index in range(self.doublings):
            for module in self.get_submodule(f"up_{index}").modules():
                if isinstance(module, Spade):
                    module.upsample_in_convolution(2 << index)

    def forward(self, guide: Tensor) -> Tensor:
        """Warped features (B, 256, h, w) -> RGB image (B, 3, 4h, 4w) in (0, 1), for the official two doublings."""
        x: Tensor = self.fc(guide)
        for index in range(self.config.middle_blocks):
            x = self.get_submodule(f"G_middle_{index}")(x, guide)
        for index in range(self.doublings):
            x = self.get_submodule(f"up_{index}")(F.interpolate(x, scale_factor=2), guide)
        out: Tensor = self.conv_img(F.leaky_relu(x, LEAK))
        return out.sigmoid()
