"""Writer of binary glTF 2.0 files (.glb): a mesh with morph targets, its texture, and the animation.

Source: Khronos glTF 2.0 specification, chapters 3 (concepts) and 4 (GLB). All sizes are known before the first byte, so
the file is written in one pass. The only extension is KHR_materials_unlit: the light on the face is that of the
portrait; programs that do not know the extension light the face themselves.
"""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image as PillowImage

from sadtalker_ext import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Image
    from sadtalker_ext.mesh.animation import MeshAnimation
    from sadtalker_ext.mesh.face_mesh import FaceMesh, MeshGroup

_MAGIC: Final = 0x46546C67
_VERSION: Final = 2
_JSON_CHUNK: Final = 0x4E4F534A
_BINARY_CHUNK: Final = 0x004E4942
_ALIGNMENT: Final = 4
_FLOAT: Final = 5126
_UINT16: Final = 5123
_UINT32: Final = 5125
_VERTICES: Final = 34962
_INDICES: Final = 34963
_LINEAR: Final = 9729
_LINEAR_MIPMAP: Final = 9987
_CLAMP: Final = 33071
"""Constants of the formats glTF and GLB."""
_TYPES: Final = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
_JPEG_QUALITY: Final = 92
_ROUGHNESS: Final = 0.9
"""Roughness of the skin where a program ignores the extension."""
_LARGEST_FILE: Final = 0xFFFFFFFF
"""Bytes; the sizes in a GLB file have 32 bits."""
UNLIT: Final = "KHR_materials_unlit"
ROOT_NAME, HEAD_NAME, ANIMATION_NAME = "TalkingHead", "Head", "Speech"
_HEAD: Final = 1
"""Index of the node that turns; those of the groups follow."""
_HEADER_BYTES, _CHUNK_BYTES = 12, 8


@dataclass
class _Binary:
    """The binary chunk, and the JSON lists that describe it."""

    blocks: list[bytes] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0

    def add_view(self, content: bytes, target: int | None = None) -> int:
        """Append bytes and return the index of their view."""
        view = {"buffer": 0, "byteOffset": self.size, "byteLength": len(content)}
        self.views.append(view if target is None else {**view, "target": target})
        padded = content + bytes(-len(content) % _ALIGNMENT)
        self.blocks.append(padded)
        self.size += len(padded)
        return len(self.views) - 1

    def add_floats(self, values: NDArray[np.float32], target: int | None = None, *, bounds: bool = False) -> int:
        """Append values (N,) or (N, C) and return the index of their accessor; bounds: whether to state the range."""
        values = np.ascontiguousarray(values, "<f4")
        width = 1 if values.ndim == 1 else values.shape[1]
        accessor: dict[str, Any] = {
            "bufferView": self.add_view(values.tobytes(), target), "componentType": _FLOAT, "count": len(values),
            "type": _TYPES[width],
        }  # fmt: skip
        if bounds:
            rows = values.reshape(len(values), width)
            accessor |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_indices(self, indices: NDArray[np.int64]) -> int:
        """Append the corners of triangles and return the index of their accessor."""
        small = int(indices.max()) < 0xFFFF
        content = np.ascontiguousarray(indices.ravel(), "<u2" if small else "<u4").tobytes()
        self.accessors.append(
            {
                "bufferView": self.add_view(content, _INDICES), "componentType": _UINT16 if small else _UINT32,
                "count": int(indices.size), "type": "SCALAR",
            }
        )  # fmt: skip
        return len(self.accessors) - 1


def write_glb(file: IO[bytes], mesh: FaceMesh, animation: MeshAnimation, extras: dict[str, Any]) -> None:
    """Write a mesh and its animation to an open file; extras: JSON values that the scene carries along."""
    binary = _Binary()
    groups = range(len(mesh.groups))
    objects = [{"name": group.name, "mesh": index} for index, group in enumerate(mesh.groups)]
    document = {
        "asset": {"version": "2.0", "generator": f"sadtalker_ext {__version__}"},
        "extensionsUsed": [UNLIT],
        "scene": 0,
        "scenes": [{"name": ROOT_NAME, "nodes": [0], "extras": extras}],
        "nodes": [
            {"name": ROOT_NAME, "children": [_HEAD]},
            {"name": HEAD_NAME, "children": [_HEAD + 1 + index for index in groups]},
            *objects,
        ],
        "meshes": [_mesh(binary, mesh, group) for group in mesh.groups],
        "materials": [_material()],
        "samplers": [{"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP, "wrapS": _CLAMP, "wrapT": _CLAMP}],
        "textures": [{"sampler": 0, "source": 0}],
        "images": [
            {"name": "Portrait", "mimeType": "image/jpeg", "bufferView": binary.add_view(encode_jpeg(mesh.texture))}
        ],
        "animations": [_animation(binary, mesh, animation)],
    }
    document |= {
        "buffers": [{"byteLength": binary.size}], "bufferViews": binary.views, "accessors": binary.accessors,
    }  # fmt: skip
    _write_chunks(file, document, binary)


def _write_chunks(file: IO[bytes], document: dict[str, Any], binary: _Binary) -> None:
    text = _padded_json(document)
    total = _HEADER_BYTES + 2 * _CHUNK_BYTES + len(text) + binary.size
    if total > _LARGEST_FILE:
        raise ValueError(f"a GLB file has at most {_LARGEST_FILE} bytes, not {total}")
    file.write(struct.pack("<III", _MAGIC, _VERSION, total))
    file.write(struct.pack("<II", len(text), _JSON_CHUNK) + text)
    file.write(struct.pack("<II", binary.size, _BINARY_CHUNK))
    for block in binary.blocks:
        file.write(block)


def write_turned(source: Path, target: Path) -> None:
    """Write a copy of a file of :func:`write_glb` whose root node is turned by 180 degrees about the vertical axis.

    Viewers that place their camera on the negative z axis, as Gradio's does, show its front.
    """
    with source.open("rb") as file, target.open("wb") as copy:
        file.seek(_HEADER_BYTES)
        size, _ = struct.unpack("<II", file.read(_CHUNK_BYTES))
        document = json.loads(file.read(size))
        document["nodes"][0]["rotation"] = [0.0, 1.0, 0.0, 0.0]
        text, rest = _padded_json(document), file.read()
        total = _HEADER_BYTES + _CHUNK_BYTES + len(text) + len(rest)
        copy.write(struct.pack("<III", _MAGIC, _VERSION, total))
        copy.write(struct.pack("<II", len(text), _JSON_CHUNK) + text + rest)


def _padded_json(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    return text + b" " * (-len(text) % _ALIGNMENT)


def _mesh(binary: _Binary, mesh: FaceMesh, group: MeshGroup) -> dict[str, Any]:
    """Return the JSON of one group; its triangles are those whose corners are among its vertices.

    The targets have no normals of their own: in unlit material they are not needed, and attributes are few.
    """
    vertices = group.vertices
    inside = (mesh.triangles[:, 0] >= vertices.start) & (mesh.triangles[:, 0] < vertices.stop)
    attributes = {
        "POSITION": binary.add_floats(mesh.positions[vertices], _VERTICES, bounds=True),
        "NORMAL": binary.add_floats(mesh.normals[vertices], _VERTICES),
        "TEXCOORD_0": binary.add_floats(mesh.uv[vertices], _VERTICES),
    }
    targets = [
        {"POSITION": binary.add_floats(mesh.targets[index, vertices], _VERTICES, bounds=True)}
        for index in group.targets
    ]
    indices = binary.add_indices(mesh.triangles[inside] - vertices.start)
    primitive = {"attributes": attributes, "indices": indices, "material": 0, "targets": targets}
    names = [mesh.names[index] for index in group.targets]
    return {"name": group.name, "primitives": [primitive], "weights": [0.0] * len(names),
            "extras": {"targetNames": names}}  # fmt: skip


def _material() -> dict[str, Any]:
    surface = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": _ROUGHNESS}
    return {"name": "Portrait", "pbrMetallicRoughness": surface, "extensions": {UNLIT: {}}}


def _animation(binary: _Binary, mesh: FaceMesh, animation: MeshAnimation) -> dict[str, Any]:
    times_s = (np.arange(len(animation)) / animation.rate_hz).astype(np.float32)
    at = binary.add_floats(times_s, bounds=True)
    tracks = [
        (_HEAD, "rotation", binary.add_floats(animation.rotations)),
        (_HEAD, "translation", binary.add_floats(animation.translations)),
    ]
    for index, group in enumerate(mesh.groups):
        weights = animation.weights[:, list(group.targets)]
        tracks.append((_HEAD + 1 + index, "weights", binary.add_floats(weights.reshape(-1))))
    samplers = [{"input": at, "output": output, "interpolation": "LINEAR"} for _, _, output in tracks]
    channels = [
        {"sampler": index, "target": {"node": node, "path": path}} for index, (node, path, _) in enumerate(tracks)
    ]
    return {"name": ANIMATION_NAME, "channels": channels, "samplers": samplers}


def encode_jpeg(picture: Image) -> bytes:
    """Return the JPEG file of a picture (H, W, 3) RGB, with colours at full resolution."""
    buffer = io.BytesIO()
    PillowImage.fromarray(picture).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
