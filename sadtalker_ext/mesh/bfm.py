"""The Basel Face Model of Deep3DFaceRecon: its file, and the mesh of a portrait from 3DMM coefficients.

Source: Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (2019), and the layout of
``BFM_model_front.mat`` that its public code reads. The file belongs to the University of Basel and is not shipped; a
user who has it puts it into a checkpoint folder. Axes of the model: x to the viewer's right, y up, z to the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.errors import FileRef, WeightsError
from sadtalker_ext.mesh.animation import MeshAnimation, shortest_way
from sadtalker_ext.mesh.atlas import pack_tiles, portrait_tile
from sadtalker_ext.mesh.face_mesh import FACE_HEIGHT_M, FaceMesh, MeshGroup, vertex_normals
from sadtalker_ext.mesh.holes import hole_caps
from sadtalker_ext.mesh.parts import Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Image

BFM_NAME: Final = "BFM_model_front.mat"
_FOLDERS: Final = ("", "BFM", "BFM_Fitting")
"""Where the public codes keep the file, below a checkpoint folder."""
IDENTITIES, EXPRESSIONS = 80, 64
"""Columns of both bases."""
_TABLES: Final = ("meanshape", "idBase", "exBase", "tri")
_LARGEST_BYTES: Final = 1 << 30
"""Largest file that is read; the public one has 127 MB."""
FACE_HEIGHT_UNITS: Final = 1.9
"""Height of the mean face, hairline to chin, in units of the model."""
_LEAST_HEIGHT_UNITS, _LARGEST_HEIGHT_UNITS = 1.0, 4.0
"""Heights of all vertices of the model, with or without the neck; other units are those of other files."""
_LARGEST_MOVE_UNITS: Final = 10.0
"""Largest travel of a vertex per unit of a coefficient."""
_METRE: Final = FACE_HEIGHT_M / FACE_HEIGHT_UNITS
_FOCAL_PX, _CENTRE_PX, _CAMERA_DISTANCE = 1015.0, 112.0, 10.0
"""Camera of the reconstruction in the aligned picture of 224 pixels; the distance is in units of the model."""
_LAST_ROW: Final = 223.0
_CAVITY_RGB: Final = (58, 30, 30)
"""Colour of the closed mouth, which the model leaves open."""
_REMEDY: Final = "replace it by the file of that name, or remove it to use the mesh of the portrait"
EXPRESSION, ANGLES, TRANSLATION = slice(0, 64), slice(64, 67), slice(67, 70)
"""Columns of a row of coefficients."""


@dataclass(frozen=True)
class FaceModel:
    """The model, in its own units.

    mean: (N, 3). identity: (N, 3, 80). expression: (N, 3, 64). triangles: (M, 3), counterclockwise for the viewer.
    """

    mean: Float64Array
    identity: Float32Array
    expression: Float32Array
    triangles: NDArray[np.int64]


@dataclass(frozen=True)
class ModelMotion:
    """Coefficients of a video, and where the portrait is.

    identity: (80,). source: (70,) of the portrait: expression 64, angles 3 in radians, translation 3. rows: (T, 70) of
    the video. picture: (H, W, 3) RGB. scale, shift: (2,) each; pixel of the picture = scale * aligned pixel + shift.
    """

    identity: Float32Array
    source: Float32Array
    rows: Float32Array
    picture: Image
    scale: Float64Array
    shift: Float64Array


def find_bfm(folders: Sequence[Path]) -> Path | None:
    """Return the file of the model in one of the checkpoint folders, or None."""
    places = (folder / below / BFM_NAME for folder in folders for below in _FOLDERS)
    return next((path for path in places if path.is_file()), None)


def read_bfm(path: Path) -> FaceModel:
    """Return the model of a MATLAB file; WeightsError if it is not complete and consistent."""
    tables = _read_tables(path)
    mean = _numbers(path, tables, "meanshape").reshape(-1)
    count = len(mean) // 3
    if count == 0 or len(mean) % 3:
        raise _refused(path, f"its meanshape has {len(mean)} values, not three for each vertex")
    shape = mean.reshape(count, 3)
    height = float(np.ptp(shape[:, 1]))
    if not _LEAST_HEIGHT_UNITS <= height <= _LARGEST_HEIGHT_UNITS:
        raise _refused(path, f"its meanshape is {height:.3g} units high, not about {FACE_HEIGHT_UNITS:.0f}")
    identity = _basis(path, tables, "idBase", (3 * count, IDENTITIES))
    expression = _basis(path, tables, "exBase", (3 * count, EXPRESSIONS))
    return FaceModel(shape - shape.mean(axis=0), identity, expression, _triangles(path, tables, shape))


def _basis(path: Path, tables: dict[str, Any], name: str, size: tuple[int, int]) -> Float32Array:
    basis = _numbers(path, tables, name)
    if basis.shape != size:
        raise _refused(path, f"its {name} is {basis.shape}, not {size}")
    if (largest := float(np.abs(basis).max())) > _LARGEST_MOVE_UNITS:
        raise _refused(path, f"its {name} has values up to {largest:.3g}, which move vertices away from the face")
    return basis.reshape(-1, 3, size[1]).astype(np.float32)


def _triangles(path: Path, tables: dict[str, Any], shape: Float64Array) -> NDArray[np.int64]:
    """Return the triangles from 0, counterclockwise for the viewer; in the file they are numbered from 1."""
    table = _numbers(path, tables, "tri")
    if table.ndim != 2 or table.shape[1] != 3 or not len(table):
        raise _refused(path, f"its tri is {table.shape}, not three corners for each triangle")
    if table.min() < 1 or table.max() > len(shape) or (table % 1).any():
        raise _refused(path, f"its tri names vertices other than 1 to {len(shape)}")
    faces = table.astype(np.int64) - 1
    a, b, c = (shape[faces[:, corner]] for corner in range(3))
    front = float(np.median(np.cross(b - a, c - a)[:, 2])) >= 0.0
    return np.ascontiguousarray(faces if front else faces[:, ::-1])


def _read_tables(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if path.stat().st_size > _LARGEST_BYTES:
        raise _refused(path, f"it is larger than {_LARGEST_BYTES >> 20} MB")
    try:
        tables: dict[str, Any] = loadmat(str(path), variable_names=_TABLES)
    except (OSError, ValueError, NotImplementedError, TypeError, MemoryError, MatReadError) as e:
        raise WeightsError("The ", FileRef("file", path), f" is not a MATLAB file of version 5 ({e}); {_REMEDY}") from e
    return tables


def _numbers(path: Path, tables: dict[str, Any], name: str) -> Float64Array:
    """Return a table of finite numbers."""
    table = tables.get(name)
    if not isinstance(table, np.ndarray) or table.dtype.kind not in "fiu":
        raise _refused(path, f"it has no numbers named {name}")
    numbers: Float64Array = table.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise _refused(path, f"its {name} has values that are not finite")
    return numbers


def _refused(path: Path, reason: str) -> WeightsError:
    return WeightsError(
        "The ", FileRef("file", path), f" is not the Basel Face Model of Deep3DFaceRecon: {reason}; {_REMEDY}"
    )


def model_shape(model: FaceModel, identity: Float32Array, expression: Float32Array) -> Float64Array:
    """Return the vertices (N, 3) for identity (80,) and expression (64,), in units of the model."""
    moved = model.identity @ identity.astype(np.float64) + model.expression @ expression.astype(np.float64)
    shape: Float64Array = model.mean + moved
    return shape


def rotation_of(angles: Float64Array) -> Float64Array:
    """Return the matrix (3, 3) of pitch, yaw and roll in radians: about z after y after x."""
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]])
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_z = np.array([[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]])
    matrix: Float64Array = about_z @ about_y @ about_x
    return matrix


def project(points: Float64Array, row: Float64Array) -> Float64Array:
    """Return the pixels (N, 2) of the aligned picture for vertices (N, 3) in the pose of a row (70,)."""
    posed = points @ rotation_of(row[ANGLES]).T + row[TRANSLATION]
    scale = _FOCAL_PX / (_CAMERA_DISTANCE - posed[:, 2])
    x, y = posed[:, 0] * scale + _CENTRE_PX, posed[:, 1] * scale + _CENTRE_PX
    pixels: Float64Array = np.stack([x, _LAST_ROW - y], axis=1)
    return pixels


def model_mesh(model: FaceModel, motion: ModelMotion) -> FaceMesh:
    """Return the mesh of a portrait without expression; each expression coefficient is a morph target."""
    source = motion.source.astype(np.float64)
    neutral = model_shape(model, motion.identity, np.zeros(EXPRESSIONS, np.float32))
    speaking = model_shape(model, motion.identity, motion.source[EXPRESSION])
    pixels = motion.scale * project(speaking, source) + motion.shift
    cap = hole_caps(neutral, model.triangles)
    tile = portrait_tile(motion.picture, pixels, None)
    texture, tile_uv = pack_tiles({"portrait": tile, "mouth": Tile(np.full((8, 8, 3), _CAVITY_RGB, np.uint8))})
    dark = np.full((len(cap.points), 2), 3.5)
    uv = np.concatenate([tile_uv("portrait", tile.texels(pixels)), tile_uv("mouth", dark)])
    positions = np.concatenate([neutral, cap.points]) * _METRE
    triangles = np.concatenate([model.triangles, cap.triangles + len(neutral)])
    moved = np.moveaxis(model.expression, 2, 0) * np.float32(_METRE)
    targets = np.concatenate([moved, moved[:, cap.follows] * cap.shares[None, :, None]], axis=1)
    return FaceMesh(
        positions=positions.astype(np.float32),
        normals=vertex_normals(positions, triangles).astype(np.float32),
        uv=uv,
        triangles=triangles,
        texture=texture,
        targets=np.ascontiguousarray(targets, np.float32),
        target_normals=None,
        names=tuple(f"expression_{index:02d}" for index in range(EXPRESSIONS)),
        parts={"skin": slice(0, len(neutral)), "mouth": slice(len(neutral), len(positions))},
        groups=(MeshGroup("Face", slice(0, len(positions)), tuple(range(EXPRESSIONS))),),
    )


def model_animation(motion: ModelMotion, rate_hz: float) -> MeshAnimation:
    """Return the motion of the mesh; the head is where it is in the portrait at its own translation."""
    rows = motion.rows.astype(np.float64)
    half = 0.5 * rows[:, ANGLES]
    (sx, sy, sz), (cx, cy, cz) = np.sin(half).T, np.cos(half).T
    turned = np.stack(
        [
            sx * cy * cz - cx * sy * sz,
            cx * sy * cz + sx * cy * sz,
            cx * cy * sz - sx * sy * cz,
            cx * cy * cz + sx * sy * sz,
        ],
        axis=1,
    )
    shift = (rows[:, TRANSLATION] - motion.source[TRANSLATION]) * _METRE
    weights = np.ascontiguousarray(motion.rows[:, EXPRESSION], np.float32)
    return MeshAnimation(weights, shortest_way(turned), shift.astype(np.float32), rate_hz)
