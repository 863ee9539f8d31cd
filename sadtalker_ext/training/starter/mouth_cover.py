"""Recipe of MouthCoverNet: portraits with a free mouth, over which covers are drawn.

Every fifth portrait is left out of a first training, on which the report is measured; the shipped weights are then
trained on all of them.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.faces.face_crop import FaceCrop, ImagePyramid, crop_around_mesh
from sadtalker_ext.faces.find import find_faces
from sadtalker_ext.faces.mesh_provider import measure
from sadtalker_ext.faces.networks import face_networks
from sadtalker_ext.models.mouth_cover import MouthCoverConfig, MouthCoverNet, mouth_features
from sadtalker_ext.system.path_problems import make_folder, require_folder
from sadtalker_ext.training.core.json_files import write_json
from sadtalker_ext.training.starter.cover_examples import (
    Example,
    change_picture,
    cover_mouth,
    disguise,
    object_beside_mouth,
)
from sadtalker_ext.training.starter.covered_face import CoveredFace
from sadtalker_ext.video.picture import read_picture
from sadtalker_ext.weights.face_networks import FACE_MESH, load_face_network
from sadtalker_ext.weights.mouth_cover import save_mouth_cover

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from sadtalker_ext.arrays import Float32Array, Image
    from sadtalker_ext.models.face_mesh import FaceMesh

    Random = np.random.Generator

WEIGHTS_FILE: Final = "mouth_cover.safetensors"
REPORT_FILE: Final = "report.json"
PICTURE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".webp")
LEFT_OUT: Final = 5
LIMIT_PX: Final = 1024
"""Longest side to which pictures are reduced."""
FACE_PX: Final = (90.0, 190.0)
"""Range of the height to which faces are reduced."""
MARGIN: Final = 1.6
"""Part of the picture around the face that is used, in face heights to each side."""
FIRST_JITTER, JITTER = (0.03, 0.08, 0.06), (0.015, 0.05, 0.04)
"""Standard deviation of the shift (sides), range of the scale and of the rotation (rad) of the crops."""
AS_IT_IS, DISGUISED = 0.15, 0.5
"""Shares of the portraits that are used without any change, and with an unusual but free mouth; the others have an
object beside the mouth."""
BATCH: Final = 48
LEARNING_RATE: Final = 2e-3
WEIGHT_DECAY: Final = 1e-2
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class MouthCoverPlan:
    """rounds: times that each portrait is used. covers: covered pictures of it in a round. epochs: of training."""

    rounds: int = 2
    covers: int = 2
    epochs: int = 24


class Examples(NamedTuple):
    """features: (N, 512, 8, 8). maps: (N, 2, 8, 8) share that is covered. covered: (N,) 0 or 1. kinds: N names."""

    features: Tensor
    maps: Tensor
    covered: Tensor
    kinds: list[str]

    def join(self, other: Examples) -> Examples:
        """Return the examples of both."""
        features, maps = torch.cat([self.features, other.features]), torch.cat([self.maps, other.maps])
        return Examples(features, maps, torch.cat([self.covered, other.covered]), [*self.kinds, *other.kinds])


def train_mouth_cover(
    pictures: Sequence[Path], folder: Path, plan: MouthCoverPlan | None = None, commit: str = "unknown"
) -> Path:
    """Train MouthCoverNet on portraits; return the path of the weights in ``folder``.

    SettingsError if there are fewer than :data:`LEFT_OUT` pictures with a face.
    """
    plan, random = plan or MouthCoverPlan(), np.random.default_rng(0)
    faces = [face for path in pictures if (face := _read_face(path)) is not None]
    if len(faces) < LEFT_OUT:
        raise SettingsError(
            f"There are {len(faces)} pictures with a face among {len(pictures)}; use {LEFT_OUT} or more"
        )
    make_folder(folder)
    maker = ExampleMaker(load_face_network(FACE_MESH), random)  # type: ignore[arg-type]
    spare = faces[::LEFT_OUT]
    learned = [face for number, face in enumerate(faces) if number % LEFT_OUT]
    train, test = maker.make(learned, plan), maker.make(spare, plan)
    report = {"portraits": len(faces), **_measure(fit(train, plan), test)}
    network = fit(train.join(test), plan)
    write_json(folder / REPORT_FILE, report)
    origin = {"recipe": "mouth_cover", "commit": commit, "figures": json.dumps(report)}
    data = f"{len(faces)} portraits with drawn covers"
    save_mouth_cover(network, folder / WEIGHTS_FILE, {**origin, "data": data})
    return folder / WEIGHTS_FILE


@dataclass(frozen=True)
class ExampleMaker:
    """Makes examples with the features of FaceMesh."""

    network: FaceMesh
    random: Random

    def make(self, faces: Sequence[tuple[Image, Float32Array]], plan: MouthCoverPlan) -> Examples:
        """Return examples of these pictures with their meshes."""
        rows = []
        for turn in range(plan.rounds):
            for number, (picture, mesh) in enumerate(faces):
                reduced = _reduce(picture, mesh, self.random.uniform(*FACE_PX))
                rows += [self._features(example, reduced[1]) for example in self._examples(*reduced, plan)]
                if number % 50 == 0:
                    _LOG.info("round %d of %d, portrait %d of %d", turn + 1, plan.rounds, number + 1, len(faces))
        features, maps, covered, kinds = zip(*rows, strict=True)
        return Examples(torch.cat(features), torch.stack(maps), torch.tensor(covered), list(kinds))

    def _examples(self, picture: Image, mesh: Float32Array, plan: MouthCoverPlan) -> Iterator[Example]:
        face, random = CoveredFace.measure(picture, mesh), self.random
        free = Example(picture, None, "free", 0.0)
        kind = random.random()
        if kind < AS_IT_IS:
            yield free
        elif kind < AS_IT_IS + DISGUISED:
            yield self._changed(disguise(face, random))
        elif (beside := object_beside_mouth(face, random)) is not None:
            yield self._changed(beside)
        yield self._changed(free)
        for _ in range(plan.covers):
            if (covered := cover_mouth(face, random)) is not None:
                yield self._changed(covered)

    def _changed(self, example: Example) -> Example:
        return example._replace(picture=change_picture(example.picture, self.random))

    @torch.inference_mode()
    def _features(self, example: Example, mesh: Float32Array) -> tuple[Tensor, Tensor, float, str]:
        pyramid = ImagePyramid(example.picture)
        first = self._jitter(crop_around_mesh(mesh), FIRST_JITTER)
        meshes, _ = measure(face_networks(), [(pyramid, first)])
        crop = self._jitter(crop_around_mesh(meshes[0]), JITTER)
        features, positions = mouth_features(self.network, _tensor(pyramid.cut(crop)))
        maps = torch.zeros(positions.shape[1:4])
        if example.cover is not None:
            levels = np.repeat((example.cover * 255).astype(np.uint8)[..., None], 3, axis=2)
            share = F.avg_pool2d(_tensor(ImagePyramid(levels).cut(crop))[:, :1], 6)
            maps = torch.cat([F.grid_sample(share, at, align_corners=False)[0] for at in positions.unbind(1)])
        return features, maps, float(example.covered > 0), example.kind

    def _jitter(self, crop: FaceCrop, jitter: tuple[float, float, float]) -> FaceCrop:
        shift, scale, turn = jitter
        moved = (self.random.normal(0, shift), self.random.normal(0, shift))
        flip = bool(self.random.random() < 0.5) and jitter is JITTER
        return crop.jittered(moved, 1 + self.random.uniform(-scale, scale), self.random.normal(0, turn), flip)


def fit(examples: Examples, plan: MouthCoverPlan) -> MouthCoverNet:
    """Return a network that is trained on the maps and the labels; covered and free mouths weigh the same."""
    torch.manual_seed(0)
    network = MouthCoverNet(MouthCoverConfig())
    mean = examples.features.mean((0, 2, 3), keepdim=True)
    scale = examples.features.std((0, 2, 3), keepdim=True) + 1e-2
    features, covered = (examples.features - mean) / scale, examples.covered
    weight = (1 - covered.mean()) / covered.mean()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = plan.epochs * -(-len(features) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + 1)
    for _ in range(plan.epochs):
        for batch in torch.randperm(len(features)).split(BATCH):  # type: ignore[no-untyped-call]
            maps, logits = network(features[batch])
            loss = F.binary_cross_entropy_with_logits(maps, examples.maps[batch])
            loss = loss + F.binary_cross_entropy_with_logits(logits, covered[batch], pos_weight=weight)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        network.mix.bias -= (network.mix.weight * (mean / scale)).sum((1, 2, 3))  # type: ignore[operator]
        network.mix.weight /= scale
    return network.eval()


def picture_files(folders: Sequence[Path]) -> list[Path]:
    """Return the pictures in the folders, in a fixed order; MediaError if there are none."""
    for folder in folders:
        require_folder(folder, "use folders of portraits")
    found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURE_ENDINGS]
    if not found:
        places = ", ".join(map(str, folders))
        raise MediaError(f"There are no pictures ({', '.join(PICTURE_ENDINGS)}) in {places}; use folders of portraits")
    return found


def _measure(network: MouthCoverNet, test: Examples) -> dict[str, float]:
    """Return the share of covers that is found at the limits that 1 % and 3 % of the free mouths exceed."""
    with torch.inference_mode():
        logits = network(test.features)[1].numpy()
    covered = test.covered.numpy() > 0
    free = logits[~covered]
    found = {false: (logits[covered] > np.quantile(free, 1 - false / 100)).mean() for false in (1, 3)}
    return {f"covers_found_at_{false}_percent": round(float(share), 3) for false, share in found.items()}


def _read_face(path: Path) -> tuple[Image, Float32Array] | None:
    """Return the picture around its largest face and the mesh there, or None without a face."""
    try:
        picture = read_picture(path, LIMIT_PX).pixels
    except MediaError as error:
        _LOG.warning("%s is not used: %s", path.name, error)
        return None
    faces = find_faces(picture)
    if not faces:
        return None
    mesh = max(faces, key=lambda face: face.box.height).mesh
    reach = MARGIN * float(np.linalg.norm(mesh[152, :2] - mesh[10, :2]))
    low = np.maximum(mesh[:468, :2].mean(axis=0) - reach, 0).astype(int)
    high = (mesh[:468, :2].mean(axis=0) + reach).astype(int)
    return np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]]), mesh - np.array([*low, 0], np.float32)


def _reduce(picture: Image, mesh: Float32Array, height_px: float) -> tuple[Image, Float32Array]:
    factor = min(1.0, height_px / float(np.linalg.norm(mesh[152, :2] - mesh[10, :2])))
    if factor == 1.0:
        return picture, mesh
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), mesh * np.float32(factor)


def _tensor(crop: Image) -> Tensor:
    return torch.from_numpy(crop[None]).permute(0, 3, 1, 2).float() / 255
