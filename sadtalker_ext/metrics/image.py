"""Measures of pictures: sharpness, likeness to a reference, and distances by networks that the user supplies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.errors import MediaError, WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch.jit import ScriptModule

    Picture = NDArray[np.uint8]
    Array = NDArray[np.float64]

BLOCK_PX = 64
EDGE_SHARE = 0.002
"""A block with more edge pixels than this share is judged."""
BETA = 3.6
JUST_NOTICEABLE_PX = (5.0, 3.0)
"""Width of a just noticeable blur in blocks with a contrast up to 50 and above."""
LONGEST_SIDE_PX = 101
"""How far an edge is followed to either side."""
DETECTED = 0.635
"""Blur is seen from a probability of 63 %, after rounding to whole percents."""


def luma(picture: Picture) -> Array:
    """Grey (H, W) in 0 to 255 of an RGB picture (H, W, 3), ITU-R BT.601, rounded."""
    grey: Array = np.round(picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114]))
    return grey


def cpbd(picture: Picture) -> float:
    """Cumulative probability of blur detection in [0, 1] of an RGB picture; sharper is higher.

    Narvekar and Karam (2011), "A no-reference image blur metric based on the cumulative probability of blur
    detection": the share of edges in textured blocks whose width is not seen as blur. Edges across rows and widths
    are found as in the authors' implementation. 0 where there are no edges; blocks of 64 pixels, so smaller
    pictures have none.
    """
    from skimage.feature import canny

    grey = luma(picture)
    widths = _edge_widths(grey)
    edges = canny(grey)
    probabilities = [
        _blur_probabilities(grey[block], widths[block])
        for block in _blocks(grey.shape)
        if np.count_nonzero(edges[block]) > EDGE_SHARE * BLOCK_PX**2
    ]
    seen = np.concatenate([np.zeros(0), *probabilities])
    return float(np.mean(seen < DETECTED)) if len(seen) else 0.0


def _blocks(shape: tuple[int, ...]) -> Iterable[tuple[slice, slice]]:
    for top in range(0, shape[0] - BLOCK_PX + 1, BLOCK_PX):
        for left in range(0, shape[1] - BLOCK_PX + 1, BLOCK_PX):
            yield slice(top, top + BLOCK_PX), slice(left, left + BLOCK_PX)


def _blur_probabilities(grey: Array, widths: Array) -> Array:
    """Probability that each edge of a block is seen as blurred."""
    noticeable = JUST_NOTICEABLE_PX[0 if grey.max() - grey.min() < 51 else 1]
    probabilities: Array = 1.0 - np.exp(-((widths[widths > 0] / noticeable) ** BETA))
    return probabilities


def _edge_widths(grey: Array) -> Array:
    """Widths (H, W) in pixels of the horizontal rises and falls through each edge pixel, 0 elsewhere.

    Marziliano et al. (2002): from the edge to the nearest extremes of its row on both sides.
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
        climbs = np.zeros(grey.shape, bool)
        climbs[:, 1:] = np.diff(image, axis=1) > 0
        left, right_side = _run_lengths(climbs)
        chosen = edges & direction
        rows, columns = np.nonzero(chosen)
        widths[rows, columns] = left[rows, columns - 1] + right_side[rows, columns + 1] + 2.0
    return widths


def _run_lengths(climbs: NDArray[np.bool_]) -> tuple[Array, Array]:
    """How many pixels a climb reaches to the left and to the right of each pixel, at most 100.

    climbs: (H, W), whether a pixel is higher than its left neighbour.
    """
    height, width = climbs.shape
    left, right = np.zeros((height, width)), np.zeros((height, width))
    for column in range(1, width):
        left[:, column] = np.where(climbs[:, column], left[:, column - 1] + 1.0, 0.0)
    for column in range(width - 2, -1, -1):
        right[:, column] = np.where(climbs[:, column + 1], right[:, column + 1] + 1.0, 0.0)
    reach = LONGEST_SIDE_PX - 1.0
    return np.minimum(left, reach), np.minimum(right, reach)


def _vertical_edges(grey: Array) -> NDArray[np.bool_]:
    """Thinned Sobel edges (H, W) of horizontal changes, with Octave's threshold."""
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


def psnr_db(picture: Picture, reference: Picture) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 pictures of one size; infinite where they are equal."""
    _refuse_other_size(picture, reference)
    error = float(np.mean((picture.astype(np.float64) - reference.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else 10.0 * float(np.log10(255.0**2 / error))


def ssim(picture: Picture, reference: Picture) -> float:
    """Structural similarity in [-1, 1] of two RGB pictures of one size (Wang et al. 2004), by scikit-image."""
    from skimage.metrics import structural_similarity

    _refuse_other_size(picture, reference)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return float(structural_similarity(luma(picture), luma(reference), **options))


def _refuse_other_size(picture: Picture, reference: Picture) -> None:
    if picture.shape != reference.shape:
        raise MediaError(
            f"pictures of {picture.shape[1]} x {picture.shape[0]} and {reference.shape[1]} x {reference.shape[0]} "
            "pixels cannot be compared; give a reference of the size of the result"
        )


def open_network(path: Path | None, measure: str) -> ScriptModule:
    """A user's TorchScript network for FID or CSIM; such weights do not ship with this package.

    FID wants one that turns (B, 3, 299, 299) in [0, 1] into features (B, D) (Inception v3, pool 3), CSIM one that
    turns (B, 3, 112, 112) in [-1, 1] into identity vectors (B, D) (ArcFace).
    """
    import torch

    if path is None:
        raise WeightsError(
            f"{measure} needs a network that does not ship with this package; give its TorchScript file with "
            f"--{measure.lower()}-network FILE, or leave {measure} out"
        )
    try:
        network: ScriptModule = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise WeightsError(
            f"{path} is not a TorchScript network ({str(error).splitlines()[0]}); save one with torch.jit.trace and "
            ".save()"
        ) from error
    return network.eval()


def network_features(network: ScriptModule, pictures: Iterable[Picture], side_px: int, low: float) -> Array:
    """Features (N, D) of RGB pictures scaled to a square of ``side_px`` with values from ``low`` to 1."""
    import cv2
    import torch

    rows = []
    with torch.inference_mode():
        for picture in pictures:
            square = cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA)
            values = torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255.0
            rows.append(network(low + (1.0 - low) * values).flatten(1)[0].double().numpy())
    return np.stack(rows)


def frechet_distance(features: Array, reference: Array) -> float:
    """Frechet distance of two sets of features (N, D) taken as Gaussian (Heusel et al. 2017); FID with Inception."""
    from scipy.linalg import sqrtm

    means = features.mean(axis=0) - reference.mean(axis=0)
    first, second = (np.atleast_2d(np.cov(values, rowvar=False)) for values in (features, reference))
    cross = np.real(sqrtm(first @ second))
    return float(means @ means + np.trace(first + second - 2.0 * cross))


def cosine_similarity(features: Array, reference: Array) -> float:
    """Mean cosine in [-1, 1] of identity vectors (N, D) with the mean of the reference's (M, D); CSIM with ArcFace."""
    target = reference.mean(axis=0)
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(target)
    return float(np.mean(features @ target / np.maximum(lengths, 1e-12)))
