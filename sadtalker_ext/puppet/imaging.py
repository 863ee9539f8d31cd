"""The few pixel operations that differ between CPU (OpenCV) and GPU (torch); everything else is plain array arithmetic.

Both classes keep textures at twice the picture's resolution (even samples are the picture's own pixels, odd ones are
cubic), so that a linear look-up is nearly as sharp as a cubic one and a look-up at a whole pixel is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import cv2
import numpy as np

from sadtalker_ext.puppet.teeth import ACROSS, TEXELS_PER_HEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pixels: TypeAlias = Any
"""An array of the imaging backend: NumPy's on the CPU, torch's on a GPU."""

_CUBIC_HALF: Final = np.array([[-1.0, 9.0, 9.0, -1.0]], np.float32) / 16.0
LARGEST_SUPERSAMPLED_PX: Final = 2600
"""Pictures longer than this are kept at their own resolution to save memory."""


def supersample(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) -> (2H, 2W, 3): even rows and columns are the picture itself, the rest is cubic between them."""
    height, width = picture.shape[:2]
    wide = np.empty((height, 2 * width, 3), np.uint8)
    wide[:, 0::2] = picture
    wide[:, 1::2] = cv2.filter2D(picture, -1, _CUBIC_HALF, anchor=(1, 0), borderType=cv2.BORDER_REPLICATE)
    tall = np.empty((2 * height, 2 * width, 3), np.uint8)
    tall[0::2] = wide
    tall[1::2] = cv2.filter2D(wide, -1, _CUBIC_HALF.T, anchor=(0, 1), borderType=cv2.BORDER_REPLICATE)
    return tall


@dataclass(frozen=True)
class Texture:
    """An image that can be looked up at picture coordinates: texel = scale * (pixel - origin)."""

    data: Pixels
    scale: float
    origin: tuple[float, float]


class Imaging(Protocol):
    """What the puppet asks of a backend. xp: the array module, NumPy or torch, for plain arithmetic."""

    xp: Any

    def texture(
        self, image: NDArray[Any], origin: tuple[float, float] = (0.0, 0.0), scale: float | None = None
    ) -> Texture:
        """Keep a uint8 picture (supersampled unless it is huge) or a float32 image (as it is)."""
        ...

    def array(self, values: NDArray[Any]) -> Pixels:
        """A NumPy array as this backend's array."""
        ...

    def sample(self, texture: Texture, points: Pixels) -> Pixels:
        """Look up at pixel coordinates (h, w, 2): (h, w, C) levels."""
        ...

    def sample_texels(self, texture: Texture, texels: Pixels) -> Pixels:
        """Look up at texel coordinates (h, w, 2)."""
        ...

    def sample_strip(self, texture: Texture, u: Pixels, w: Pixels) -> Pixels:
        """Look up a strip of :mod:`teeth` at u (half mouth widths) and w (face heights); transparent outside."""
        ...

    def upsample(self, nodes: NDArray[np.float32], cell: int) -> Pixels:
        """Node values (rows + 2, columns + 2, C) -> (rows * cell, columns * cell, C), linear between nodes."""
        ...

    def blend(self, front: Pixels, back: Pixels, share: Pixels) -> Pixels:
        """uint8 levels front * share + back * (1 - share); share (h, w)."""
        ...

    def to_uint8(self, values: Pixels) -> Pixels:
        """Round levels 0..255 to uint8."""
        ...

    def to_float(self, values: Pixels) -> Pixels:
        """Levels as float32."""
        ...

    def copy(self, values: Pixels) -> Pixels:
        """A copy that may be written to."""
        ...

    def to_numpy(self, values: Pixels) -> NDArray[np.uint8]:
        """A finished frame as NumPy."""
        ...


class CpuImaging:
    """OpenCV and NumPy."""

    xp: Any = np

    def texture(
        self, image: NDArray[Any], origin: tuple[float, float] = (0.0, 0.0), scale: float | None = None
    ) -> Texture:
        """Keep a uint8 picture (supersampled unless it is huge) or a float32 image (as it is)."""
        if image.dtype != np.uint8:
            return Texture(np.ascontiguousarray(image), scale or 1.0, origin)
        if max(image.shape[:2]) > LARGEST_SUPERSAMPLED_PX:
            return Texture(image, 1.0, origin)
        return Texture(supersample(image), 2.0, origin)

    def array(self, values: NDArray[Any]) -> Pixels:
        """A NumPy array as this backend's array."""
        return values

    def sample(self, texture: Texture, points: Pixels) -> Pixels:
        """Look up at pixel coordinates (h, w, 2): (h, w, C) of the texture's type."""
        texels = (points - np.asarray(texture.origin, np.float32)) * np.float32(texture.scale)
        return self.sample_texels(texture, texels)

    def sample_texels(self, texture: Texture, texels: Pixels) -> Pixels:
        """Look up at texel coordinates (h, w, 2)."""
        nothing: Any = None  # not an empty array: OpenCV 5 takes that for a second map and reads on behind it
        return cv2.remap(texture.data, texels, nothing, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def sample_strip(self, texture: Texture, u: Pixels, w: Pixels) -> Pixels:
        """Look up a strip of :mod:`teeth` at u (half mouth widths) and w (face heights); transparent outside."""
        columns = texture.data.shape[1]
        x = (u + ACROSS) * np.float32((columns - 1) / (2.0 * ACROSS))
        y = (w - texture.origin[1]) * np.float32(TEXELS_PER_HEIGHT * texture.scale) - np.float32(0.5)
        return cv2.remap(texture.data, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

    def upsample(self, nodes: NDArray[np.float32], cell: int) -> Pixels:
        """Node values (rows + 2, columns + 2, C) -> (rows * cell, columns * cell, C), linear between nodes."""
        rows, columns = nodes.shape[0] - 2, nodes.shape[1] - 2
        size = ((columns + 2) * cell, (rows + 2) * cell)
        parts = [
            cv2.resize(np.ascontiguousarray(nodes[..., at : at + 4]), size, interpolation=cv2.INTER_LINEAR)
            for at in range(0, nodes.shape[2], 4)
        ]
        parts = [part[..., None] if part.ndim == 2 else part for part in parts]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        return whole[cell:-cell, cell:-cell]

    def blend(self, front: Pixels, back: Pixels, share: Pixels) -> Pixels:
        """uint8 front * share + back * (1 - share); share (h, w) float32."""
        return cv2.blendLinear(np.ascontiguousarray(front), np.ascontiguousarray(back), share, 1.0 - share)

    def to_uint8(self, values: Pixels) -> Pixels:
        """Round float levels 0..255 to uint8."""
        return values if values.dtype == np.uint8 else np.clip(np.rint(values), 0.0, 255.0).astype(np.uint8)

    def to_float(self, values: Pixels) -> Pixels:
        """Levels as float32."""
        return values.astype(np.float32)

    def copy(self, values: Pixels) -> Pixels:
        """A copy that may be written to."""
        return values.copy()

    def to_numpy(self, values: Pixels) -> NDArray[np.uint8]:
        """A finished frame as NumPy."""
        return values  # type: ignore[no-any-return]
