"""The rig: everything the puppet knows about one portrait before it moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.backdrop import fill_background, person_mask, soft_matte
from sadtalker_ext.puppet.expression_fields import build_fields
from sadtalker_ext.puppet.eyes import Eye
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.head import build_head
from sadtalker_ext.puppet.mouth import build_mouth, refine_seam
from sadtalker_ext.puppet.warp import Grid, cover

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.puppet.face_geometry import FaceGeometry
    from sadtalker_ext.puppet.head import Head
    from sadtalker_ext.puppet.imaging import Imaging, Texture
    from sadtalker_ext.puppet.mouth import Mouth

    Array32 = NDArray[np.float32]
    Picture = NDArray[np.uint8]

STAGE_NODES: Final = 96
"""Cells along the longer side of the region that can move."""
FACE_NODES: Final = 104
"""Cells along the longer side of the face box, on which expression fields are kept."""


@dataclass(frozen=True)
class Rig:
    """stage: the region of the picture that can move at all; everything outside is the picture itself.

    fields: (J, 2 layers, rows, columns, 2) float32 pixels on face_grid. matte: (rows, columns) float32 on the stage's
    nodes, how much a pixel belongs to the moving person. backdrop: the picture with the person filled in.
    """

    picture: Picture
    texture: Texture
    face: FaceGeometry
    face_grid: Grid
    fields: Array32
    head: Head
    stage: Grid
    matte: Array32
    backdrop: Picture
    mouth: Mouth
    left_eye: Eye
    right_eye: Eye
    outline: Array32


def build_rig(picture: Picture, mesh: Array32, person: Array32 | None, imaging: Imaging) -> Rig:
    """Prepare a portrait: picture (H, W, 3) RGB, mesh (478, 3) pixels, person (H, W) in [0, 1] or None."""
    height, width = picture.shape[:2]
    face = refine_seam(picture, measure_face(mesh))
    unit = face.height_px
    centre = mesh[list(topo.FACE_OVAL), :2].astype(np.float64).mean(0)
    face_grid = cover(_box(centre, face.axes.down, unit, (0.78, 0.85, 1.05)), FACE_NODES)
    fields = np.ascontiguousarray(build_fields(face, face_grid.nodes().astype(np.float64)).swapaxes(0, 1), np.float32)
    stage = cover(_clip(_box(centre, face.axes.down, unit, (2.1, 2.2, 1.25)), width, height), STAGE_NODES)
    head = build_head(face, mesh, stage.widened(2))
    if person is None:
        matte, backdrop = np.ones((stage.rows + 2, stage.columns + 2), np.float32), picture
    else:
        matte, backdrop = _separate(picture, person, mesh, unit, stage)
    return Rig(
        picture=picture,
        texture=imaging.texture(picture),
        face=face,
        face_grid=face_grid,
        fields=fields,
        head=head,
        stage=stage,
        matte=matte,
        backdrop=backdrop,
        mouth=build_mouth(picture, face, imaging),
        left_eye=Eye(face.left_eye, picture, imaging),
        right_eye=Eye(face.right_eye, picture, imaging),
        outline=_mouth_outline(face),
    )


def _box(
    centre: NDArray[np.float64], down: NDArray[np.float64], unit: float, reach: tuple[float, float, float]
) -> tuple[float, float, float, float]:
    """Upright box around a face that may lean: reach sideways, up and down, in face heights."""
    side, up, below = (value * unit for value in reach)
    across = np.array([-down[1], down[0]])
    corners = np.array([centre + a * across + b * down for a in (-side, side) for b in (-up, below)])
    low, high = corners.min(0), corners.max(0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _clip(box: tuple[float, float, float, float], width: int, height: int) -> tuple[float, float, float, float]:
    return max(box[0], 0.0), max(box[1], 0.0), min(box[2], width - 1.0), min(box[3], height - 1.0)


def _separate(picture: Picture, person: Array32, mesh: Array32, unit: float, stage: Grid) -> tuple[Array32, Picture]:
    """Matte on the stage's nodes (one margin cell) and the filled background of the stage."""
    mask = person_mask(person, mesh, unit)
    matte = soft_matte(mask, unit)
    nodes = stage.nodes(margin=1)
    columns = np.clip(np.rint(nodes[..., 0]), 0, picture.shape[1] - 1).astype(np.int64)
    rows = np.clip(np.rint(nodes[..., 1]), 0, picture.shape[0] - 1).astype(np.int64)
    pad = stage.cell * 12
    top, left = max(stage.y0 - pad, 0), max(stage.x0 - pad, 0)
    window = (slice(top, stage.y0 + stage.height + pad), slice(left, stage.x0 + stage.width + pad))
    backdrop = picture.copy()
    backdrop[window] = fill_background(picture[window], mask[window])
    return matte[rows, columns], backdrop


def _mouth_outline(face: FaceGeometry) -> Array32:
    """Points around the inner edges of the lips, in pixels, that bound the mouth box: (N, 1, 2)."""
    mouth = face.mouth
    t = np.linspace(-1.12 * mouth.left_px, 1.12 * mouth.right_px, 13)
    rows = [
        (t, mouth.upper(t) - 0.03 * face.height_px),
        (t, mouth.lower(t) + 0.03 * face.height_px),
    ]
    points = [mouth.axes.origin + a[:, None] * mouth.axes.along + b[:, None] * mouth.axes.down for a, b in rows]
    outline: Array32 = np.concatenate(points)[:, None, :].astype(np.float32)
    return outline
