"""The square that face restorers were trained on: 512 pixels, eyes, nose and mouth at fixed places (FFHQ)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.geometry.five_point_alignment import five_points
from sadtalker_ext.geometry.landmarks import FACE_OVAL, subset_68
from sadtalker_ext.geometry.one_euro import OneEuroFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Points = NDArray[np.float64]

SIDE_PX = 512
TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""Left eye, right eye (as seen), nose tip, mouth corners: the five points that facexlib aligns to for GFPGAN,
CodeFormer and RestoreFormer."""
BONES: Final = (
    10, 151, 9, 8, 168, 6, 197, 195, 67, 297, 109, 338, 103, 332, 54, 284, 21, 251, 162, 389,
    33, 133, 362, 263, 127, 356, 122, 351, 188, 412, 114, 343,
)  # fmt: skip
"""Points of the mesh that neither speech nor a blink moves: forehead, temples, corners of the eyes, bridge of nose."""
OVAL_GROWTH = 1.08
"""The face oval, grown by this about its centre, is restored entirely."""
FEATHER_PX = 22.0
"""Standard deviation of the mask's soft edge."""
RIM_PX = 40.0
"""Within this distance of the square's edge the mask falls to 0: there a restorer knows too little."""
PIXEL_CENTRE = 0.5
"""Landmarks put (0.5, 0.5) at the centre of the first pixel, OpenCV (0, 0)."""
FINER = 0.5
"""Pixels of the square per pixel of the picture at which the picture's finer detail is kept; at 1 none is."""
ALIASING = 1.25
"""Shrinking by more than this needs a blur first."""


def fit_similarity(points: Points, targets: Points) -> Points:
    """The turn, scale and shift (2, 3) that bring points (N, 2) nearest to targets (N, 2), least squares."""
    mean, target_mean = points.mean(axis=0), targets.mean(axis=0)
    (x, y), (u, v) = (points - mean).T, (targets - target_mean).T
    spread = max(float((x * x + y * y).sum()), 1e-12)
    a, b = float((x * u + y * v).sum()) / spread, float((x * v - y * u).sum()) / spread
    turn = np.array([[a, -b], [b, a]])
    return np.concatenate((turn, (target_mean - turn @ mean)[:, None]), axis=1)


def square_transform(mesh: Floats) -> Points:
    """The map (2, 3) from pixels of the picture to pixels of the square, both as OpenCV counts them, of a mesh."""
    return fit_similarity(five_points(subset_68(mesh)) - PIXEL_CENTRE, TEMPLATE)


def face_oval(mesh: Floats) -> Points:
    """The face's outline (36, 2) in the picture, as OpenCV counts pixels, of a mesh (478, 3)."""
    return mesh[list(FACE_OVAL), :2].astype(np.float64) - PIXEL_CENTRE


class SquareTracker:
    """Lays the square by five points once, then holds it to the bones of the face: speech does not move it."""

    def __init__(self, rate_hz: float) -> None:
        self._steady = OneEuroFilter(rate_hz)
        self._places: Points | None = None

    def place(self, mesh: Floats) -> tuple[Points, Points]:
        """The map (2, 3) to the square and the face's outline (36, 2) in the picture, for the next frame's mesh."""
        bones = mesh[list(BONES), :2].astype(np.float64) - PIXEL_CENTRE
        if self._places is None:
            first = square_transform(mesh)
            self._places = bones @ first[:, :2].T + first[:, 2]
        points = self._steady.smooth(np.concatenate((bones, face_oval(mesh))))
        return fit_similarity(points[: len(BONES)], self._places), points[len(BONES) :]


def scale_of(transform: Points) -> float:
    """Pixels of the square for each pixel of the picture."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def cut_square(picture: Picture, transform: Points) -> Picture:
    """The face (512, 512, 3) of a picture (H, W, 3), smoothed before it is made smaller; mirrored at the edges."""
    import cv2

    place, moved = _region(picture, transform)
    region = picture[place]
    shrink = 1 / scale_of(transform)
    if shrink > ALIASING:
        region = np.asarray(cv2.GaussianBlur(region, (0, 0), _sigma(shrink)), np.uint8)
    cut = cv2.warpAffine(
        region, moved, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )  # fmt: skip
    return np.asarray(cut, np.uint8)


def square_mask(outline: Points, transform: Points) -> Floats:
    """Weights (512, 512) in [0, 1] in the square: 1 on the face, soft beyond its outline, 0 at the square's edge.

    outline: (36, 2) in the picture, see :func:`face_oval`.
    """
    import cv2

    oval = outline @ transform[:, :2].T + transform[:, 2]
    grown = (oval - oval.mean(axis=0)) * OVAL_GROWTH + oval.mean(axis=0)
    face: Floats = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    cv2.fillConvexPoly(face, cv2.convexHull(np.round(grown * 16).astype(np.int32)), (1.0,), cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(face, (0, 0), FEATHER_PX, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(soft * _rim(), np.float32)


def paste_square(picture: Picture, new: Floats, old: Picture, mask: Floats, transform: Points) -> Picture:
    """The picture (H, W, 3) with a restored square in the place of what it shows there.

    new: (512, 512, 3) in levels. old: (512, 512, 3), as it was cut. mask: (512, 512) in [0, 1]. Where the picture is
    finer than the square, its own finer detail stays on top.
    """
    place, moved = _region(picture, transform)
    out, under = picture.copy(), picture[place].astype(np.float32)
    size = (under.shape[1], under.shape[0])
    scale = scale_of(transform)
    wanted = _back(new, moved, size, scale)
    finer = float(np.clip((1 - scale) / (1 - FINER), 0, 1))
    if finer > 0:
        wanted = wanted + finer * (under - _back(old.astype(np.float32), moved, size, scale))
    weights = _back(mask, moved, size, 1.0)[..., None]
    out[place] = np.clip(np.rint(under + weights * (wanted - under)), 0, 255).astype(np.uint8)
    return out


def _back(square: Floats, transform: Points, size: tuple[int, int], scale: float) -> Floats:
    """What the square (512, 512, ...) shows in a region (width, height), smoothed before it is made smaller."""
    import cv2

    if scale > ALIASING:
        square = np.asarray(cv2.GaussianBlur(square, (0, 0), _sigma(scale)), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(square, transform, size, flags=flags), np.float32)


def _region(picture: Picture, transform: Points) -> tuple[tuple[slice, slice], Points]:
    """The part of the picture that the square shows, and the map from there; all of it where that is nothing."""
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [SIDE_PX, 0], [0, SIDE_PX], [SIDE_PX, SIDE_PX]], np.float64)
    seen = (corners - transform[:, 2]) @ np.linalg.inv(transform[:, :2]).T
    margin = 2 + 3 * _sigma(1 / scale_of(transform))
    left, top = np.floor(seen.min(axis=0) - margin).astype(int).clip(0, (width, height))
    right, bottom = np.ceil(seen.max(axis=0) + margin).astype(int).clip(0, (width, height))
    if right <= left or bottom <= top:
        return (slice(0, height), slice(0, width)), transform
    moved = transform.copy()
    moved[:, 2] += transform[:, :2] @ (left, top)
    return (slice(top, bottom), slice(left, right)), moved


def _sigma(shrink: float) -> float:
    """Blur in pixels that keeps a picture from aliasing when it is made so many times smaller."""
    return 0.5 * float(np.sqrt(max(shrink * shrink - 1, 0.0)))


def _rim() -> Floats:
    """(512, 512): 0 at the square's edge, 1 further inside than the rim."""
    steps = np.arange(SIDE_PX, dtype=np.float32)
    part = np.clip(np.minimum(steps, SIDE_PX - 1 - steps) / RIM_PX, 0, 1)
    eased = part * part * (3 - 2 * part)
    return np.asarray(eased[:, None] * eased[None, :], np.float32)
