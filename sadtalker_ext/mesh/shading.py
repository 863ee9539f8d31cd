"""Shaded pictures of a moving mesh without its texture, as in the figures of papers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sadtalker_ext.mesh.face_mesh import vertex_normals
from sadtalker_ext.mesh.raster import draw_layers, interpolate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Frame
    from sadtalker_ext.mesh.animation import MeshAnimation
    from sadtalker_ext.mesh.face_mesh import FaceMesh

SIZE_PX: Final = 512
"""Width and height of a picture."""
_SUPERSAMPLING: Final = 2
"""Rendered pixels per pixel of the picture, across and down."""
_MARGIN: Final = 1.16
"""Size of the picture relative to the mesh at rest, so that a turning head stays inside."""
_BACKGROUND: Final = 255.0
_COLOURS: Final = {
    "skin": (178.0, 190.0, 206.0),
    "head": (178.0, 190.0, 206.0),
    "back": (178.0, 190.0, 206.0),
    "eye_left": (226.0, 230.0, 236.0),
    "eye_right": (226.0, 230.0, 236.0),
    "socket_left": (150.0, 150.0, 160.0),
    "socket_right": (150.0, 150.0, 160.0),
    "mouth": (92.0, 78.0, 82.0),
    "tongue": (150.0, 116.0, 120.0),
    "teeth_upper": (240.0, 240.0, 238.0),
    "teeth_lower": (232.0, 232.0, 230.0),
}
"""RGB levels of each part in full light."""
_KEY_LIGHT: Final = np.array([-0.35, 0.45, 0.82])
_FILL_LIGHT: Final = np.array([0.7, 0.1, 0.6])
_KEY, _FILL, _AMBIENT = 0.62, 0.22, 0.22
"""Directions towards both lights, and the shares of the light from each and from all sides."""
_SHINE, _SHINE_POWER = 26.0, 24
"""Level of highlights, and how narrow they are."""


class ShadedView:
    """Draws the shaded mesh in each pose, seen from the front, always at the same scale."""

    def __init__(self, mesh: FaceMesh, size_px: int) -> None:
        self.mesh = mesh
        self.size_px = size_px
        low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
        self._middle = (low + high)[:2].astype(np.float64) / 2.0
        self._scale = size_px * _SUPERSAMPLING / (_MARGIN * float((high - low)[:2].max()))
        facing = mesh.triangles[:, ::-1]
        corner = facing[:, 0]
        outside = mesh.parts.get("back", mesh.parts["skin"]).stop
        layers = [(0, outside), *((part.start, part.stop) for part in mesh.parts.values() if part.start >= outside)]
        self._layers = tuple(facing[(corner >= first) & (corner < end)] for first, end in layers)
        self._colours = np.zeros((len(mesh.positions), 3), np.float32)
        for name, part in mesh.parts.items():
            self._colours[part] = _COLOURS[name]

    def frames(self, animation: MeshAnimation) -> Iterator[Frame]:
        """Yield one picture (S, S, 3) per frame of the animation, in order."""
        for index in range(len(animation)):
            yield self.draw(animation.weights[index], animation.rotations[index], animation.translations[index])

    def draw(self, weights: Float32Array, rotation: Float32Array, translation: Float32Array) -> Frame:
        """Return the picture (S, S, 3) for weights (K,), a quaternion (4,) and a translation (3,) in metres."""
        turn = quaternion_matrix(rotation.astype(np.float64))
        at_rest = self.mesh.morphed(weights)
        positions = at_rest @ turn.T + translation
        normals = self._normals(weights, at_rest) @ turn.T
        side = self.size_px * _SUPERSAMPLING
        points = np.empty_like(positions)
        points[:, :2] = (positions[:, :2] - self._middle) * [self._scale, -self._scale] + (side - 1) / 2.0
        points[:, 2] = -positions[:, 2] * self._scale
        shown = draw_layers(points, self._layers, (side, side))
        values = np.concatenate([normals.astype(np.float32), self._colours], axis=1)
        inside, found = interpolate(shown, points, np.concatenate(self._layers), values)
        canvas = np.full((side, side, 3), _BACKGROUND, np.float32)
        canvas[inside] = _shade(found[:, :3], found[:, 3:])
        small = cv2.resize(canvas, (self.size_px, self.size_px), interpolation=cv2.INTER_AREA)
        return np.clip(np.rint(small), 0, 255).astype(np.uint8)

    def _normals(self, weights: Float32Array, positions: Float64Array) -> Float64Array:
        """Return the normals (N, 3) of the mesh at these positions, not all of length 1."""
        if self.mesh.target_normals is None:
            return vertex_normals(positions, self.mesh.triangles)
        turned: Float64Array = self.mesh.normals + np.einsum("k,knc->nc", weights, self.mesh.target_normals)
        return turned


def _shade(normals: Float32Array, colours: Float32Array) -> Float32Array:
    """Return RGB levels (P, 3) for normals (P, 3) of any length and colours (P, 3)."""
    length = np.sqrt(np.einsum("pc,pc->p", normals, normals))
    key, fill = (light / np.linalg.norm(light) for light in (_KEY_LIGHT, _FILL_LIGHT))
    half = key + np.array([0.0, 0.0, 1.0])
    directions = np.stack([key, fill, half / np.linalg.norm(half)], axis=1).astype(np.float32)
    facing = np.maximum(normals @ directions / np.maximum(length, np.float32(1e-6))[:, None], 0.0)
    light = _AMBIENT + _KEY * facing[:, 0] + _FILL * facing[:, 1]
    shine = _SHINE * facing[:, 2] ** _SHINE_POWER
    levels: Float32Array = (colours * light[:, None] + shine[:, None]).astype(np.float32)
    return levels


def quaternion_matrix(quaternion: NDArray[np.float64]) -> Float64Array:
    """Return the rotation matrix (3, 3) of a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion.tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
