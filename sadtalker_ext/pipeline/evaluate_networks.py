"""Measures of public networks: LSE-C and LSE-D (SyncNet), FID (Inception v3) and CSIM (ArcFace).

The user provides the files of the networks, see :mod:`sadtalker_ext.weights.measure_files`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from sadtalker_ext.errors import FaceError, FileRef
from sadtalker_ext.geometry.arcface_alignment import align_identity
from sadtalker_ext.metrics import image
from sadtalker_ext.metrics.report import Metric
from sadtalker_ext.pipeline.evaluate_lip_sync import lip_sync_metrics
from sadtalker_ext.weights.measure_files import ALL_FILES, CSIM, FID, LSE, LSE_FACES, require_measure_file
from sadtalker_ext.weights.measure_networks import LOADERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import torch
    from torch import nn

    from sadtalker_ext.arrays import Float32Array, Image
    from sadtalker_ext.models.s3fd import S3FD
    from sadtalker_ext.models.syncnet import SyncNet

BATCH: Final = 8
"""Pictures that a network reads at once."""
FID_PICTURES: Final = 2048
"""With fewer pictures than features the covariance of FID is singular, and FID is far too large."""


@dataclass
class PairFeatures:
    """Inception features of results and of their references, collected video by video."""

    results: list[Float32Array] = field(default_factory=list)
    references: list[Float32Array] = field(default_factory=list)

    def metrics(self) -> list[Metric]:
        """Return FID over all collected pictures, and their number."""
        result, reference = np.concatenate(self.results), np.concatenate(self.references)
        count = min(len(result), len(reference))
        distance = image.frechet_distance(result, reference) if count > 1 else None
        meaning = f"Frechet distance of Inception features (Heusel et al. 2017); comparable from {FID_PICTURES} frames"
        return [
            Metric("fid", distance, "", "lower", meaning),
            Metric("fid_frames", float(count), "", "", "frames of the smaller of the two sets that FID compares"),
        ]


@dataclass(frozen=True)
class MeasureNetworks:
    """The networks of the requested measures on a device, by the name of the measure. every: interval of the frames."""

    networks: Mapping[str, nn.Module]
    device: torch.device
    every: int

    def wants(self, measure: str) -> bool:
        """Whether a measure was requested."""
        return measure in self.networks

    def clip_metrics(self, path: Path, source: Path | None) -> list[Metric]:
        """Return LSE and CSIM of one video, if requested. source: picture or video of the same person."""
        metrics = []
        if self.wants(LSE.measure):
            syncnet = cast("SyncNet", self.networks[LSE.measure])
            detector = cast("S3FD | None", self.networks.get(LSE_FACES.measure))
            metrics += lip_sync_metrics(path, syncnet, self.device, detector)
        if self.wants(CSIM.measure) and source is not None:
            metrics.append(self._csim(path, source))
        return metrics

    def add_features(self, features: PairFeatures, path: Path, reference: Path) -> None:
        """Add the Inception features of a video and of its reference."""
        network = self.networks[FID.measure]
        for one, kept in ((path, features.results), (reference, features.references)):
            pictures = (picture.astype(np.float32) / 255 for picture in read_every(one, self.every))
            kept.append(network_features(network, pictures, self.device))

    def _csim(self, path: Path, source: Path) -> Metric:
        network = self.networks[CSIM.measure]
        vectors = network_features(network, map(_signed, _aligned_faces(path, self.every)), self.device)
        target = network_features(network, [_signed(_source_face(source))], self.device)
        similarity = image.mean_cosine(vectors, target[0])
        meaning = "mean cosine of ArcFace's identity vectors of the frames with that of the source picture"
        return Metric("csim", similarity, "", "higher", meaning)


def open_measures(
    wanted: Iterable[str], named: Mapping[str, Path | None], folders: Sequence[Path], device: torch.device, every: int
) -> MeasureNetworks:
    """Load the networks of the requested measures. named: files given for them, by measure.

    WeightsError if a file is missing or is another network.
    """
    chosen = set(wanted)
    entries = [entry for entry in ALL_FILES if entry.measure in chosen]
    paths = {entry.measure: require_measure_file(entry, folders, named.get(entry.measure)) for entry in entries}
    networks = {measure: LOADERS[measure](path).to(device) for measure, path in paths.items()}
    return MeasureNetworks(networks, device, every)


def network_features(
    network: nn.Module, pictures: Iterable[Float32Array], device: torch.device | str = "cpu"
) -> Float32Array:
    """Return the features (N, D) of pictures (H, W, 3) of one size, in the range that the network expects."""
    import torch

    rows = []
    with torch.inference_mode():
        for batch in _batches(pictures):
            values = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).to(device)
            rows.append(network(values).float().cpu().numpy())
    return np.concatenate(rows)


def read_every(path: Path, every: int) -> Iterator[Image]:
    """Yield the frames 0, ``every``, 2 ``every`` and so on of a video."""
    from sadtalker_ext.video.read import read_frames

    return (frame for index, frame in enumerate(read_frames(path)) if index % every == 0)


def _aligned_faces(path: Path, every: int) -> Iterator[Image]:
    """Yield the aligned face of each measured frame in which one is found; FaceError if there is none."""
    from sadtalker_ext.faces.find import FaceFollower

    follower, found = FaceFollower(), 0
    for frame in read_every(path, every):
        face = follower.update(frame)
        if face is not None:
            found += 1
            yield align_identity(frame, face.mesh)
    if found == 0:
        raise FaceError("No face was found in the ", FileRef("video", path), ", so CSIM cannot be measured")


def _source_face(source: Path) -> Image:
    """Return the aligned face of a picture, or of the first frame of a video."""
    from sadtalker_ext.pipeline.portrait import read_portrait
    from sadtalker_ext.settings import Settings

    portrait = read_portrait(source, Settings()).portrait
    return align_identity(portrait.picture, portrait.landmarks.mesh)


def _signed(picture: Image) -> Float32Array:
    """Return a picture with values from -1 to 1, the range of ArcFace's inputs."""
    return picture.astype(np.float32) / np.float32(127.5) - np.float32(1.0)


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
