"""The pixel operations that differ between CPU (OpenCV) and GPU (torch); everything else is plain array arithmetic.

Both classes keep textures at twice the picture's resolution (even samples are the picture's own pixels, odd ones are
cubic), so that a linear look-up is nearly as sharp as a cubic one and a look-up at a whole pixel is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import cv2
import numpy as np

from sadtalker_ext.puppet.backend_array import BackendArray
from sadtalker_ext.puppet.profiles import smooth_edge
from sadtalker_ext.puppet.strips import ACROSS, TEXELS_PER_HEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Image

_CUBIC_HALF: Final = np.array([[-1.0, 9.0, 9.0, -1.0]], np.float32) / 16.0
"""Weights of the cubic (Lagrange) interpolation halfway between two pixels."""
SUPERSAMPLING: Final = 2
"""Texels per pixel of a supersampled picture."""
LARGEST_SUPERSAMPLED_PX: Final = 2600
"""Pictures whose longer side exceeds this are kept at their own resolution to save memory."""
_CHANNELS_PER_RESIZE: Final = 4
"""Channels resized per call; OpenCV is optimised for up to four."""


def supersample(picture: Image) -> Image:
    """Return (2H, 2W, C) for a picture (H, W, C): even rows and columns are the picture's, the others are cubic."""
    height, width, channels = picture.shape
    wide = np.empty((height, SUPERSAMPLING * width, channels), np.uint8)
    wide[:, 0::2] = picture
    wide[:, 1::2] = cv2.filter2D(picture, -1, _CUBIC_HALF, anchor=(1, 0), borderType=cv2.BORDER_REPLICATE)
    tall = np.empty((SUPERSAMPLING * height, SUPERSAMPLING * width, channels), np.uint8)
    tall[0::2] = wide
    tall[1::2] = cv2.filter2D(wide, -1, _CUBIC_HALF.T, anchor=(0, 1), borderType=cv2.BORDER_REPLICATE)
    return tall


@dataclass(frozen=True)
class Texture:
    """An image that is looked up at picture coordinates: texel = scale * (pixel - origin)."""

    data: BackendArray
    scale: float
    origin: tuple[float, float]


class Imaging(Protocol):
    """Imaging backend of the renderer. xp: the array module, NumPy or torch, for plain arithmetic."""

    xp: Any

    def texture(
        self, image: NDArray[Any], origin: tuple[float, float] = (0.0, 0.0), scale: float | None = None
    ) -> Texture:
        """Return a texture of a uint8 picture (supersampled unless it is huge) or a float32 image (as it is)."""
        ...

    def array(self, values: NDArray[Any]) -> BackendArray:
        """Return a NumPy array as this backend's array."""
        ...

    def sample(self, texture: Texture, points: BackendArray) -> BackendArray:
        """Return the levels (h, w, C) at pixel coordinates (h, w, 2)."""
        ...

    def sample_texels(self, texture: Texture, texels: BackendArray) -> BackendArray:
        """Return the levels (h, w, C) at texel coordinates (h, w, 2)."""
        ...

    def sample_strip(self, texture: Texture, u: BackendArray, w: BackendArray) -> BackendArray:
        """Return the levels of a strip at u (half mouth widths) and w (face heights); transparent outside."""
        ...

    def upsample(self, nodes: Float32Array, cell: int) -> BackendArray:
        """Return (rows * cell, columns * cell, C), linear between node values (rows + 2, columns + 2, C)."""
        ...

    def smooth_edge(self, x: BackendArray, half_width: float) -> BackendArray:
        """Return a soft edge: 0 below ``-half_width``, 1 above ``half_width``, a smoothstep between."""
        ...

    def blend(self, front: BackendArray, back: BackendArray, share: BackendArray) -> BackendArray:
        """Return uint8 levels front * share + back * (1 - share); share (h, w)."""
        ...

    def to_uint8(self, values: BackendArray) -> BackendArray:
        """Return levels 0 to 255 rounded to uint8."""
        ...

    def to_float(self, values: BackendArray) -> BackendArray:
        """Return levels as float32."""
        ...

    def copy(self, values: BackendArray) -> BackendArray:
        """Return a copy that may be written to."""
        ...

    def to_numpy(self, values: BackendArray) -> Image:
        """Return a finished frame as a NumPy array."""
        ...


class CpuImaging:
    """Imaging backend of OpenCV and NumPy."""

    xp: Any = np

    def texture(
        self, image: NDArray[Any], origin: tuple[float, float] = (0.0, 0.0), scale: float | None = None
    ) -> Texture:
        """Return a texture of a uint8 picture (supersampled unless it is huge) or a float32 image (as it is)."""
        if image.dtype != np.uint8:
            return Texture(np.ascontiguousarray(image), scale or 1.0, origin)
        if max(image.shape[:2]) > LARGEST_SUPERSAMPLED_PX:
            return Texture(image, 1.0, origin)
        return Texture(supersample(image), float(SUPERSAMPLING), origin)

    def array(self, values: NDArray[Any]) -> BackendArray:
        """Return the array itself."""
        return values

    def sample(self, texture: Texture, points: BackendArray) -> BackendArray:
        """Return the levels (h, w, C), of the texture's dtype, at pixel coordinates (h, w, 2)."""
        texels = (points - np.asarray(texture.origin, np.float32)) * np.float32(texture.scale)
        return self.sample_texels(texture, np.asarray(texels, np.float32))  # numpy 2 keeps the type of float64 scalars

    def sample_texels(self, texture: Texture, texels: BackendArray) -> BackendArray:
        """Return the levels (h, w, C) at texel coordinates (h, w, 2)."""
        nothing: Any = None  # not an empty array: OpenCV 5 takes that for a second map and reads beyond its end
        return cv2.remap(texture.data, texels, nothing, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def sample_strip(self, texture: Texture, u: BackendArray, w: BackendArray) -> BackendArray:
        """Return the levels of a strip at u (half mouth widths) and w (face heights); transparent outside."""
        columns = texture.data.shape[1]
        x = (u + ACROSS) * np.float32((columns - 1) / (2.0 * ACROSS))
        y = (w - texture.origin[1]) * np.float32(TEXELS_PER_HEIGHT * texture.scale) - np.float32(0.5)
        return cv2.remap(texture.data, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

    def upsample(self, nodes: Float32Array, cell: int) -> BackendArray:
        """Return (rows * cell, columns * cell, C), linear between node values (rows + 2, columns + 2, C)."""
        rows, columns = nodes.shape[0] - 2, nodes.shape[1] - 2
        size = ((columns + 2) * cell, (rows + 2) * cell)
        parts = [
            cv2.resize(
                np.ascontiguousarray(nodes[..., at : at + _CHANNELS_PER_RESIZE]), size, interpolation=cv2.INTER_LINEAR
            )
            for at in range(0, nodes.shape[2], _CHANNELS_PER_RESIZE)
        ]
        parts = [part[..., None] if part.ndim == 2 else part for part in parts]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        return whole[cell:-cell, cell:-cell]

    def smooth_edge(self, x: BackendArray, half_width: float) -> BackendArray:
        """Return a soft edge: 0 below ``-half_width``, 1 above ``half_width``, a smoothstep between."""
        return smooth_edge(x, half_width)

    def blend(self, front: BackendArray, back: BackendArray, share: BackendArray) -> BackendArray:
        """Return uint8 levels front * share + back * (1 - share); share (h, w) float32."""
        return cv2.blendLinear(np.ascontiguousarray(front), np.ascontiguousarray(back), share, 1.0 - share)

    def to_uint8(self, values: BackendArray) -> BackendArray:
        """Return levels 0 to 255 rounded to uint8."""
        return values if values.dtype == np.uint8 else np.clip(np.rint(values), 0.0, 255.0).astype(np.uint8)

    def to_float(self, values: BackendArray) -> BackendArray:
        """Return levels as float32."""
        return values.astype(np.float32)

    def copy(self, values: BackendArray) -> BackendArray:
        """Return a copy that may be written to."""
        return values.copy()

    def to_numpy(self, values: BackendArray) -> Image:
        """Return the frame itself."""
        return values  # type: ignore[no-any-return]
