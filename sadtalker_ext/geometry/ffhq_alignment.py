"""Alignment of faces to the FFHQ square of 512 pixels that face restorers were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.geometry.five_point_alignment import five_points
from sadtalker_ext.geometry.landmarks import FACE_OVAL, subset_68
from sadtalker_ext.geometry.one_euro import OneEuroFilter

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

SIDE_PX = 512
TEMPLATE_PX = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""Left eye, right eye (in the picture), nose tip, mouth corners: the template of facexlib, which aligns faces for
GFPGAN, CodeFormer and RestoreFormer."""
RIGID_POINTS: Final = (
    10, 151, 9, 8, 168, 6, 197, 195, 67, 297, 109, 338, 103, 332, 54, 284, 21, 251, 162, 389,
    33, 133, 362, 263, 127, 356, 122, 351, 188, 412, 114, 343,
)  # fmt: skip
"""Mesh points that neither speech nor a blink moves: forehead, temples, eye corners, bridge of the nose."""
OVAL_GROWTH = 1.08
"""The restored face replaces the face oval, scaled by this factor about its centre."""
FEATHER_PX = 22.0
"""Standard deviation of the soft edge of the mask."""
RIM_PX = 40.0
"""The mask falls to 0 within this distance of the edge of the square, where a restorer has too little context."""
PIXEL_CENTRE = 0.5
"""The centre of the first pixel is (0.5, 0.5) in landmark coordinates and (0, 0) in OpenCV's."""
FULL_DETAIL_SCALE = 0.5
"""Square pixels per picture pixel at which the finer detail of the picture is kept entirely; at 1 none is kept."""
ANTIALIAS_FACTOR = 1.25
"""Pictures that are shrunk by more than this factor are blurred first."""
POLYGON_SHIFT_BITS = 4
"""Fractional bits of the polygon coordinates that OpenCV draws: 1/16 pixel."""


def fit_similarity(points: Float64Array, targets: Float64Array) -> Float64Array:
    """Return the similarity transform (2, 3) that maps points (N, 2) onto targets (N, 2) in least squares."""
    mean, target_mean = points.mean(axis=0), targets.mean(axis=0)
    (x, y), (u, v) = (points - mean).T, (targets - target_mean).T
    variance = max(float((x * x + y * y).sum()), 1e-12)
    a, b = float((x * u + y * v).sum()) / variance, float((x * v - y * u).sum()) / variance
    rotation = np.array([[a, -b], [b, a]])
    return np.concatenate((rotation, (target_mean - rotation @ mean)[:, None]), axis=1)


def square_transform(mesh: Float32Array) -> Float64Array:
    """Return the transform (2, 3) from picture to square, both in OpenCV coordinates, for a mesh (478, 3)."""
    return fit_similarity(five_points(subset_68(mesh)) - PIXEL_CENTRE, TEMPLATE_PX)


def face_oval(mesh: Float32Array) -> Float64Array:
    """Return the face outline (36, 2) in OpenCV coordinates of the picture for a mesh (478, 3)."""
    return mesh[list(FACE_OVAL), :2].astype(np.float64) - PIXEL_CENTRE


class SquareTracker:
    """Aligns the square to five points in the first frame, then to points that speech does not move.

    rate_hz: frame rate of the video.
    """

    def __init__(self, rate_hz: float) -> None:
        self._filter = OneEuroFilter(rate_hz)
        self._targets: Float64Array | None = None

    def update(self, mesh: Float32Array) -> tuple[Float64Array, Float64Array]:
        """Return the transform (2, 3) to the square and the face outline (36, 2) for the mesh of the next frame."""
        rigid = mesh[list(RIGID_POINTS), :2].astype(np.float64) - PIXEL_CENTRE
        if self._targets is None:
            first = square_transform(mesh)
            self._targets = rigid @ first[:, :2].T + first[:, 2]
        points = self._filter.smooth(np.concatenate((rigid, face_oval(mesh))))
        return fit_similarity(points[: len(RIGID_POINTS)], self._targets), points[len(RIGID_POINTS) :]


def transform_scale(transform: Float64Array) -> float:
    """Return the square pixels per picture pixel of a transform (2, 3)."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def cut_square(picture: Image, transform: Float64Array) -> Image:
    """Return the aligned face (512, 512, 3) of a picture (H, W, 3); blurred before shrinking, mirrored at the edges."""
    import cv2

    place, moved = _visible_region(picture, transform)
    region = picture[place]
    shrink = 1 / transform_scale(transform)
    if shrink > ANTIALIAS_FACTOR:
        region = np.asarray(cv2.GaussianBlur(region, (0, 0), _antialias_sigma_px(shrink)), np.uint8)
    cut = cv2.warpAffine(
        region, moved, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )  # fmt: skip
    return np.asarray(cut, np.uint8)


def square_mask(outline: Float64Array, transform: Float64Array) -> Float32Array:
    """Return weights (512, 512) in [0, 1]: 1 on the face, falling smoothly outside its outline, 0 at the square's edge.

    outline: (36, 2) in the picture, see :func:`face_oval`.
    """
    import cv2

    oval = outline @ transform[:, :2].T + transform[:, 2]
    grown = (oval - oval.mean(axis=0)) * OVAL_GROWTH + oval.mean(axis=0)
    hull = cv2.convexHull(np.round(grown * (1 << POLYGON_SHIFT_BITS)).astype(np.int32))
    face: Float32Array = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    cv2.fillConvexPoly(face, hull, (1.0,), cv2.LINE_AA, shift=POLYGON_SHIFT_BITS)
    soft = cv2.GaussianBlur(face, (0, 0), FEATHER_PX, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft * _rim_weights(), np.float32)


def paste_square(picture: Image, new: Float32Array, old: Image, mask: Float32Array, transform: Float64Array) -> Image:
    """Return the picture (H, W, 3) with a restored square in place of the original face.

    new: (512, 512, 3), values 0 to 255. old: (512, 512, 3), the square as it was cut. mask: (512, 512) in [0, 1]. Where
    the picture has a higher resolution than the square, its finer detail is kept.
    """
    place, moved = _visible_region(picture, transform)
    out, under = picture.copy(), picture[place].astype(np.float32)
    size = (under.shape[1], under.shape[0])
    scale = transform_scale(transform)
    target = _warp_back(new, moved, size, scale)
    detail = float(np.clip((1 - scale) / (1 - FULL_DETAIL_SCALE), 0, 1))
    if detail > 0:
        target = target + detail * (under - _warp_back(old.astype(np.float32), moved, size, scale))
    weights = _warp_back(mask, moved, size, 1.0)[..., None]
    out[place] = np.clip(np.rint(under + weights * (target - under)), 0, 255).astype(np.uint8)
    return out


def _warp_back(square: Float32Array, transform: Float64Array, size: tuple[int, int], scale: float) -> Float32Array:
    """Return the square (512, 512, ...) resampled to a region of (width, height), blurred before shrinking."""
    import cv2

    if scale > ANTIALIAS_FACTOR:
        square = np.asarray(cv2.GaussianBlur(square, (0, 0), _antialias_sigma_px(scale)), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(square, transform, size, flags=flags), np.float32)


def _visible_region(picture: Image, transform: Float64Array) -> tuple[tuple[slice, slice], Float64Array]:
    """Return the part of the picture that the square covers and the transform from that part.

    If the square lies outside the picture, the part is the whole picture.
    """
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [SIDE_PX, 0], [0, SIDE_PX], [SIDE_PX, SIDE_PX]], np.float64)
    covered = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
    margin = 2 + 3 * _antialias_sigma_px(1 / transform_scale(transform))
    left, top = np.floor(covered.min(axis=0) - margin).astype(int).clip(0, (width, height))
    right, bottom = np.ceil(covered.max(axis=0) + margin).astype(int).clip(0, (width, height))
    if right <= left or bottom <= top:
        return (slice(0, height), slice(0, width)), transform
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ (left, top)
    return (slice(top, bottom), slice(left, right)), moved


def _antialias_sigma_px(shrink: float) -> float:
    """Return the standard deviation, in pixels, of the blur that prevents aliasing when shrinking by ``shrink``."""
    return 0.5 * float(np.sqrt(max(shrink * shrink - 1, 0.0)))


def _rim_weights() -> Float32Array:
    """Return weights (512, 512): 0 at the edge of the square, 1 from :data:`RIM_PX` inwards."""
    steps = np.arange(SIDE_PX, dtype=np.float32)
    rise = smoothstep(np.minimum(steps, SIDE_PX - 1 - steps) / RIM_PX)
    return np.asarray(rise[:, None] * rise[None, :], np.float32)
