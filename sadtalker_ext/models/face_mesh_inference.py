"""The function of :class:`sadtalker_ext.models.face_mesh.FaceMesh` for inference on a CPU.

On one core, the landmarks of one picture take 0.7 times as long as with the module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from sadtalker_ext.models.blaze_inference import InferenceBlock, MatrixLayer, packed_convolution
from sadtalker_ext.models.face_mesh import MESH_POINTS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sadtalker_ext.models.face_mesh import FaceMesh, RegionNetworks


class FaceMeshInference:
    """Landmarks of the face that fills a crop; weights and buffers are those of ``network`` when it is made."""

    def __init__(self, network: FaceMesh) -> None:
        self._stem = packed_convolution(network.stem)
        self._stem_slope = network.stem_activation.weight.detach().clone()
        self._shallow = _blocks(network.shallow)
        # The features are needed again after the first block.
        self._deep = _blocks(network.deep, (-2, 3))
        self._deep[0] = InferenceBlock(network.deep[0])  # type: ignore[arg-type]
        self._reduce = MatrixLayer(network.reduce)
        self._reduce_slope = network.reduce_activation.weight.detach().clone()
        self._head = InferenceBlock(network.head, overwrite=True, side_px=3)
        self._mesh, self._presence = MatrixLayer(network.mesh), MatrixLayer(network.presence)
        self._regions = _RegionInference(network.regions)
        self._attention = network.attention

    def __call__(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return landmarks (N, 478, 3) and presence (N,) of crops (N, 3, 192, 192), as the module does."""
        x = F.pad(crops.permute(0, 2, 3, 1), (0, 0, 0, 1, 0, 1))
        x = torch.prelu(self._stem(x).permute(0, 3, 1, 2), self._stem_slope).permute(0, 2, 3, 1)
        features = _apply(self._shallow, x)
        x = _apply(self._deep, features)
        rows = torch.prelu(self._reduce(x.reshape(-1, x.shape[3])), self._reduce_slope)
        head = self._head(rows.view(*x.shape[:3], -1)).view(len(x), -1)
        mesh = self._mesh(head).view(-1, MESH_POINTS, 3)
        transforms = self._attention.transforms(mesh)
        cut = self._attention.crop(features.permute(0, 3, 1, 2), transforms)
        refined = self._regions(cut.permute(0, 2, 3, 1))
        return self._attention.merge(mesh, refined, transforms), self._presence(head).view(-1)


class _RegionInference:
    """The function of :class:`RegionNetworks`."""

    def __init__(self, network: RegionNetworks) -> None:
        self._shared = _blocks(network.shared)
        self._deep = _blocks(network.deep, (-2, 2))
        self._head_regions = network.head_regions
        self._reduce, self._slope = MatrixLayer(network.reduce), network.reduce_activation.weight.detach().clone()
        self._head = InferenceBlock(network.head, overwrite=True, side_px=2)
        self._points = [MatrixLayer(layer) for layer in network.points]  # type: ignore[arg-type]

    def __call__(self, crops: Tensor) -> list[Tensor]:
        """Return the points (N, P, 2) of each head from features (N, 16, 16, 3 * 32), which may be overwritten."""
        shared = torch.unflatten(_apply(self._shared, crops), 3, (-1, self._shared_channels))
        x = _apply(self._deep, shared.index_select(3, self._head_regions).flatten(3))
        count, height, width, channels = x.shape
        rows = torch.prelu(self._reduce(x.view(-1, channels)), self._slope)
        heads = torch.unflatten(self._head(rows.view(count, height, width, -1)), 3, (len(self._points), -1))
        return [layer(heads[:, :, :, i].reshape(count, -1)).view(count, -1, 2) for i, layer in enumerate(self._points)]

    @property
    def _shared_channels(self) -> int:
        return self._deep[0].inputs


def _blocks(sequence: nn.Sequential, small: tuple[int, int] | None = None) -> list[InferenceBlock]:
    """Return the functions of blocks. small: number of the first block with very small maps, and their side in pixels.

    They may overwrite their inputs.
    """
    sides: list[int | None] = [None] * len(sequence)
    if small is not None:
        start, side_px = small
        sides[start:] = [side_px] * len(sides[start:])
    pairs = zip(sequence, sides, strict=True)
    return [InferenceBlock(block, overwrite=True, side_px=side) for block, side in pairs]  # type: ignore[arg-type]


def _apply(blocks: list[InferenceBlock], x: Tensor) -> Tensor:
    for block in blocks:
        x = block(x)
    return x
