"""Pairs of frames of one clip: what the renderer learns from, and the held-out ones it is measured with."""

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
from sadtalker_ext.training.sadtalker.thin_plate_spline import draw_warps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.training.clips.dataset import Clip
    from sadtalker_ext.training.core.loop import Plan
    from sadtalker_ext.training.sadtalker.model_sizes import RendererSize

PITCH, YAW, ROLL = 64, 65, 66
"""Columns of the coefficients."""
HEAD_SIGNS: Final = np.array([1.0, -1.0, -1.0], np.float32)
"""Of yaw, pitch and roll: a keypoint's y counts downwards and its z towards the viewer, unlike the 3DMM's axes."""
MOUTH: Final = slice(48, 68)
EXAMPLES, EXAMPLES_PER_CLIP = 64, 4
"""Held-out pairs that validation looks at, at most."""
BATCH: Final = 8


class PicturePairs:
    """Pairs (source, driving) of frames of one clip; pictures larger than ``size`` asks for are made smaller."""

    def __init__(self, folder: Path, split: str, size: RendererSize) -> None:
        self.store, self.size, self.size_px = ClipStore(folder, split), size, size.size_px
        if self.store.card.size_px < self.size_px:
            raise SettingsError(
                f"{folder} holds pictures of {self.store.card.size_px} pixels, the renderer learns from "
                f"{self.size_px}; make the data again at that size or choose a smaller --config"
            )

    def draw(self, random: np.random.Generator, count: int) -> dict[str, Tensor]:
        """``count`` random pairs.

        source, driving: (B, 3, S, S) RGB in [0, 1]. angles: (B, 2, 3) yaw, pitch and roll of both, in radians.
        landmarks: (B, 2, 68, 2) of both in [-1, 1]. affine, bend: of a :class:`.thin_plate.ThinPlate` each.
        told: (B,) bool, half of them at random: pairs that guidance may move by their landmarks.
        """
        chosen = random.integers(0, len(self.store), count)
        frames = [random.choice(self.store.frames(int(clip)), 2, replace=False) for clip in chosen]
        pairs = [(int(clip), int(a), int(b)) for clip, (a, b) in zip(chosen, frames, strict=True)]
        affine, bend = draw_warps(random, count)
        drawn = {"affine": affine, "bend": bend, "told": random.random(count) < 0.5}
        return {**self.pairs(pairs), **{name: torch.from_numpy(values) for name, values in drawn.items()}}

    def held_out(self, count: int = EXAMPLES) -> list[tuple[int, int, int]]:
        """The same (clip, source frame, driving frame) each time: its first frame is moved like another."""
        rounds = min(-(-count // len(self.store)), EXAMPLES_PER_CLIP)
        random = np.random.default_rng(20211130)
        pairs = []
        for _ in range(rounds):
            for clip in range(len(self.store)):
                pairs.append((clip, 0, int(random.integers(1, self.store.frames(clip)))))
        return pairs[:count]

    def pairs(self, chosen: list[tuple[int, int, int]]) -> dict[str, Tensor]:
        """Given pairs, without warps. With them come ``windows`` (B, 2, 73, 27), the coefficients that MappingNet sees:
        of the source as of a face that keeps still, of the driving frame with what is around it; and ``mouth`` (B, 4),
        the box of the driving mouth: left, top, right, bottom.
        """
        pictures, angles, landmarks, mouths, windows = [], [], [], [], []
        for clip, first, second in chosen:
            tracks = self.store.tracks(clip)
            pictures.append(self.store.pictures(clip, (first, second)))
            angles.append(head_angles(tracks.coefficients[[first, second]]))
            still = still_window(tracks.coefficients[first])
            seen = np.concatenate((still, coefficient_windows(tracks.coefficients, [second])))
            windows.append(resized_crop(seen, self.size_px / self.store.card.size_px))
            landmarks.append(self._landmarks(tracks, (first, second)))
            mouths.append(mouth_box(tracks.landmarks[second]) * (self.size_px / self.store.card.size_px))
        frames = torch.from_numpy(np.stack(pictures)).permute(1, 0, 4, 2, 3).float() / 255
        source, driving = (self._resized(part) for part in frames)
        arrays = {"angles": angles, "landmarks": landmarks, "mouth": mouths, "windows": windows}
        tensors = {name: torch.from_numpy(np.stack(rows).astype(np.float32)) for name, rows in arrays.items()}
        return {"source": source, "driving": driving, **tensors}

    def _landmarks(self, tracks: Clip, frames: tuple[int, int]) -> NDArray[np.float32]:
        """Landmarks where keypoints are counted: in cells of the features, or from edge to edge."""
        edges = 2 * tracks.landmarks[list(frames)] / np.float32(self.store.card.size_px) - 1
        cells = self.size_px >> self.size.generator.halvings
        return edges * np.float32(cells / (cells - 1)) if self.size.generator.motion.aligned else edges

    def _resized(self, pictures: Tensor) -> Tensor:
        if pictures.shape[-1] == self.size_px:
            return pictures.contiguous()
        size = (self.size_px, self.size_px)
        return functional.interpolate(pictures, size=size, mode="bilinear", antialias=True)


def head_angles(coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 70 or 73) -> yaw, pitch and roll (N, 3) in radians as keypoints are turned."""
    return np.asarray(coefficients[:, [YAW, PITCH, ROLL]] * HEAD_SIGNS, np.float32)


def resized_crop(windows: NDArray[np.float32], ratio: float) -> NDArray[np.float32]:
    """Windows (..., 73, 27) of a picture that is made ``ratio`` times as large: where its crop lies changes along.

    The crop's y counts upwards from the last row, see :mod:`sadtalker_ext.geometry.five_point_alignment`.
    """
    scale, x_px, y_px = np.moveaxis(windows[..., CROP, :], -2, 0)
    crop = np.stack((scale / ratio, x_px * ratio, (y_px + 1) * ratio - 1), axis=-2)
    return np.asarray(np.concatenate((windows[..., : CROP.start, :], crop), axis=-2), np.float32)


def mouth_box(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Box (left, top, right, bottom) in pixels of the mouth of landmarks (68, 2), a quarter of its width around it."""
    points = landmarks[MOUTH]
    margin = 0.25 * np.ptp(points[:, 0])
    return np.asarray(np.concatenate((points.min(axis=0) - margin, points.max(axis=0) + margin)), np.float32)


def judge(pairs: PicturePairs, draw: Callable[[dict[str, Tensor]], Tensor]) -> dict[str, float]:
    """On held-out pairs, in dB: ``psnr`` of the pictures that ``draw`` makes of a batch, ``psnr_unchanged`` of the
    source shown in their place, ``gain`` between them, and the same within the box of the mouth.
    """
    chosen, rows = pairs.held_out(), []
    for start in range(0, len(chosen), BATCH):
        batch = pairs.pairs(chosen[start : start + BATCH])
        parts = (draw(batch).float().cpu(), batch["source"], batch["driving"], batch["mouth"])
        rows += [_figures(*row) for row in zip(*parts, strict=True)]
    psnr, unchanged, mouth, mouth_unchanged = np.mean(rows, axis=0).tolist()
    return {
        "psnr": psnr,
        "psnr_unchanged": unchanged,
        "gain": psnr - unchanged,
        "mouth_psnr": mouth,
        "mouth_gain": mouth - mouth_unchanged,
    }


def origin(
    pairs: PicturePairs, figures: Mapping[str, float], recipe: str, plan: Plan, commit: str
) -> dict[str, str]:
    """What the header of a trained network says about where it comes from."""
    card = pairs.store.card
    return {
        "recipe": recipe,
        "plan": json.dumps(asdict(plan)),
        "size": pairs.size.name,
        "size_px": str(pairs.size_px),
        "coefficients": card.coefficients,
        "data": card.sources,
        "licence": card.licence,
        "commit": commit,
        "figures": json.dumps({name: round(value, 4) for name, value in figures.items()}),
    }


def _figures(ours: Tensor, source: Tensor, driving: Tensor, mouth: Tensor) -> tuple[float, float, float, float]:
    """PSNR of ours and of the source, whole and in the mouth's box."""
    a, b, wanted = (to_pixels(picture) for picture in (ours, source, driving))
    left, top, right, bottom = (int(value) for value in mouth.round().clamp(0, len(wanted)).tolist())
    box = (slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1)))
    return psnr_db(a, wanted), psnr_db(b, wanted), psnr_db(a[box], wanted[box]), psnr_db(b[box], wanted[box])
