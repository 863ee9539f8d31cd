"""Imaging backend of torch, for GPUs: the same look-ups as :class:`CpuImaging`, up to rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as nnf

from sadtalker_ext.puppet.backend_array import BackendArray
from sadtalker_ext.puppet.imaging import LARGEST_SUPERSAMPLED_PX, SUPERSAMPLING, Texture, supersample
from sadtalker_ext.puppet.strips import ACROSS, TEXELS_PER_HEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Image


class TorchImaging:
    """Imaging backend of torch; textures are float32 (1, C, H, W) on ``device``."""

    xp: Any = torch

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def texture(
        self, image: NDArray[Any], origin: tuple[float, float] = (0.0, 0.0), scale: float | None = None
    ) -> Texture:
        """Return a texture of a uint8 picture (supersampled unless it is huge) or a float32 image (as it is)."""
        if image.dtype == np.uint8:
            large = max(image.shape[:2]) > LARGEST_SUPERSAMPLED_PX
            image, scale = (image, 1.0) if large else (supersample(image), float(SUPERSAMPLING))
        planes = self.array(image).permute(2, 0, 1)[None].float().contiguous()
        return Texture(planes, scale or 1.0, origin)

    def array(self, values: NDArray[Any]) -> BackendArray:
        """Return a NumPy array as a tensor on the device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def sample(self, texture: Texture, points: BackendArray) -> BackendArray:
        """Return the levels (h, w, C) at pixel coordinates (h, w, 2)."""
        return self.sample_texels(texture, (points - points.new_tensor(texture.origin)) * texture.scale)

    def sample_texels(self, texture: Texture, texels: BackendArray) -> BackendArray:
        """Return the levels (h, w, C) at texel coordinates (h, w, 2)."""
        return self._look_up(texture.data, texels, "border")

    def sample_strip(self, texture: Texture, u: BackendArray, w: BackendArray) -> BackendArray:
        """Return the levels of a strip at u (half mouth widths) and w (face heights); transparent outside."""
        columns = texture.data.shape[3]
        x = (u + ACROSS) * ((columns - 1) / (2.0 * ACROSS))
        y = (w - texture.origin[1]) * (TEXELS_PER_HEIGHT * texture.scale) - 0.5
        return self._look_up(texture.data, torch.stack([x, y], -1), "zeros")

    def upsample(self, nodes: Float32Array, cell: int) -> BackendArray:
        """Return (rows * cell, columns * cell, C), linear between node values (rows + 2, columns + 2, C)."""
        planes = self.array(nodes).permute(2, 0, 1)[None]
        size = (planes.shape[2] * cell, planes.shape[3] * cell)
        whole = nnf.interpolate(planes, size=size, mode="bilinear", align_corners=False)
        return whole[0, :, cell:-cell, cell:-cell].permute(1, 2, 0)

    def smooth_edge(self, x: BackendArray, half_width: float) -> BackendArray:
        """Return a soft edge: 0 below ``-half_width``, 1 above ``half_width``, a smoothstep between."""
        position = torch.clip(x / (2.0 * half_width) + 0.5, 0.0, 1.0)
        return position * position * (3.0 - 2.0 * position)

    def blend(self, front: BackendArray, back: BackendArray, share: BackendArray) -> BackendArray:
        """Return uint8 levels front * share + back * (1 - share); share (h, w)."""
        return self.to_uint8(front * share[..., None] + back.float() * (1.0 - share)[..., None])

    def to_uint8(self, values: BackendArray) -> BackendArray:
        """Return levels 0 to 255 rounded to uint8."""
        return values.round().clamp(0.0, 255.0).to(torch.uint8)

    def to_float(self, values: BackendArray) -> BackendArray:
        """Return levels as float32."""
        return values.float()

    def copy(self, values: BackendArray) -> BackendArray:
        """Return a copy that may be written to."""
        return values.clone()

    def to_numpy(self, values: BackendArray) -> Image:
        """Return a finished frame as a NumPy array."""
        frame: Image = values.cpu().numpy()
        return frame

    def _look_up(self, planes: BackendArray, texels: BackendArray, padding: str) -> BackendArray:
        """Return the levels (h, w, C) of ``planes`` (1, C, H, W) at ``texels`` (h, w, 2).

        padding: what is outside the texture, ``border`` or ``zeros``.
        """
        size = texels.new_tensor([planes.shape[3], planes.shape[2]])
        grid = ((2.0 * texels + 1.0) / size - 1.0)[None].to(planes.dtype)
        found = nnf.grid_sample(planes, grid, mode="bilinear", padding_mode=padding, align_corners=False)
        return found[0].permute(1, 2, 0)
