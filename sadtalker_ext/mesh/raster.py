"""Rasterisation of a mesh in orthographic view: the triangle that each pixel shows, and values between its corners.

The farthest triangles are drawn first, by OpenCV; values are interpolated for all pixels at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array

_SHIFT: Final = 6
"""Fractional bits of the corners that OpenCV gets."""
NOTHING: Final = -1
"""Triangle of a pixel that shows none."""
_MIN_AREA: Final = 1e-9
"""Doubled area, square pixels, below which a triangle is not drawn."""


def draw_triangles(points: Float64Array, triangles: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.int32]:
    """Return the index of the triangle in front at each pixel (H, W), or :data:`NOTHING`.

    points: (N, 3) pixels, whole numbers at pixel centres, z away from the viewer. size: (width, height). Triangles
    whose corners run counterclockwise, as seen by the viewer, are not drawn.
    """
    corners = points[triangles]
    front = np.flatnonzero(_doubled_area(corners[..., :2]) > _MIN_AREA)
    order = front[np.argsort(-corners[front, :, 2].mean(axis=1), kind="stable")]
    fixed = np.rint(corners[..., :2] * (1 << _SHIFT)).astype(np.int32)
    width, height = size
    shown = np.full((height, width), NOTHING, np.int32)
    for index in order.tolist():
        cv2.fillConvexPoly(shown, fixed[index], index, cv2.LINE_8, _SHIFT)
    return shown


def draw_layers(
    points: Float64Array, layers: tuple[NDArray[np.int64], ...], size: tuple[int, int]
) -> NDArray[np.int32]:
    """Return the triangle in front at each pixel (H, W) for triangles in layers, numbered through all layers.

    Within a layer, triangles are ordered by the depth of their middles. Between layers the depth of each pixel decides,
    so that large triangles of one layer cannot hide small ones of another in front of them.
    """
    whole, first = draw_triangles(points, layers[0], size), len(layers[0])
    depth = np.full(whole.shape, np.inf, np.float32)
    values = points[:, 2:].astype(np.float32)
    inside, depths = interpolate(whole, points, layers[0], values)
    depth[inside] = depths[:, 0]
    for layer in layers[1:]:
        shown = draw_triangles(points, layer, size)
        inside, depths = interpolate(shown, points, layer, values)
        rows, columns = np.nonzero(inside)
        front = depths[:, 0] < depth[rows, columns]
        rows, columns = rows[front], columns[front]
        depth[rows, columns] = depths[front, 0]
        whole[rows, columns] = shown[rows, columns] + first
        first += len(layer)
    return whole


def interpolate(
    shown: NDArray[np.int32], points: Float64Array, triangles: NDArray[np.int64], values: Float32Array
) -> tuple[NDArray[np.bool_], Float32Array]:
    """Return where a triangle is shown (H, W), and the vertex values (N, C) interpolated at those pixels (P, C)."""
    inside = shown != NOTHING
    rows, columns = np.nonzero(inside)
    index = shown[inside]
    used = np.unique(index)
    corners = points[triangles[used], :2]
    place = np.searchsorted(used, index)
    inverse = 1.0 / _doubled_area(corners)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    at_b = np.stack([c[:, 1] - a[:, 1], a[:, 0] - c[:, 0]], axis=1) * inverse[:, None]
    at_c = np.stack([a[:, 1] - b[:, 1], b[:, 0] - a[:, 0]], axis=1) * inverse[:, None]
    x, y = columns - a[place, 0], rows - a[place, 1]
    weight_b = np.clip(at_b[place, 0] * x + at_b[place, 1] * y, 0.0, 1.0)
    weight_c = np.clip(at_c[place, 0] * x + at_c[place, 1] * y, 0.0, 1.0 - weight_b)
    weights = np.stack([1.0 - weight_b - weight_c, weight_b, weight_c], axis=1).astype(np.float32)
    of_corners = values[triangles[used]][place]
    return inside, np.einsum("pk,pkc->pc", weights, of_corners)


def _doubled_area(corners: Float64Array) -> Float64Array:
    """Return twice the area (M,) of triangles (M, 3, 2): positive where they run clockwise as the viewer sees them."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area: Float64Array = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return area
