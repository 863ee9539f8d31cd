"""Parts of a face mesh, and the tiles of its texture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float64Array, Image


@dataclass(frozen=True)
class Tile:
    """A picture that is one part of the texture: texel = scale * (point - origin).

    image: (h, w, 3) RGB.
    """

    image: Image
    origin: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    def texels(self, points: Float64Array) -> Float64Array:
        """Return the texels (N, 2) of points (N, 2), inside the tile; whole numbers are the centres of texels."""
        height, width = self.image.shape[:2]
        texels = self.scale * (points - np.asarray(self.origin))
        limited: Float64Array = np.clip(texels, 0.0, np.array([width - 1.0, height - 1.0]))
        return limited


@dataclass(frozen=True)
class Part:
    """A piece of the mesh with its own vertices.

    name: what it is. points: (N, 3) pixels of the portrait, z away from the camera. triangles: (M, 3), clockwise as the
    viewer sees them. texels: (N, 2) in the tile named ``tile``. targets: displacement (N, 3) at weight 1 of each morph
    target that moves the part.
    """

    name: str
    points: Float64Array
    triangles: NDArray[np.int64]
    tile: str
    texels: Float64Array
    targets: dict[str, Float64Array] = field(default_factory=dict)
