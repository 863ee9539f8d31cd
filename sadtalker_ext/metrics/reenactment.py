"""Self-reenactment metrics: rendered frames compared with the real ones in the whole face, the mouth and the eyes.

The standard test of face animation (Siarohin et al. 2019, "First Order Motion Model", section 4; Wang et al. 2021,
"One-Shot Free-View Neural Talking-Head Synthesis"): the first frame of a video is the portrait, the motion of the
others drives it, and every frame is compared with the real one. The regions are boxes around landmarks of the real
frame, so that a mouth in the wrong place counts as an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.geometry.landmarks import FACE_OVAL, FACE_POINTS, LIPS
from sadtalker_ext.metrics.image import luma
from sadtalker_ext.metrics.report import Metric

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

OUTER_EYE_CORNERS: Final = (33, 263)
"""Mesh points whose distance is the unit of landmark errors and margins."""
RIGHT_EYE: Final = (33, 246, 161, 160, 159, 158, 157, 173, 133, 7, 163, 144, 145, 153, 154, 155)
LEFT_EYE: Final = (263, 466, 388, 387, 386, 385, 384, 398, 362, 249, 390, 373, 374, 380, 381, 382)
"""Mesh points on the edges of the lids."""
RIGHT_IRIS: Final = tuple(range(468, 473))
LEFT_IRIS: Final = tuple(range(473, 478))
MIN_SIDE_PX: Final = 2
"""Smallest side of a box."""


class Region(NamedTuple):
    """A part of the face.

    points: mesh points whose error is measured. boxes: groups of mesh points that get a box each. margin: of the boxes,
    in distances of the outer eye corners.
    """

    points: tuple[int, ...]
    boxes: tuple[tuple[int, ...], ...]
    margin: float


REGIONS: Final[Mapping[str, Region]] = {
    "face": Region(tuple(range(FACE_POINTS)), (FACE_OVAL,), 0.1),
    "mouth": Region(LIPS, (LIPS,), 0.15),
    "eyes": Region((*RIGHT_EYE, *RIGHT_IRIS, *LEFT_EYE, *LEFT_IRIS), (RIGHT_EYE, LEFT_EYE), 0.1),
}


class Agreement(NamedTuple):
    """Agreement of a region of one frame with the real frame.

    psnr: dB. ssim: at most 1. landmarks: mean distance of the points as a share of the distance of the outer eye
    corners; nan if no face was found.
    """

    psnr: float
    ssim: float
    landmarks: float


def compare_frames(
    frame: Image, mesh: Float32Array | None, reference: Image, reference_mesh: Float32Array
) -> dict[str, Agreement]:
    """Return the agreement of each of :data:`REGIONS`.

    frame, reference: (H, W, 3) RGB. mesh, reference_mesh: (478, 3) pixels, found in these pictures.
    """
    unit = eye_distance(reference_mesh)
    similarity = ssim_map(frame, reference)
    squared = ((frame.astype(np.float64) - reference.astype(np.float64)) ** 2).mean(axis=2)
    found = {}
    for name, region in REGIONS.items():
        windows = [_window(reference_mesh[list(points)], region.margin * unit, frame.shape) for points in region.boxes]
        error = float(np.concatenate([squared[window].ravel() for window in windows]).mean())
        likeness = float(np.concatenate([similarity[window].ravel() for window in windows]).mean())
        psnr = float("inf") if error == 0 else 10.0 * float(np.log10(255.0**2 / error))
        found[name] = Agreement(psnr, likeness, landmark_error(mesh, reference_mesh, region.points))
    return found


def eye_distance(mesh: Float32Array) -> float:
    """Return the distance between the outer eye corners in the picture, pixels."""
    right, left = mesh[list(OUTER_EYE_CORNERS), :2].astype(np.float64)
    return max(float(np.hypot(*(left - right))), 1e-6)


def landmark_error(mesh: Float32Array | None, reference: Float32Array, points: tuple[int, ...]) -> float:
    """Return the mean distance of points in the picture, as a share of the distance of the outer eye corners."""
    if mesh is None:
        return float("nan")
    offsets = (mesh[list(points), :2] - reference[list(points), :2]).astype(np.float64)
    return float(np.hypot(*offsets.T).mean()) / eye_distance(reference)


def ssim_map(picture: Image, reference: Image) -> Float64Array:
    """Return the structural similarity (H, W) of two RGB pictures at each pixel (Wang et al. 2004)."""
    from skimage.metrics import structural_similarity

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, full = structural_similarity(luma(picture), luma(reference), full=True, **options)
    return np.asarray(full, np.float64)


def _window(points: Float32Array, margin_px: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return rows and columns of the box around points (N, 3), inside a picture of this shape."""
    low, high = points[:, :2].min(axis=0) - margin_px, points[:, :2].max(axis=0) + margin_px
    sides = []
    for axis, size in ((1, shape[0]), (0, shape[1])):
        start = int(np.clip(np.floor(low[axis]), 0, size - MIN_SIDE_PX))
        sides.append(slice(start, int(np.clip(np.ceil(high[axis]), start + MIN_SIDE_PX, size))))
    return sides[0], sides[1]


@dataclass
class AgreementSum:
    """Mean agreement over the frames of a video, collected frame by frame.

    frames: number of frames. found: number of frames in which a face was found.
    """

    frames: int = 0
    found: int = 0
    _sums: dict[str, Float64Array] = field(default_factory=dict)

    def add(self, regions: Mapping[str, Agreement]) -> None:
        """Add one frame."""
        self.frames += 1
        self.found += not any(np.isnan(one.landmarks) for one in regions.values())
        for name, one in regions.items():
            self._sums[name] = self._sums.get(name, np.zeros(3)) + np.nan_to_num(one, nan=0.0, posinf=np.inf)

    def metrics(self, suffix: str, subject: str) -> list[Metric]:
        """Return three metrics per region; their names end in ``suffix``. subject: what the frames show."""
        rows = []
        for name, (psnr, ssim, landmarks) in self._sums.items():
            of = f"{name} of {subject} and the real frame"
            error = 100.0 * landmarks / self.found if self.found else None
            rows += [
                Metric(f"{name}_psnr{suffix}", psnr / self.frames, "dB", "higher", f"similarity of the {of}"),
                Metric(f"{name}_ssim{suffix}", ssim / self.frames, "", "higher", f"similarity of the {of}, up to 1"),
                Metric(f"{name}_landmarks{suffix}", error, "%", "lower",
                       f"distance of the landmarks, {of}, relative to that of the outer eye corners"),
            ]  # fmt: skip
        return rows
