"""Coefficients, lip targets and lids of a clip: by FaceRecon or from landmarks, with Wav2Lip's or measured lips."""

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
from sadtalker_ext.puppet.basis import MOUTH_SHAPES, SHAPE_INDEX
from sadtalker_ext.training.clips.prepare_tracking import Follower
from sadtalker_ext.weights.packaged import BFM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.models.face_recon import FaceRecon
    from sadtalker_ext.models.wav2lip import Wav2Lip
    from sadtalker_ext.training.clips.prepare_clips import PreparePlan
    from sadtalker_ext.training.clips.puppet_fit import PuppetReader

    Floats = NDArray[np.float32]
    Picture = NDArray[np.uint8]

RECON_BATCH: Final = 16
RECON_SIZE_PX: Final = 256
"""Of the packaged file that FaceRecon is taken from; those of other sizes hold the same one."""
MOUTH: Final = tuple(SHAPE_INDEX[name] for name in MOUTH_SHAPES if name != "smile")
LIDS: Final = (SHAPE_INDEX["blink_left"], SHAPE_INDEX["blink_right"])


@dataclass(frozen=True)
class Shown:
    """What a clip shows. pictures: T of (S, S, 3). meshes: (T, 478, 3) pixels of the video. landmarks68: (T, 68, 2)
    pixels of the square. crop: (3,). mel: (M, 80).
    """

    pictures: list[Picture]
    meshes: Floats
    landmarks68: Floats
    crop: Floats
    mel: Floats


def read_motion(shown: Shown, reader: PuppetReader, plan: PreparePlan) -> tuple[Floats, Floats, Floats]:
    """Coefficients (T, 73), lip targets (T, 64) and lids (T,) of a clip."""
    puppet = reader.coefficients(shown.meshes, shown.crop)
    lids = puppet[:, LIDS].mean(axis=1)
    if plan.coefficients == BFM:
        network = _face_recon(plan.folders)
        found = reconstruct(network, shown.pictures, shown.landmarks68)
        if plan.wav2lip is None:
            return found, found[:, EXPRESSION], lids
        still = np.repeat(shown.landmarks68[:1], len(found), axis=0)
        return found, reconstruct(network, _spoken(shown, plan.wav2lip), still)[:, EXPRESSION], lids
    mouth = puppet if plan.wav2lip is None else _tracked(_spoken(shown, plan.wav2lip), reader, shown.crop)
    lips = np.repeat(puppet[:1, EXPRESSION], len(puppet), axis=0)
    lips[:, MOUTH] = mouth[:, MOUTH]
    return puppet, lips, lids


def reconstruct(network: FaceRecon, pictures: Iterable[Picture], landmarks68: Floats) -> Floats:
    """3DMM coefficients (T, 73) as the engine reads them of a portrait, frame by frame; landmarks68: (T, 68, 2)."""
    import torch

    from sadtalker_ext.engines.sadtalker.inference import source_tensor

    found, waiting = [], iter(zip(pictures, landmarks68, strict=True))
    while part := list(islice(waiting, RECON_BATCH)):
        side = len(part[0][0])
        transforms = [align_transform(flip_y(points, side), side, side) for _, points in part]
        aligned = [align_picture(picture, how) for (picture, _), how in zip(part, transforms, strict=True)]
        with torch.inference_mode():
            parts = network(torch.cat([source_tensor(face, len(face)) for face in aligned]))
            rows = torch.cat((parts.expression, parts.angle, parts.translation), dim=1).numpy()
        crop = np.array([(how.scale, how.x_px, how.y_px) for how in transforms], np.float32)
        found.append(np.concatenate((rows, crop), axis=1))
    coefficients: Floats = np.concatenate(found).astype(np.float32)
    return coefficients


def _spoken(shown: Shown, weights: Path) -> Iterator[Picture]:
    """The clip's first frame, made to say the clip's sound."""
    from sadtalker_ext.training.clips.lip_targets import spoken_frames

    network = _wav2lip(weights)
    return spoken_frames(network, shown.pictures[0], shown.landmarks68[0], shown.mel, len(shown.pictures))


def _tracked(pictures: Iterable[Picture], reader: PuppetReader, crop: Floats) -> Floats:
    """The puppet's coefficients (T, 73) of a face that is followed through pictures."""
    follower = Follower()
    meshes = [follower.look(number, picture)[0] for number, picture in enumerate(pictures)]
    seen = [mesh for mesh in meshes if mesh is not None]
    if len(seen) != len(meshes):
        raise FaceError(f"Wav2Lip left no face to be seen in {len(meshes) - len(seen)} of {len(meshes)} frames")
    return reader.coefficients(np.stack(seen), crop)


@lru_cache(maxsize=1)
def _face_recon(folders: tuple[Path, ...]) -> FaceRecon:
    from sadtalker_ext.weights.official import open_official

    return open_official(RECON_SIZE_PX, folders).face_recon().eval()


@lru_cache(maxsize=1)
def _wav2lip(path: Path) -> Wav2Lip:
    from sadtalker_ext.weights.external_networks import load_wav2lip

    return load_wav2lip(path).eval()
