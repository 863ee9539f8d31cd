"""Face landmarks, face boxes and the 68-point subset of the mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array

MESH_POINTS = 478
"""Points of the attention mesh (Grishchenko et al., 2020): 468 on the face and 5 on each iris."""
FACE_POINTS = 468
"""The points before the irises."""

FACE_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""Mesh points of the face outline, clockwise in the picture from the top of the forehead."""

LIPS: Final = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375,
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324,
)  # fmt: skip
"""Mesh points on the outer and the inner edges of the lips."""

SUBSET_68: Final = (
    # 0-16 jaw line in about equal steps, from the subject's right temple over the chin to the left
    127, 234, 132, 58, 172, 136, 149, 176, 152, 400, 378, 365, 397, 288, 361, 454, 356,
    # 17-21 and 22-26 brows, from the picture's left to its right
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    # 27-30 bridge of the nose downwards, 31-35 below the nostrils
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    # 36-41 the subject's right eye, 42-47 the left: corner, two of the upper lid, corner, two of the lower lid
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    # 48-59 outer lips from the subject's right corner along the upper lip; 60-67 inner lips likewise
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""Mesh points of the 68 points of the 300-W (iBUG) markup, in its order."""


class FaceBox(NamedTuple):
    """A face box in pixels of the picture: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of one face.

    mesh: (478, 3) float32. Columns 0 and 1 are x (right) and y (down) in pixels of the picture, where (0, 0) is the
        corner of the picture and (0.5, 0.5) the centre of its first pixel (OpenCV uses (0, 0) for that centre); column
        2 is depth in the same unit, smaller is closer to the camera, 0 near the middle of the head (MediaPipe's
        convention). The order is that of MediaPipe's attention mesh; 468:473 is the iris of the subject's right eye,
        473:478 of the left.
    box: the bounding box of the face oval.
    provider: name of the model that found the face ("face-mesh", "face-alignment", "box").
    lip_spread: standard deviation of the lip points over the measurements whose mean the mesh is, in face heights; None
        if it was measured once, or may be no human face.
    """

    mesh: Float32Array
    box: FaceBox
    provider: str
    lip_spread: float | None = None

    @classmethod
    def from_mesh(cls, mesh: Float32Array, provider: str, lip_spread: float | None = None) -> Landmarks:
        """Return landmarks with the mesh (478, 3) and the box of its oval."""
        return cls(mesh.astype("float32"), oval_box(mesh), provider, lip_spread)


def oval_box(mesh: Float32Array) -> FaceBox:
    """Return the bounding box of the face oval of a mesh (478, 2 or 3)."""
    oval = mesh[list(FACE_OVAL), :2]
    left, top = oval.min(axis=0)
    right, bottom = oval.max(axis=0)
    return FaceBox(float(left), float(top), float(right - left), float(bottom - top))


def subset_68(mesh: Float32Array) -> Float32Array:
    """Return the 68 points (68, 2) of the 300-W markup of a mesh (478, 2 or 3), in the unit of the mesh."""
    return mesh[list(SUBSET_68), :2]


def outside_share(face: Landmarks, width: int, height: int) -> float:
    """Return the fraction of the mesh points, 0 to 1, that are outside a picture of this size."""
    x, y = face.mesh[:FACE_POINTS, 0], face.mesh[:FACE_POINTS, 1]
    return float(((x < 0) | (y < 0) | (x > width) | (y > height)).mean())


def common_area(first: FaceBox, second: FaceBox) -> float:
    """Return the area of the intersection of two boxes."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    return max(0.0, width) * max(0.0, height)


def overlap(first: FaceBox, second: FaceBox) -> float:
    """Return the intersection over union of two boxes, 0 to 1."""
    common = common_area(first, second)
    union = first.width * first.height + second.width * second.height - common
    return common / union if union > 0 else 0.0
