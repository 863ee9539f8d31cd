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
    width, height = size
    whole = np.full((height, width), NOTHING, np.int32)
    depth = np.full((height, width), np.inf, np.float32)
    first = 0
    for layer in layers:
        window = _window(points[layer.ravel(), :2], size)
        shown, depths = _layer_depth(points, layer, window)
        front = depths < depth[window]
        depth[window][front] = depths[front]
        whole[window][front] = shown[front] + first
        first += len(layer)
    return whole


def _window(points: Float64Array, size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a picture of (width, height) that contain points (N, 2)."""
    low = np.clip(np.floor(points.min(axis=0)).astype(int), 0, size)
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, size)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _layer_depth(
    points: Float64Array, layer: NDArray[np.int64], window: tuple[slice, slice]
) -> tuple[NDArray[np.int32], Float32Array]:
    """Return the triangle in front at each pixel of the window (h, w), and its depth, infinite where there is none."""
    rows, columns = window
    placed = points - np.array([columns.start, rows.start, 0.0])
    shown = draw_triangles(placed, layer, (columns.stop - columns.start, rows.stop - rows.start))
    depths = np.full(shown.shape, np.inf, np.float32)
    inside, found = interpolate(shown, placed, layer, points[:, 2:].astype(np.float32))
    depths[inside] = found[:, 0]
    return shown, depths


def interpolate(
    shown: NDArray[np.int32], points: Float64Array, triangles: NDArray[np.int64], values: Float32Array
) -> tuple[NDArray[np.bool_], Float32Array]:
    """Return where a triangle is shown (H, W), and the vertex values (N, C) interpolated at those pixels (P, C)."""
    inside = shown != NOTHING
    rows, columns = np.divmod(np.flatnonzero(inside), shown.shape[1])
    place = shown[rows, columns]
    corners = points[triangles, :2]
    area = _doubled_area(corners)
    inverse = 1.0 / np.where(np.abs(area) > _MIN_AREA, area, 1.0)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    at_b = np.stack([c[:, 1] - a[:, 1], a[:, 0] - c[:, 0]], axis=1) * inverse[:, None]
    at_c = np.stack([a[:, 1] - b[:, 1], b[:, 0] - a[:, 0]], axis=1) * inverse[:, None]
    planes = np.concatenate([at_b, at_c, a], axis=1).astype(np.float32)[place]
    x, y = columns.astype(np.float32) - planes[:, 4], rows.astype(np.float32) - planes[:, 5]
    weight_b = np.clip(planes[:, 0] * x + planes[:, 1] * y, 0.0, 1.0)
    weight_c = np.clip(planes[:, 2] * x + planes[:, 3] * y, 0.0, 1.0 - weight_b)
    of_corners = values[triangles[place]]
    mixed: Float32Array = of_corners[:, 0] * (1.0 - weight_b - weight_c)[:, None]
    mixed += of_corners[:, 1] * weight_b[:, None]
    mixed += of_corners[:, 2] * weight_c[:, None]
    return inside, mixed


def _doubled_area(corners: Float64Array) -> Float64Array:
    """Return twice the area (M,) of triangles (M, 3, 2): positive where they run clockwise as the viewer sees them."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area: Float64Array = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return area
