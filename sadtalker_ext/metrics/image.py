"""Image quality metrics: sharpness, similarity to a reference, and distances by networks that the user provides."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.errors import MediaError, WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch.jit import ScriptModule

    from sadtalker_ext.arrays import Float64Array, Image

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
    """Return the luma (H, W) in [0, 255] of an RGB picture (H, W, 3) by ITU-R BT.601, rounded to integers."""
    grey: Float64Array = np.round(picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114]))
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
    angle = 45.0 * np.round(np.degrees(np.arctan2(down, right)) / 45.0)
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
            f"{reference.shape[1]} x {reference.shape[0]}; use a reference of the same size."
        )


def open_network(path: Path | None, measure: str) -> ScriptModule:
    """Load the user's TorchScript network for a measure, "FID" or "CSIM"; the package does not include such weights.

    The network for FID maps (B, 3, 299, 299) in [0, 1] to features (B, D) (Inception v3, pool 3), that for CSIM maps
    (B, 3, 112, 112) in [-1, 1] to identity vectors (B, D) (ArcFace). WeightsError without a valid file.
    """
    import torch

    if path is None:
        raise WeightsError(
            f"{measure} needs a network that is not part of this package; give its TorchScript file with "
            f"--{measure.lower()}-network FILE, or omit {measure}."
        )
    try:
        network: ScriptModule = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise WeightsError(
            f"{path} is not a TorchScript network ({str(error).splitlines()[0]}); save the network with "
            "torch.jit.trace and .save()."
        ) from error
    return network.eval()


def network_features(network: ScriptModule, pictures: Iterable[Image], side_px: int, low: float) -> Float64Array:
    """Return features (N, D) of RGB pictures, resized to a square of ``side_px`` with values from ``low`` to 1."""
    import cv2
    import torch

    rows = []
    with torch.inference_mode():
        for picture in pictures:
            square = cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA)
            values = torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255.0
            rows.append(network(low + (1.0 - low) * values).flatten(1)[0].double().numpy())
    return np.stack(rows)


def frechet_distance(features: Float64Array, reference: Float64Array) -> float:
    """Return the Frechet distance of Gaussians fitted to two sets of features (N, D) (Heusel et al. 2017).

    With features of Inception v3 this is FID.
    """
    from scipy.linalg import sqrtm

    means = features.mean(axis=0) - reference.mean(axis=0)
    first, second = (np.atleast_2d(np.cov(values, rowvar=False)) for values in (features, reference))
    cross = np.real(sqrtm(first @ second))
    return float(means @ means + np.trace(first + second - 2.0 * cross))


def cosine_similarity(features: Float64Array, reference: Float64Array) -> float:
    """Return the mean cosine in [-1, 1] of vectors (N, D) with the mean of the reference vectors (M, D).

    With identity vectors of ArcFace this is CSIM.
    """
    target = reference.mean(axis=0)
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(target)
    return float(np.mean(features @ target / np.maximum(lengths, 1e-12)))
