"""The networks that find faces and people, on one device, with pictures in and arrays out.

Weights: :mod:`sadtalker_ext.weights.face_networks`. Each network is loaded when it is first used; all methods can be
called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch

from sadtalker_ext.arrays import Float32Array, Image
from sadtalker_ext.models.blaze_face import FaceAnchors
from sadtalker_ext.models.blaze_face_inference import FullRangeInference, ShortRangeInference
from sadtalker_ext.models.face_mesh_inference import FaceMeshInference
from sadtalker_ext.models.mouth_cover import mouth_features
from sadtalker_ext.system.reused_memory import reuse_freed_memory
from sadtalker_ext.system.torch_threads import one_torch_thread
from sadtalker_ext.weights.face_networks import (
    FACE_MESH,
    FULL_RANGE,
    PERSON_SEGMENTER,
    SHORT_RANGE,
    FaceNetwork,
    load_face_network,
    read_face_weights,
)
from sadtalker_ext.weights.mouth_cover import load_mouth_cover

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from sadtalker_ext.models.mouth_cover import MouthCoverNet

MAX_BATCH: Final = 8
"""Pictures per forward pass; more does not make a CPU faster."""
DETECTION_FLOOR: Final = 0.2
"""Smallest score of a detection, in [0, 1].

The mesh decides what is a face, so a low limit costs only time. Measured with limits of 0.2, 0.3, 0.4 and 0.5:
31 faces in 31 portraits with each; 109, 108, 107 and 106 in 100 news photographs, all of them real; no false face in
150 pictures without any; 1, 0.8, 0.7 and 0.65 times the time. Of faces cut by the border, 0.5 misses most.
"""
SAME_DETECTION_OVERLAP: Final = 0.3
"""Intersection over union from which two boxes show the same face."""
DETECTORS: Final = {"short": SHORT_RANGE, "full": FULL_RANGE}
CPU_FUNCTIONS: Final[dict[str, Callable[[Mapping[str, Any]], Any]]] = {
    SHORT_RANGE.name: ShortRangeInference,
    FULL_RANGE.name: FullRangeInference,
    FACE_MESH.name: FaceMeshInference,
}
"""What is used on a CPU instead of the modules: the same functions, made and computed faster."""
_OPENED: dict[tuple[str, Path | None], FaceNetworks] = {}
_OPENING: Final = threading.Lock()


class FaceNetworks:
    """Detection, landmarks and person segmentation on one device.

    mouth_cover: file of ``sadtalker train mouth_cover`` that replaces the shipped network.
    """

    def __init__(self, device: str = "cpu", mouth_cover: Path | None = None) -> None:
        reuse_freed_memory()
        self._device = torch.device(device)
        self._lock = threading.Lock()
        self._loaded: dict[str, Any] = {}
        self._anchors: dict[str, FaceAnchors] = {}
        self._cover_file = mouth_cover
        self._covers: MouthCoverNet | None = None

    @one_torch_thread()
    def load(self, *networks: FaceNetwork) -> None:
        """Load networks before they are used."""
        for network in networks:
            self._network(network)

    @one_torch_thread()
    def detect(self, pictures: Sequence[Image], reach: str) -> list[Float32Array]:
        """Return the detections (N, 17) of each RGB picture (H, W, 3), by falling score.

        reach: "short" for faces that fill a tenth of the picture or more, "full" for smaller ones. Columns: score,
        then left, top, width and height of the box and x, y of six key points (right eye, left eye, nose, mouth, right
        ear, left ear), as fractions of the picture's width and height.
        """
        network = self._network(DETECTORS[reach])
        side = network.side_px
        if reach not in self._anchors:
            self._anchors[reach] = FaceAnchors(side, network.grids).to(self._device)
        anchors = self._anchors[reach]
        found: list[Float32Array] = []
        for group in _groups(pictures):
            boxed, sizes = zip(*(_letterbox(picture, side) for picture in group), strict=True)
            with torch.inference_mode():
                scores, values = anchors(*network(self._to_tensor(np.stack(boxed)) * 2 - 1))
            rows = zip(scores.cpu().numpy(), values.cpu().numpy(), sizes, strict=True)
            found += [_decode(score, value, np.float32(side) / size) for score, value, size in rows]
        return found

    @one_torch_thread()
    def landmarks(self, crops: Sequence[Image]) -> tuple[Float32Array, Float32Array]:
        """Return meshes (N, 478, 3) in pixels of the crops, and the presence of a face (N,), log odds.

        crops: RGB (192, 192, 3), each filled by one upright face.
        """
        network = self._network(FACE_MESH)
        meshes, presence = [np.zeros((0, 478, 3), np.float32)], [np.zeros(0, np.float32)]
        for group in _groups(crops):
            with torch.inference_mode():
                mesh, score = network(self._to_tensor(np.stack(group)))
            meshes.append(mesh.cpu().numpy())
            presence.append(score.cpu().numpy())
        return np.concatenate(meshes), np.concatenate(presence)

    @one_torch_thread()
    def mouth_cover(self, crops: Sequence[Image]) -> Float32Array:
        """Return log odds (N,) that something covers a part of the mouth, of crops as for :meth:`landmarks`."""
        mesh = self._network(FACE_MESH)
        with self._lock:
            if self._covers is None:
                self._covers = load_mouth_cover(self._cover_file).to(self._device)
            covers = self._covers
        with torch.inference_mode():
            features, _ = mouth_features(mesh, self._to_tensor(np.stack(crops)))
            return np.asarray(covers(features)[1].cpu().numpy(), np.float32)

    @one_torch_thread()
    def segment(self, pictures: Sequence[Image]) -> Float32Array:
        """Return the masks (N, 256, 256) in [0, 1] of the people in RGB pictures (256, 256, 3)."""
        network = self._network(PERSON_SEGMENTER)
        masks = [np.zeros((0, 256, 256), np.float32)]
        for group in _groups(pictures):
            with torch.inference_mode():
                masks.append(network(self._to_tensor(np.stack(group))).cpu().numpy())
        return np.concatenate(masks)

    def _network(self, network: FaceNetwork) -> Any:  # noqa: ANN401 - a module, or its function for inference
        with self._lock:
            if network.name not in self._loaded:
                if self._device.type == "cpu" and network.name in CPU_FUNCTIONS:
                    self._loaded[network.name] = CPU_FUNCTIONS[network.name](read_face_weights(network))
                else:
                    module = load_face_network(network).to(self._device)
                    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                    self._loaded[network.name] = module
            return self._loaded[network.name]

    def _to_tensor(self, pictures: Image) -> Tensor:
        """Return uint8 (N, H, W, 3) as (N, 3, H, W) in [0, 1], in channels-last layout."""
        return torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2).float().div_(255.0)


def face_networks(device: str = "cpu", mouth_cover: Path | None = None) -> FaceNetworks:
    """Return the networks of this process on a device, such as "cpu" or "cuda:0"; always the same object.

    mouth_cover: as in :class:`FaceNetworks`.
    """
    with _OPENING:
        return _OPENED.setdefault((device, mouth_cover), FaceNetworks(device, mouth_cover))


def _groups(pictures: Sequence[Image]) -> Iterator[Sequence[Image]]:
    for start in range(0, len(pictures), MAX_BATCH):
        yield pictures[start : start + MAX_BATCH]


def _letterbox(picture: Image, side: int) -> tuple[Image, Float32Array]:
    """Return a picture scaled to fit the upper left corner of a black square, and its (width, height) there."""
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    square = np.zeros((side, side, 3), np.uint8)
    square[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=method)
    return square, np.asarray(size, np.float32)


def _decode(scores: Float32Array, values: Float32Array, scale: Float32Array) -> Float32Array:
    """Return detections (N, 17) in fractions of the picture from scores (A,) and values (A, 16) of the anchors.

    scale: side of the square divided by (width, height) of the picture in it.
    """
    chosen = scores >= DETECTION_FLOOR
    rows = values[chosen] * np.tile(scale, values.shape[1] // 2)
    rows[:, :2] -= rows[:, 2:4] / 2
    return _merge_detections(np.column_stack([scores[chosen], rows]).astype(np.float32))


def _merge_detections(rows: Float32Array) -> Float32Array:
    """Replace overlapping detections (N, 17) by their mean, weighted with the scores.

    Source: section 3.3 of the BlazeFace paper (blending instead of suppression).
    """
    rest = rows[np.argsort(-rows[:, 0], kind="stable")]
    merged = []
    while len(rest):
        same = _overlaps(rest[0, 1:5], rest[:, 1:5]) > SAME_DETECTION_OVERLAP
        same[0] = True
        mean = np.average(rest[same], axis=0, weights=rest[same, 0])
        mean[0] = rest[0, 0]
        merged.append(mean)
        rest = rest[~same]
    return np.asarray(merged, np.float32).reshape(-1, rows.shape[1])


def _overlaps(box: Float32Array, boxes: Float32Array) -> Float32Array:
    """Return the intersection over union of a box (4,) with boxes (N, 4): left, top, width, height."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    return np.asarray(common / (box[2:].prod() + boxes[:, 2:].prod(axis=1) - common + 1e-12), np.float32)
