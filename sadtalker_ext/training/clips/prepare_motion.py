"""Coefficients, lip targets and eyelid closure of a clip.

Coefficients are measured by FaceRecon or from landmarks; lip targets are measured directly or in frames rendered by
Wav2Lip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.coefficients import EXPRESSION
from sadtalker_ext.errors import FaceError
from sadtalker_ext.geometry.five_point_alignment import align_picture, align_transform, flip_y
from sadtalker_ext.training.clips.prepare_tracking import FaceTracker
from sadtalker_ext.training.clips.shape_columns import BLINK_COLUMNS, MOUTH_COLUMNS
from sadtalker_ext.weights.packaged import BFM

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Frame
    from sadtalker_ext.models.face_recon import FaceRecon
    from sadtalker_ext.models.wav2lip import Wav2Lip
    from sadtalker_ext.training.clips.prepare_plan import PreparePlan
    from sadtalker_ext.training.clips.puppet_fit import PuppetFitter

FACE_RECON_BATCH: Final = 16
FACE_RECON_SIZE_PX: Final = 256
"""Size of the packaged file that FaceRecon is loaded from; the file of size 512 has the same network."""


@dataclass(frozen=True)
class ClipData:
    """Tracked content of a clip.

    images: T frames (S, S, 3). meshes: (T, 478, 3) in pixels of the video. landmarks68: (T, 68, 2) in pixels of the
    clip. crop: (3,) crop values of the coefficients. mel: (M, 80) at 80 Hz.
    """

    images: list[Frame]
    meshes: Float32Array
    landmarks68: Float32Array
    crop: Float32Array
    mel: Float32Array


def measure_motion(
    clip: ClipData, fitter: PuppetFitter, plan: PreparePlan
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return coefficients (T, 73), lip targets (T, 64) and eyelid closure (T,) in [0, 1]."""
    puppet = fitter.measure_coefficients(clip.meshes, clip.crop)
    lids = puppet[:, BLINK_COLUMNS].mean(axis=1)
    if plan.coefficients == BFM:
        network = _load_face_recon(plan.folders)
        measured = reconstruct(network, clip.images, clip.landmarks68)
        if plan.wav2lip is None:
            return measured, measured[:, EXPRESSION], lids
        still = np.repeat(clip.landmarks68[:1], len(measured), axis=0)
        return measured, reconstruct(network, _render_lips(clip, plan.wav2lip), still)[:, EXPRESSION], lids
    mouth = puppet if plan.wav2lip is None else _track_coefficients(_render_lips(clip, plan.wav2lip), fitter, clip.crop)
    lips = np.repeat(puppet[:1, EXPRESSION], len(puppet), axis=0)
    lips[:, MOUTH_COLUMNS] = mouth[:, MOUTH_COLUMNS]
    return puppet, lips, lids


def reconstruct(network: FaceRecon, images: Iterable[Frame], landmarks68: Float32Array) -> Float32Array:
    """Return 3DMM coefficients (T, 73), measured in each frame as the SadTalker engine measures a portrait.

    images: T frames (S, S, 3). landmarks68: (T, 68, 2) in pixels of the frames.
    """
    import torch

    from sadtalker_ext.engines.sadtalker.inference import source_tensor

    rows, remaining = [], iter(zip(images, landmarks68, strict=True))
    while part := list(islice(remaining, FACE_RECON_BATCH)):
        side = len(part[0][0])
        transforms = [align_transform(flip_y(points, side), side, side) for _, points in part]
        aligned = [align_picture(image, transform) for (image, _), transform in zip(part, transforms, strict=True)]
        with torch.inference_mode():
            parts = network(torch.cat([source_tensor(face, len(face)) for face in aligned]))
            motion = torch.cat((parts.expression, parts.angle, parts.translation), dim=1).numpy()
        crop = np.array([(transform.scale, transform.x_px, transform.y_px) for transform in transforms], np.float32)
        rows.append(np.concatenate((motion, crop), axis=1))
    coefficients: Float32Array = np.concatenate(rows).astype(np.float32)
    return coefficients


def _render_lips(clip: ClipData, weights: Path) -> Iterator[Frame]:
    """Yield the first frame of the clip with lips animated by the sound of the clip."""
    from sadtalker_ext.training.clips.lip_targets import render_lip_frames

    network = _load_wav2lip(weights)
    return render_lip_frames(network, clip.images[0], clip.landmarks68[0], clip.mel, len(clip.images))


def _track_coefficients(images: Iterable[Frame], fitter: PuppetFitter, crop: Float32Array) -> Float32Array:
    """Return the puppet coefficients (T, 73) of a face that is tracked through images."""
    tracker = FaceTracker()
    meshes = [tracker.update(number, image)[0] for number, image in enumerate(images)]
    found = [mesh for mesh in meshes if mesh is not None]
    if len(found) != len(meshes):
        missing = len(meshes) - len(found)
        raise FaceError(f"No face was found in {missing} of {len(meshes)} frames that Wav2Lip rendered.")
    return fitter.measure_coefficients(np.stack(found), crop)


@lru_cache(maxsize=1)
def _load_face_recon(folders: tuple[Path, ...]) -> FaceRecon:
    from sadtalker_ext.weights.official import open_official

    return open_official(FACE_RECON_SIZE_PX, folders).face_recon().eval()


@lru_cache(maxsize=1)
def _load_wav2lip(path: Path) -> Wav2Lip:
    from sadtalker_ext.weights.external_networks import load_wav2lip

    return load_wav2lip(path).eval()
