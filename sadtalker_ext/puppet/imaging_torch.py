"""The puppet's pixel operations in torch, for GPUs; the same look-ups as :class:`CpuImaging` but for rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as nnf

from sadtalker_ext.puppet.imaging import LARGEST_SUPERSAMPLED_PX, Pixels, Texture, supersample
from sadtalker_ext.puppet.teeth import ACROSS, TEXELS_PER_HEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TorchImaging:
    """Textures live on ``device`` as float32 (1, C, H, W)."""

    xp: Any = torch

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def texture(
        self, image: NDArray[Any], origin: tuple[float, float] = (0.0, 0.0), scale: float | None = None
    ) -> Texture:
        """Keep a uint8 picture (supersampled unless it is huge) or a float32 image (as it is)."""
        if image.dtype == np.uint8:
            large = max(image.shape[:2]) > LARGEST_SUPERSAMPLED_PX
            image, scale = (image, 1.0) if large else (supersample(image), 2.0)
        planes = self.array(image).permute(2, 0, 1)[None].float().contiguous()
        return Texture(planes, scale or 1.0, origin)

    def array(self, values: NDArray[Any]) -> Pixels:
        """A NumPy array on the device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def sample(self, texture: Texture, points: Pixels) -> Pixels:
        """Look up at pixel coordinates (h, w, 2): (h, w, C) levels."""
        return self.sample_texels(texture, (points - points.new_tensor(texture.origin)) * texture.scale)

    def sample_texels(self, texture: Texture, texels: Pixels) -> Pixels:
        """Look up at texel coordinates (h, w, 2)."""
        return self._look_up(texture.data, texels, "border")

    def sample_strip(self, texture: Texture, u: Pixels, w: Pixels) -> Pixels:
        """Look up a strip of :mod:`teeth` at u (half mouth widths) and w (face heights); transparent outside."""
        columns = texture.data.shape[3]
        x = (u + ACROSS) * ((columns - 1) / (2.0 * ACROSS))
        y = (w - texture.origin[1]) * (TEXELS_PER_HEIGHT * texture.scale) - 0.5
        return self._look_up(texture.data, torch.stack([x, y], -1), "zeros")

    def upsample(self, nodes: NDArray[np.float32], cell: int) -> Pixels:
        """Node values (rows + 2, columns + 2, C) -> (rows * cell, columns * cell, C), linear between nodes."""
        planes = self.array(nodes).permute(2, 0, 1)[None]
        size = (planes.shape[2] * cell, planes.shape[3] * cell)
        whole = nnf.interpolate(planes, size=size, mode="bilinear", align_corners=False)
        return whole[0, :, cell:-cell, cell:-cell].permute(1, 2, 0)

    def blend(self, front: Pixels, back: Pixels, share: Pixels) -> Pixels:
        """uint8 levels front * share + back * (1 - share); share (h, w)."""
        return self.to_uint8(front * share[..., None] + back.float() * (1.0 - share)[..., None])

    def to_uint8(self, values: Pixels) -> Pixels:
        """Round levels 0..255 to uint8."""
        return values.round().clamp(0.0, 255.0).to(torch.uint8)

    def to_float(self, values: Pixels) -> Pixels:
        """Levels as float32."""
        return values.float()

    def copy(self, values: Pixels) -> Pixels:
        """A copy that may be written to."""
        return values.clone()

    def to_numpy(self, values: Pixels) -> NDArray[np.uint8]:
        """A finished frame as NumPy."""
        frame: NDArray[np.uint8] = values.cpu().numpy()
        return frame

    def _look_up(self, planes: Pixels, texels: Pixels, padding: str) -> Pixels:
        size = texels.new_tensor([planes.shape[3], planes.shape[2]])
        grid = ((2.0 * texels + 1.0) / size - 1.0)[None].to(planes.dtype)
        found = nnf.grid_sample(planes, grid, mode="bilinear", padding_mode=padding, align_corners=False)
        return found[0].permute(1, 2, 0)
