"""The function of :class:`sadtalker_ext.models.face_mesh.FaceMesh` for inference on a CPU.

On one core, the landmarks of one picture take 0.7 times as long as with the module, those of eight 0.4 times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from sadtalker_ext.models.blaze_inference import InferenceBlock, LayerWeights, MatrixLayer, MatrixSum, convolution
from sadtalker_ext.models.face_mesh import LIP_BLOCK, MESH_POINTS, TRUNK_MOUTH_BLOCKS, MouthMaps, RegionCrops
from sadtalker_ext.models.face_mesh_regions import HEAD_POINTS, HEAD_REGIONS, REGIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class FaceMeshInference:
    """Landmarks of the face that fills a crop.

    weights: the state dict of a FaceMesh in any floating-point type; its tensors are copied.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        layers = LayerWeights(weights)
        self._stem = convolution(layers.part("stem"), 2)
        self._stem_slope = layers.vector("stem_activation.weight")
        self._shallow = _blocks(layers, "shallow")
        # The features are needed again after the first block.
        self._deep = _blocks(layers, "deep", (-2, 3))
        self._deep[0] = InferenceBlock(layers.part("deep.0"))
        self._reduce = MatrixLayer(layers.part("reduce"))
        self._reduce_slope = layers.vector("reduce_activation.weight")
        self._head = InferenceBlock(layers.part("head"), overwrite=True, side_px=3)
        self._mesh, self._presence = MatrixLayer(layers.part("mesh")), MatrixLayer(layers.part("presence"))
        self._regions = _RegionInference(layers.part("regions"))
        self._attention = RegionCrops()

    def __call__(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return landmarks (N, 478, 3) and presence (N,) of crops (N, 3, 192, 192), as the module does."""
        features = self._features(crops.permute(0, 2, 3, 1))
        head = self._head_rows(_apply(self._deep, features))
        mesh = self._mesh(head).view(-1, MESH_POINTS, 3)
        transforms = self._attention.transforms(mesh)
        cut = self._attention.crop(features.permute(0, 3, 1, 2), transforms)
        refined = self._regions(cut.permute(0, 2, 3, 1))
        return self._attention.merge(mesh, refined, transforms), self._presence(head).view(-1)

    def mouth_maps(self, crops: Tensor) -> MouthMaps:
        """Return outputs of layers for crops (N, 3, 192, 192), as the module does."""
        features = self._features(crops.permute(0, 2, 3, 1))
        first, second = TRUNK_MOUTH_BLOCKS
        fine = _apply(self._deep[: first + 1], features)
        # The following blocks may overwrite their inputs.
        coarse = _apply(self._deep[first + 1 : second + 1], fine.clone())
        mesh = self._mesh(self._head_rows(_apply(self._deep[second + 1 :], coarse.clone())))
        transforms = self._attention.transforms(mesh.view(-1, MESH_POINTS, 3))
        cut = self._attention.crop(features.permute(0, 3, 1, 2), transforms).permute(0, 2, 3, 1)
        maps = [*self._regions.lip_maps(cut), fine, coarse]
        lips_fine, lips_coarse, fine, coarse = (x.permute(0, 3, 1, 2) for x in maps)
        return MouthMaps(lips_fine, lips_coarse, fine, coarse, transforms[:, 0])

    def _head_rows(self, x: Tensor) -> Tensor:
        """Return the values (N, C) from which mesh and presence follow, from the result of the trunk."""
        rows = torch.prelu(self._reduce(x.reshape(-1, x.shape[3])), self._reduce_slope)
        return self._head(rows.view(*x.shape[:3], -1)).view(len(x), -1)

    def _features(self, crops: Tensor) -> Tensor:
        """Return the features (N, 48, 48, 32) of crops (N, 192, 192, 3).

        Crop by crop, because the maps of several do not fit in the cache of a core: that would take up to ten times as
        long.
        """
        found = []
        for crop in torch.split(crops, 1):
            stem = self._stem(F.pad(crop, (0, 0, 0, 1, 0, 1)))
            x = torch.prelu(stem.permute(0, 3, 1, 2), self._stem_slope).permute(0, 2, 3, 1)
            found.append(_apply(self._shallow, x))
        return found[0] if len(found) == 1 else torch.cat(found)


class _RegionInference:
    """The function of :class:`RegionNetworks`."""

    def __init__(self, layers: LayerWeights) -> None:
        self._shared = _blocks(layers, "shared")
        self._deep = _blocks(layers, "deep", (-2, 2))
        self._head_regions = torch.tensor(HEAD_REGIONS)
        self._reduce = MatrixSum(layers.part("reduce"), len(HEAD_POINTS))
        self._slope = layers.vector("reduce_activation.weight")
        self._head = InferenceBlock(layers.part("head"), overwrite=True, side_px=2)
        self._points = [MatrixLayer(layer) for layer in layers.blocks("points", "weight")]

    def lip_maps(self, crops: Tensor) -> list[Tensor]:
        """Return two maps (N, H, W, C) of the network of the lips, the first of the regions."""
        fine = _apply(self._shared[: LIP_BLOCK + 1], crops)
        lips = fine.chunk(len(REGIONS), 3)[0].clone()
        return [lips, _apply(self._shared[LIP_BLOCK + 1 :], fine).chunk(len(REGIONS), 3)[0]]

    def __call__(self, crops: Tensor) -> list[Tensor]:
        """Return the points (N, P, 2) of each head from features (N, 16, 16, 3 * 32), which may be overwritten."""
        shared = torch.unflatten(_apply(self._shared, crops), 3, (len(REGIONS), -1))
        x = _apply(self._deep, shared.index_select(3, self._head_regions).flatten(3))
        count, height, width, channels = x.shape
        rows = torch.prelu(self._reduce(x.view(-1, channels)), self._slope)
        heads = torch.unflatten(self._head(rows.view(count, height, width, -1)), 3, (len(self._points), -1))
        return [layer(heads[:, :, :, i].reshape(count, -1)).view(count, -1, 2) for i, layer in enumerate(self._points)]


def _blocks(layers: LayerWeights, name: str, small: tuple[int, int] | None = None) -> list[InferenceBlock]:
    """Return the functions of a sequence of blocks, which may overwrite their inputs.

    small: number of the first block with very small maps, and their side in pixels.
    """
    parts = layers.blocks(name, "depthwise.weight")
    sides: list[int | None] = [None] * len(parts)
    if small is not None:
        start, side_px = small
        sides[start:] = [side_px] * len(sides[start:])
    return [InferenceBlock(part, overwrite=True, side_px=side) for part, side in zip(parts, sides, strict=True)]


def _apply(blocks: list[InferenceBlock], x: Tensor) -> Tensor:
    for block in blocks:
        x = block(x)
    return x
