"""FaceMesh: 478 landmarks of a face, with attention to lips, eyes and irises.

Source: Grishchenko et al., "Attention Mesh: High-fidelity Face Mesh Prediction in Real-time", 2020, and MediaPipe's
model "face_landmark_with_attention" (Apache-2.0), whose weights fit this class. A trunk predicts 468 points; three
crops of its features, around the lips and the eyes, go through networks of equal shape that refine the points there and
add the irises. These networks are computed side by side as groups of one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sadtalker_ext.models.blaze_blocks import BlazeBlock
from sadtalker_ext.models.face_mesh_regions import HEAD_POINTS, HEAD_REGIONS, IRIS_DEPTH, LEVEL_POINTS, REGIONS

SIDE_PX: Final = 192
MESH_POINTS: Final = 468
TRUNK_MOUTH_BLOCKS: Final = (4, 7)
LIP_BLOCK: Final = 4
"""Blocks of the trunk and of the network of the regions whose outputs are in :class:`MouthMaps`."""
_IRIS_POINTS: Final = 5
_FEATURE_SIDE: Final = 48
_CROP_SIDE: Final = 16
"""Side of a crop of the features, in its own pixels."""
_CROP_SCALE: Final = 1.5
"""Side of a crop relative to the extent of its points."""
_OUTSIDE: Final = -9.0
"""Normalised coordinate of a position outside the features, where grid_sample gives 0."""


class MouthMaps(NamedTuple):
    """Outputs of layers of FaceMesh around the mouth.

    lips_fine (N, 64, 8, 8), lips_coarse (N, 128, 4, 4): of the network of the lips, in their crop. trunk_fine
    (N, 64, 24, 24), trunk_coarse (N, 128, 12, 12): of the trunk. transforms (N, 2, 3): affine, from pixels of the crop
    of the lips to pixels of the features.
    """

    lips_fine: Tensor
    lips_coarse: Tensor
    trunk_fine: Tensor
    trunk_coarse: Tensor
    transforms: Tensor


class FaceMesh(nn.Module):
    """Landmarks of the face that fills a crop of 192 x 192 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2)
        self.stem_activation = nn.PReLU(16)
        self.shallow = nn.Sequential(_block(16, 16), _block(16, 16), _block(16, 32, 2))
        self.deep = nn.Sequential(
            _block(32, 32), _block(32, 32), _block(32, 64, 2), _block(64, 64), _block(64, 64), _block(64, 128, 2),
            _block(128, 128), _block(128, 128), *(_block(128, 128, 2 if i % 3 == 0 else 1) for i in range(6)),
        )  # fmt: skip
        self.reduce = nn.Conv2d(128, 32, 1)
        self.reduce_activation = nn.PReLU(32)
        self.head = _block(32, 32)
        self.mesh = nn.Conv2d(32, 3 * MESH_POINTS, 3)
        self.regions = RegionNetworks()
        self.presence = nn.Conv2d(32, 1, 3)
        self.attention = RegionCrops()

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return landmarks (N, 478, 3) in pixels of the crop and presence (N,), log odds that the crop shows a face.

        crops: (N, 3, 192, 192) in [0, 1]. Depth has the unit of x and y; smaller is closer to the camera.
        """
        features = self._features(crops)
        head = self._head(self.deep(features))
        mesh = self.mesh(head).reshape(-1, MESH_POINTS, 3)
        transforms = self.attention.transforms(mesh)
        refined = self.regions(self.attention.crop(features, transforms))
        return self.attention.merge(mesh, refined, transforms), self.presence(head).flatten()

    def mouth_maps(self, crops: Tensor) -> MouthMaps:
        """Return outputs of layers around the mouth of crops (N, 3, 192, 192) in [0, 1]."""
        features = self._features(crops)
        first, second = TRUNK_MOUTH_BLOCKS
        fine = self.deep[: first + 1](features)
        coarse = self.deep[first + 1 : second + 1](fine)
        mesh = self.mesh(self._head(self.deep[second + 1 :](coarse))).reshape(-1, MESH_POINTS, 3)
        transforms = self.attention.transforms(mesh)
        lips_fine = self.regions.shared[: LIP_BLOCK + 1](self.attention.crop(features, transforms))
        lips_coarse = self.regions.shared[LIP_BLOCK + 1 :](lips_fine)
        # The lips are the first of the regions.
        lips_fine, lips_coarse = (maps.chunk(len(REGIONS), 1)[0] for maps in (lips_fine, lips_coarse))
        return MouthMaps(lips_fine, lips_coarse, fine, coarse, transforms[:, 0])

    def _features(self, crops: Tensor) -> Tensor:
        features: Tensor = self.shallow(self.stem_activation(self.stem(F.pad(crops, (0, 1, 0, 1)))))
        return features

    def _head(self, deep: Tensor) -> Tensor:
        head: Tensor = self.head(self.reduce_activation(self.reduce(deep)))
        return head


class RegionNetworks(nn.Module):
    """The networks that refine lips, left eye and right eye, and the irises; "left" is the picture's left."""

    def __init__(self) -> None:
        super().__init__()
        count = len(REGIONS)
        self.shared = nn.Sequential(
            _block(32, 32, 1, count), _block(32, 32, 1, count), _block(32, 64, 2, count), _block(64, 64, 1, count),
            _block(64, 64, 1, count), _block(64, 128, 2, count),
        )  # fmt: skip
        heads = len(HEAD_POINTS)
        self.deep = nn.Sequential(*(_block(128, 128, 2 if i == 2 else 1, heads) for i in range(5)))
        self.reduce = nn.Conv2d(heads * 128, heads * 32, 1, groups=heads)
        self.reduce_activation = nn.PReLU(heads * 32)
        self.head = _block(32, 32, 1, heads)
        self.points = nn.ModuleList(nn.Conv2d(32, 2 * len(points), 2) for points in HEAD_POINTS)
        self.register_buffer("head_regions", torch.tensor(HEAD_REGIONS), persistent=False)

    head_regions: Tensor

    def forward(self, crops: Tensor) -> list[Tensor]:
        """Return the points (N, P, 2) of each head, in pixels of the crop of its region.

        crops: features (N, 3 * 32, 16, 16) of the regions.
        """
        shared = torch.unflatten(self.shared(crops), 1, (len(REGIONS), 128))
        deep = self.deep(shared.index_select(1, self.head_regions).flatten(1, 2))
        heads = self.head(self.reduce_activation(self.reduce(deep))).chunk(len(self.points), 1)
        return [head(x).reshape(len(x), -1, 2) for head, x in zip(self.points, heads, strict=True)]


class RegionCrops(nn.Module):
    """Geometry of the attention: crops of the features around points of the mesh, and points back in the mesh."""

    pixels: Tensor
    origin: Tensor
    corners: Tensor
    axes: Tensor
    positions: Tensor
    position_regions: Tensor
    iris_depth: Tensor

    def __init__(self) -> None:
        super().__init__()
        steps = torch.arange(_CROP_SIDE, dtype=torch.float32) + 0.5
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        self.register_buffer("pixels", torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3), persistent=False)
        left, right = zip(*LEVEL_POINTS, strict=True)
        longest = max(len(points) for points in REGIONS)
        padded = [point for points in REGIONS for point in (*points, *points[:1] * (longest - len(points)))]
        self.register_buffer("corners", torch.tensor([*left, *right, *padded]), persistent=False)
        # Pixel centres are at +0.5 in the transforms; grid_sample has -1 and 1 at the centres of the outer pixels.
        self.register_buffer("origin", torch.tensor([0.0, 0.0, 1 + 1 / (_FEATURE_SIDE - 1)]), persistent=False)
        self.register_buffer("axes", torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.0, -1.0, 1.0, 0.0]]), persistent=False)
        self.register_buffer("positions", torch.tensor([p for head in HEAD_POINTS for p in head]), persistent=False)
        regions = [region for head, region in zip(HEAD_POINTS, HEAD_REGIONS, strict=True) for _ in head]
        self.register_buffer("position_regions", torch.tensor(regions), persistent=False)
        self.register_buffer("iris_depth", torch.tensor(IRIS_DEPTH), persistent=False)

    def transforms(self, mesh: Tensor) -> Tensor:
        """Return the affine transforms (N, 3, 2, 3) from crop pixels to pixels of the features."""
        count, regions = len(mesh), len(REGIONS)
        points = mesh.index_select(1, self.corners)[..., :2] * (_FEATURE_SIDE / SIDE_PX)
        across = points[:, regions : 2 * regions] - points[:, :regions]
        axis = across / across.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        rotation = (axis @ self.axes).reshape(count, regions, 2, 2)
        outline = torch.unflatten(points[:, 2 * regions :], 1, (regions, -1))
        low, high = (outline @ rotation).aminmax(dim=2)
        size = high - low
        corner = torch.sub(low, size, alpha=(_CROP_SCALE - 1) / 2)
        linear = rotation * (size * (_CROP_SCALE / _CROP_SIDE))[:, :, None, :]
        return torch.cat([linear, rotation @ corner[..., None]], -1)

    def crop(self, features: Tensor, transforms: Tensor) -> Tensor:
        """Return the features (N, 3 * C, 16, 16) of the three regions, channels last; positions outside give 0."""
        count, last = len(features), _FEATURE_SIDE - 1
        grid = self.pixels @ (transforms * (2 / last) - self.origin).mT
        grid = grid.masked_fill_(grid.abs().amax(-1, keepdim=True) > 1, _OUTSIDE)
        grid = grid.reshape(count, -1, _CROP_SIDE, 2)
        cut = F.grid_sample(features, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        cut = torch.unflatten(cut, 2, (-1, _CROP_SIDE)).permute(0, 3, 4, 2, 1)
        return cut.reshape(count, _CROP_SIDE, _CROP_SIDE, -1).permute(0, 3, 1, 2)

    def merge(self, mesh: Tensor, refined: list[Tensor], transforms: Tensor) -> Tensor:
        """Return the mesh (N, 478, 3) with the points of the heads, whose depth is that of the trunk.

        The depth of an iris is the mean depth of the contour of its eye. The networks give points as four times the
        distance from the corner of the crop, in its pixels.
        """
        scale = SIDE_PX / _FEATURE_SIDE
        points, own = torch.cat(refined, 1), transforms.index_select(1, self.position_regions)
        placed = (own[..., :2] @ points[..., None])[..., 0] + scale * own[..., 2]
        full = F.pad(mesh, (0, 0, 0, 2 * _IRIS_POINTS))
        full[:, MESH_POINTS:, 2] = mesh[:, self.iris_depth, 2].mean(-1).repeat_interleave(_IRIS_POINTS, 1)
        full[:, self.positions, :2] = placed
        return full


def _block(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> BlazeBlock:
    return BlazeBlock(inputs, outputs, stride, groups, prelu=True)
