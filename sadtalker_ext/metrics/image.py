"""Image quality metrics: sharpness, similarity to a reference, and distances of the features of networks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.errors import MediaError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float64Array, Image

    Features = NDArray[np.floating[Any]]
    """One row per picture, float32 or float64."""

_LUMA_WEIGHTS: Final = (19595, 38470, 7471)
"""0.299, 0.587 and 0.114 of red, green and blue, in parts of 65536."""
_BLOCK_PX: Final = 64
_EDGE_SHARE: Final = 0.002
"""Only blocks with a larger share of edge pixels are evaluated."""
_BETA: Final = 3.6
"""Exponent of the probability of blur detection."""
_LOW_CONTRAST: Final = 50
_JUST_NOTICEABLE_PX: Final = (5.0, 3.0)
"""Width of a just noticeable blur in blocks with a contrast up to ``_LOW_CONTRAST`` grey levels, and above."""
_MAX_SIDE_PX: Final = 100
"""An edge is followed this far to either side, as in the authors' implementation."""
_DETECTED: Final = 0.635
"""Blur is detected from a probability of 63 %, after rounding to whole percents."""


def luma(picture: Image) -> Float64Array:
    """Return the luma (H, W) in [0, 255] of an RGB picture (H, W, 3) by ITU-R BT.601, in integers as in Pillow."""
    weighted = picture.astype(np.int64) @ np.array(_LUMA_WEIGHTS)
    grey: Float64Array = ((weighted + (1 << 15)) >> 16).astype(np.float64)
    return grey


def cpbd(picture: Image) -> float:
    """Return the cumulative probability of blur detection of an RGB picture, in [0, 1]; sharper is higher.

    Narvekar and Karam (2011), "A no-reference image blur metric based on the cumulative probability of blur
    detection": the share of edges in textured blocks whose width is not perceived as blur. Edges and their widths are
    measured along the rows as in the authors' implementation. The value is 0 without edges, and for pictures smaller
    than a block of 64 pixels.
    """
    from skimage.feature import canny

    grey = luma(picture)
    widths = _edge_widths(grey)
    edges = canny(grey)
    probabilities = [
        _blur_probabilities(grey[block], widths[block])
        for block in _blocks(grey.shape)
        if np.count_nonzero(edges[block]) > _EDGE_SHARE * _BLOCK_PX**2
    ]
    all_edges = np.concatenate([np.zeros(0), *probabilities])
    return float(np.mean(all_edges < _DETECTED)) if len(all_edges) else 0.0


def _blocks(shape: tuple[int, ...]) -> Iterable[tuple[slice, slice]]:
    for top in range(0, shape[0] - _BLOCK_PX + 1, _BLOCK_PX):
        for left in range(0, shape[1] - _BLOCK_PX + 1, _BLOCK_PX):
            yield slice(top, top + _BLOCK_PX), slice(left, left + _BLOCK_PX)


def _blur_probabilities(grey: Float64Array, widths: Float64Array) -> Float64Array:
    """Return the probability (E,) that blur is detected at each edge pixel of a block."""
    noticeable = _JUST_NOTICEABLE_PX[int(grey.max() - grey.min() > _LOW_CONTRAST)]
    probabilities: Float64Array = 1.0 - np.exp(-((widths[widths > 0] / noticeable) ** _BETA))
    return probabilities


def _edge_widths(grey: Float64Array) -> Float64Array:
    """Return the widths (H, W) in pixels of the horizontal edges, 0 elsewhere.

    The width is the distance between the local extrema on both sides of the edge pixel (Marziliano et al. 2002).
    """
    down, right = np.gradient(grey)
    # The authors' implementation gives the angle 0 to pixels without a horizontal gradient.
    angle = np.where(right == 0.0, 0.0, 45.0 * np.round(np.degrees(np.arctan2(down, right)) / 45.0))
    rising = angle == 0.0
    falling = np.abs(angle) == 180.0
    widths = np.zeros(grey.shape)
    edges = _vertical_edges(grey)
    edges[[0, -1]] = False
    edges[:, [0, -1]] = False
    for direction, image in ((rising, grey), (falling, -grey)):
        rises = np.zeros(grey.shape, bool)
        rises[:, 1:] = np.diff(image, axis=1) > 0
        left, right_side = _run_lengths(rises)
        chosen = edges & direction
        rows, columns = np.nonzero(chosen)
        widths[rows, columns] = left[rows, columns - 1] + right_side[rows, columns + 1] + 2.0
    return widths


def _run_lengths(rises: NDArray[np.bool_]) -> tuple[Float64Array, Float64Array]:
    """Return how many pixels the rise continues to the left and to the right of each pixel, at most 100.

    rises: (H, W), whether a pixel is brighter than its left neighbour.
    """
    height, width = rises.shape
    left, right = np.zeros((height, width)), np.zeros((height, width))
    for column in range(1, width):
        left[:, column] = np.where(rises[:, column], left[:, column - 1] + 1.0, 0.0)
    for column in range(width - 2, -1, -1):
        right[:, column] = np.where(rises[:, column + 1], right[:, column + 1] + 1.0, 0.0)
    return np.minimum(left, _MAX_SIDE_PX), np.minimum(right, _MAX_SIDE_PX)


def _vertical_edges(grey: Float64Array) -> NDArray[np.bool_]:
    """Return thinned Sobel edges (H, W) of horizontal changes, with Octave's threshold."""
    padded = np.pad(grey, 1, mode="symmetric")
    across = padded[:, 2:] - padded[:, :-2]
    strength = ((across[:-2] + 2.0 * across[1:-1] + across[2:]) / 8.0) ** 2
    strength[strength <= 2.0 * np.sqrt(strength.mean())] = 0.0
    framed = np.pad(strength, 1)
    middle = framed[1:-1, 1:-1]
    along_x = (middle > framed[1:-1, :-2]) & (middle > framed[1:-1, 2:])
    along_y = (middle > framed[:-2, 1:-1]) & (middle > framed[2:, 1:-1])
    edges: NDArray[np.bool_] = along_x | along_y
    return edges


def psnr_db(picture: Image, reference: Image) -> float:
    """Return the peak signal-to-noise ratio in dB of two pictures of the same size; infinite if they are equal."""
    # kornia.metrics.psnr has the same value, but takes twice as long and needs torch.
    _require_same_size(picture, reference)
    error = float(np.mean((picture.astype(np.float64) - reference.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else 10.0 * float(np.log10(255.0**2 / error))


def ssim(picture: Image, reference: Image) -> float:
    """Return the structural similarity in [-1, 1] of two RGB pictures of the same size (Wang et al. 2004)."""
    # scikit-image, not kornia: the same value within 1e-9 in a fifth of the time (512 x 512, float64, CPU).
    from skimage.metrics import structural_similarity

    _require_same_size(picture, reference)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return float(structural_similarity(luma(picture), luma(reference), **options))


def _require_same_size(picture: Image, reference: Image) -> None:
    if picture.shape != reference.shape:
        raise MediaError(
            f"The picture has {picture.shape[1]} x {picture.shape[0]} pixels, but the reference has "
            f"{reference.shape[1]} x {reference.shape[0]}; use a reference of the same size"
        )


def frechet_distance(features: Features, reference: Features) -> float:
    """Return the Frechet distance of Gaussians fitted to two sets of features (N, D) and (M, D) (Heusel et al. 2017).

    With features of Inception v3 this is FID. The trace of the square root of the product of two covariances is the
    nuclear norm of the product of their factors, so it is exact for fewer pictures than features too.
    """
    first, second = _covariance_factor(features), _covariance_factor(reference)
    cross = np.linalg.norm(first @ second.T, ord="nuc")
    difference = np.asarray(features, np.float64).mean(axis=0) - np.asarray(reference, np.float64).mean(axis=0)
    return float(difference @ difference + (first**2).sum() + (second**2).sum() - 2.0 * cross)


def _covariance_factor(features: Features) -> Float64Array:
    """Return a matrix F of at most D rows with F.T @ F = the covariance (D, D) of features (N, D)."""
    exact = np.asarray(features, np.float64)
    centred: Float64Array = (exact - exact.mean(axis=0)) / np.sqrt(max(1, len(exact) - 1))
    if len(exact) <= exact.shape[1]:
        return centred
    factor: Float64Array = np.linalg.qr(centred, mode="r")  # type: ignore[assignment] # an array with this mode
    return factor


def mean_cosine(vectors: Features, source: Features) -> float:
    """Return the mean cosine in [-1, 1] of vectors (N, D) with the vector ``source`` (D,).

    With identity vectors of ArcFace this is CSIM.
    """
    exact, target = np.asarray(vectors, np.float64), np.asarray(source, np.float64)
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(target)
    return float(np.mean(exact @ target / np.maximum(lengths, 1e-12)))
