"""Pairs of frames of one clip for training and validation of the renderer."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sadtalker_ext.engines.sadtalker.coefficients import CROP, coefficient_windows, still_window
from sadtalker_ext.engines.sadtalker.inference import to_pixels
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.metrics.image import psnr_db
from sadtalker_ext.training.clips.dataset import ClipStore
from sadtalker_ext.training.sadtalker.thin_plate_spline import sample_warps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.training.clips.dataset import Clip
    from sadtalker_ext.training.core.plan import Plan
    from sadtalker_ext.training.sadtalker.model_sizes import RendererSize

PITCH, YAW, ROLL = 64, 65, 66
"""Columns of the coefficients."""
HEAD_SIGNS: Final = np.array([1.0, -1.0, -1.0], np.float32)
"""Signs of yaw, pitch and roll for keypoints, whose y axis points down and z axis to the viewer, unlike the 3DMM."""
MOUTH: Final = slice(48, 68)
"""Mouth landmarks in the iBUG-68 scheme."""
MOUTH_MARGIN: Final = 0.25
"""Margin around the mouth, relative to its width."""
GUIDED_SHARE: Final = 0.5
VALIDATION_PAIRS, VALIDATION_PAIRS_PER_CLIP = 64, 4
"""Largest number of held-out pairs for validation, in total and per clip."""
VALIDATION_BATCH: Final = 8


class FramePairs:
    """Pairs (source, driving) of frames of one clip, resized to ``size.size_px``.

    SettingsError if the images of the data set are smaller.
    """

    def __init__(self, folder: Path, split: str, size: RendererSize) -> None:
        self.store, self.size, self.size_px = ClipStore(folder, split), size, size.size_px
        if self.store.info.size_px < self.size_px:
            raise SettingsError(
                f"The images in {folder} have {self.store.info.size_px} pixels, but this size of the renderer requires "
                f"{self.size_px}; prepare the data again at that size or choose a smaller --config"
            )

    def sample(self, random: np.random.Generator, count: int) -> dict[str, Tensor]:
        """Return ``count`` random pairs.

        To the entries of :meth:`pairs` it adds affine and bend, parameters of random warps
        (:class:`.thin_plate_spline.ThinPlate`), and guided (B,) bool, a random half of the pairs, which may be rendered
        from their landmarks.
        """
        chosen = random.integers(0, len(self.store), count)
        frames = [random.choice(self.store.frame_count(int(clip)), 2, replace=False) for clip in chosen]
        pairs = [(int(clip), int(a), int(b)) for clip, (a, b) in zip(chosen, frames, strict=True)]
        affine, bend = sample_warps(random, count)
        sampled = {"affine": affine, "bend": bend, "guided": random.random(count) < GUIDED_SHARE}
        return {**self.pairs(pairs), **{name: torch.from_numpy(values) for name, values in sampled.items()}}

    def held_out(self, count: int = VALIDATION_PAIRS) -> list[tuple[int, int, int]]:
        """Return up to ``count`` fixed pairs (clip, source frame, driving frame); the source is the first frame."""
        rounds = min(-(-count // len(self.store)), VALIDATION_PAIRS_PER_CLIP)
        random = np.random.default_rng(20211130)
        pairs = []
        for _ in range(rounds):
            for clip in range(len(self.store)):
                pairs.append((clip, 0, int(random.integers(1, self.store.frame_count(clip)))))
        return pairs[:count]

    def pairs(self, chosen: list[tuple[int, int, int]]) -> dict[str, Tensor]:
        """Return the data of pairs (clip, source frame, driving frame).

        source, driving: images (B, 3, S, S), RGB in [0, 1]. angles: (B, 2, 3), yaw, pitch and roll of both in radians.
        landmarks: (B, 2, 68, 2) of both in [-1, 1]. windows: (B, 2, 73, 27), input of MappingNet; the window of the
        source repeats one frame. mouth: (B, 4), box of the driving mouth in pixels: left, top, right, bottom.
        """
        pictures, angles, landmarks, mouths, windows = [], [], [], [], []
        for clip, first, second in chosen:
            tracks = self.store.read_tracks(clip)
            pictures.append(self.store.read_images(clip, (first, second)))
            angles.append(head_angles(tracks.coefficients[[first, second]]))
            still = still_window(tracks.coefficients[first])
            both = np.concatenate((still, coefficient_windows(tracks.coefficients, [second])))
            windows.append(scale_crop(both, self.size_px / self.store.info.size_px))
            landmarks.append(self._landmarks(tracks, (first, second)))
            mouths.append(mouth_box(tracks.landmarks[second]) * (self.size_px / self.store.info.size_px))
        frames = torch.from_numpy(np.stack(pictures)).permute(1, 0, 4, 2, 3).float() / 255
        source, driving = (self._resize(part) for part in frames)
        arrays = {"angles": angles, "landmarks": landmarks, "mouth": mouths, "windows": windows}
        tensors = {name: torch.from_numpy(np.stack(rows).astype(np.float32)) for name, rows in arrays.items()}
        return {"source": source, "driving": driving, **tensors}

    def _landmarks(self, tracks: Clip, frames: tuple[int, int]) -> NDArray[np.float32]:
        """Return landmarks in the coordinates of keypoints, see :attr:`.DenseMotionConfig.aligned`."""
        edges = 2 * tracks.landmarks[list(frames)] / np.float32(self.store.info.size_px) - 1
        cells = self.size_px >> self.size.generator.halvings
        return edges * np.float32(cells / (cells - 1)) if self.size.generator.motion.aligned else edges

    def _resize(self, pictures: Tensor) -> Tensor:
        if pictures.shape[-1] == self.size_px:
            return pictures.contiguous()
        size = (self.size_px, self.size_px)
        return functional.interpolate(pictures, size=size, mode="bilinear", antialias=True)


def head_angles(coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return yaw, pitch and roll (N, 3) of keypoints in radians, from coefficients (N, 70 or 73)."""
    return np.asarray(coefficients[:, [YAW, PITCH, ROLL]] * HEAD_SIGNS, np.float32)


def scale_crop(windows: NDArray[np.float32], ratio: float) -> NDArray[np.float32]:
    """Return windows (..., 73, 27) with the crop values of an image that is resized by the factor ``ratio``.

    The y axis of the crop points up from the last row, see :mod:`sadtalker_ext.geometry.five_point_alignment`.
    """
    scale, x_px, y_px = np.moveaxis(windows[..., CROP, :], -2, 0)
    crop = np.stack((scale / ratio, x_px * ratio, (y_px + 1) * ratio - 1), axis=-2)
    return np.asarray(np.concatenate((windows[..., : CROP.start, :], crop), axis=-2), np.float32)


def mouth_box(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the box (left, top, right, bottom) of the mouth with a margin, in pixels, from landmarks (68, 2)."""
    points = landmarks[MOUTH]
    margin = MOUTH_MARGIN * np.ptp(points[:, 0])
    return np.asarray(np.concatenate((points.min(axis=0) - margin, points.max(axis=0) + margin)), np.float32)


def measure_psnr(pairs: FramePairs, render: Callable[[dict[str, Tensor]], Tensor]) -> dict[str, float]:
    """Return the PSNR in dB on held-out pairs.

    ``psnr``: of the images that ``render`` returns for a batch. ``psnr_unchanged``: of the source image in their place.
    ``gain``: the difference. ``mouth_psnr`` and ``mouth_gain``: the same within the box of the mouth.
    """
    chosen, rows = pairs.held_out(), []
    for start in range(0, len(chosen), VALIDATION_BATCH):
        batch = pairs.pairs(chosen[start : start + VALIDATION_BATCH])
        parts = (render(batch).float().cpu(), batch["source"], batch["driving"], batch["mouth"])
        rows += [_pair_psnr(*row) for row in zip(*parts, strict=True)]
    psnr, unchanged, mouth, mouth_unchanged = np.mean(rows, axis=0).tolist()
    return {
        "psnr": psnr,
        "psnr_unchanged": unchanged,
        "gain": psnr - unchanged,
        "mouth_psnr": mouth,
        "mouth_gain": mouth - mouth_unchanged,
    }


def training_metadata(
    pairs: FramePairs, figures: Mapping[str, float], recipe: str, plan: Plan, commit: str
) -> dict[str, str]:
    """Return the header entries that describe the origin of a trained network."""
    info = pairs.store.info
    return {
        "recipe": recipe,
        "plan": json.dumps(asdict(plan)),
        "size": pairs.size.name,
        "size_px": str(pairs.size_px),
        "coefficients": info.coefficients,
        "data": info.sources,
        "licence": info.licence,
        "commit": commit,
        "figures": json.dumps({name: round(value, 4) for name, value in figures.items()}),
    }


def _pair_psnr(ours: Tensor, source: Tensor, driving: Tensor, mouth: Tensor) -> tuple[float, float, float, float]:
    """Return the PSNR of the rendered image and of the source, then of both within the box of the mouth."""
    a, b, target = (to_pixels(image) for image in (ours, source, driving))
    left, top, right, bottom = (int(value) for value in mouth.round().clamp(0, len(target)).tolist())
    box = (slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1)))
    return psnr_db(a, target), psnr_db(b, target), psnr_db(a[box], target[box]), psnr_db(b[box], target[box])
