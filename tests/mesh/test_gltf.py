"""The GLB file, read back by pygltflib, and checked by Khronos' validator where it is installed."""

import io
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pygltflib
import pytest
from PIL import Image
from puppet_portraits import shape
from scipy.spatial.transform import Rotation

from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.mesh.animation import animate_mesh, head_quaternions
from sadtalker_ext.mesh.face_mesh import FACE_HEIGHT_M
from sadtalker_ext.mesh.gltf import UNLIT, write_glb, write_turned
from sadtalker_ext.mesh.skin import below_mouth, skin_points
from sadtalker_ext.mesh.targets import LEFT_OUT
from sadtalker_ext.mesh.topology import LOWER_LIP, SKIN_VERTICES
from sadtalker_ext.metrics.sync import mouth_opening
from sadtalker_ext.puppet.basis import SHAPE_INDEX
from sadtalker_ext.puppet.head import rotation_matrix

FRAMES = 30
DTYPES = {5126: "<f4", 5123: "<u2", 5125: "<u4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
WEBGL_ATTRIBUTES = 16
OPPOSITE = (("spread", "narrow"), ("smile", "frown"), ("look_left", "look_right"), ("look_up", "look_down"))
TUCK = SHAPE_INDEX["lip_tuck"]
TO_PICTURE = np.diag([1.0, -1.0, -1.0])


@pytest.fixture(scope="module")
def motion():
    rng = np.random.default_rng(5)
    at = np.linspace(0.0, 4.0 * np.pi, FRAMES)
    rows = [
        shape(jaw_open=0.4 * (1 - np.cos(a)), lips_closed=max(np.sin(2 * a), 0.0), pucker=rng.uniform(0, 0.6),
              lower_lip_drop=rng.uniform(0, 0.3), lip_tuck=max(rng.uniform(-0.6, 0.4), 0.0), brows_up=rng.uniform(0, 1),
              mouth_neutral=1.0, gaze_x=np.sin(a), gaze_y=np.cos(a))
        for a in at
    ]  # fmt: skip
    turns = 0.3 * np.stack([np.sin(at), np.cos(at), np.sin(2 * at)], axis=1)
    return Motion(np.array(rows), turns.astype(np.float32), 0.1 * turns[:, ::-1].astype(np.float32))


@pytest.fixture(scope="module")
def content(face_mesh, renderer, motion):
    buffer = io.BytesIO()
    write_glb(buffer, face_mesh, animate_mesh(renderer.rig, motion, 25.0), {"audio": "voice.wav"})
    return buffer.getvalue()


@pytest.fixture(scope="module")
def document(content):
    return pygltflib.GLTF2.load_from_bytes(content)


def read(document, index):
    """The values of an accessor: (N,) or (N, C)."""
    accessor = document.accessors[index]
    view = document.bufferViews[accessor.bufferView]
    width = WIDTHS[accessor.type]
    values = np.frombuffer(document.binary_blob(), DTYPES[accessor.componentType], accessor.count * width,
                           view.byteOffset + (accessor.byteOffset or 0))  # fmt: skip
    return values.reshape(accessor.count, width) if width > 1 else values


def animation_of(document):
    (animation,) = document.animations
    tracks = {}
    for channel in animation.channels:
        sampler = animation.samplers[channel.sampler]
        tracks[document.nodes[channel.target.node].name, channel.target.path] = read(document, sampler.output)
        tracks["times"] = read(document, sampler.input)
    return tracks


def posed(document, frame, part="Face"):
    """Vertices of a frame (N, 3) in metres: morph targets, then the pose of the node."""
    (mesh,) = [mesh for mesh in document.meshes if mesh.name == part]
    (primitive,) = mesh.primitives
    tracks = animation_of(document)
    weights = tracks[part, "weights"].reshape(FRAMES, -1)[frame].astype(np.float64)
    positions = read(document, primitive.attributes.POSITION).astype(np.float64)
    for weight, target in zip(weights, primitive.targets, strict=True):
        positions = positions + weight * read(document, target["POSITION"])
    turn = Rotation.from_quat(tracks["Head", "rotation"][frame])
    return turn.apply(positions) + tracks["Head", "translation"][frame]


def test_header_and_chunks(content):
    magic, version, total = struct.unpack_from("<4sII", content)
    length, kind = struct.unpack_from("<I4s", content, 12)
    assert (magic, version, total, kind) == (b"glTF", 2, len(content), b"JSON")
    rest, binary = struct.unpack_from("<I4s", content, 20 + length)
    assert binary == b"BIN\0"
    assert 28 + length + rest == len(content)
    assert json.loads(content[20 : 20 + length])["extensionsUsed"] == [UNLIT]


def test_every_frame_is_where_the_renderer_puts_the_landmarks(document, renderer, landmarks, motion):
    """Morph targets and pose from the file, against the renderer's skin motion and head rotation."""
    rig = renderer.rig
    at_rest = skin_points(landmarks, rig.face)
    below, still = below_mouth(at_rest, rig.face), np.zeros(3, np.float32)
    metres = FACE_HEIGHT_M / rig.face.height_px
    for frame in range(0, FRAMES, 3):
        turn = TO_PICTURE @ rotation_matrix(motion.rotation[frame].astype(np.float64)) @ TO_PICTURE
        shift = motion.translation[frame] * [1.0, -1.0, 1.0] * FACE_HEIGHT_M
        unposed = (posed(document, frame)[:SKIN_VERTICES] - shift) @ turn
        expected = renderer.place_points(
            at_rest[:, :2].astype(np.float32), below, (motion.expression[frame], still, still)
        )
        found = rig.head.pivot[:2] + unposed[:, :2] / metres * [1.0, -1.0]
        error = np.abs(found - expected).max(axis=1) / rig.face.height_px
        error[[vertex for row in LOWER_LIP[2:] for vertex in row]] *= motion.expression[frame, TUCK] == 0.0
        assert error.max() < 1e-4


def test_lips_open_as_commanded(document, motion):
    positions = [posed(document, frame) for frame in range(FRAMES)]
    gaps = [np.linalg.norm(points[14] - points[13]) for points in positions]
    assert np.corrcoef(gaps, mouth_opening(motion.expression))[0, 1] >= 0.97


def test_eyes_follow_the_gaze_and_the_head(document, face_mesh, renderer, motion):
    """All vertices of the file are those of the mesh, in both objects."""
    from sadtalker_ext.mesh.targets import target_weights

    weights = target_weights(renderer.rig, motion.expression)
    for part, group in zip(("Face", "Eyes"), face_mesh.groups, strict=True):
        frame = FRAMES // 2
        tracks = animation_of(document)
        turn = Rotation.from_quat(tracks["Head", "rotation"][frame])
        expected = turn.apply(face_mesh.morphed(weights[frame])) + tracks["Head", "translation"][frame]
        assert np.abs(posed(document, frame, part) - expected[group.vertices]).max() < 1e-6


def test_times_are_the_frames(document):
    assert np.allclose(animation_of(document)["times"], np.arange(FRAMES) / 25.0)


def test_targets_have_names(document):
    face, eyes = document.meshes
    assert face.extras["targetNames"][:3] == ["jaw_open", "lower_lip_drop", "upper_lip_raise"]
    assert eyes.extras["targetNames"] == [
        "blink_left",
        "blink_right",
        "look_left",
        "look_right",
        "look_down",
        "look_up",
    ]
    for mesh in document.meshes:
        (primitive,) = mesh.primitives
        assert len(mesh.extras["targetNames"]) == len(mesh.weights) == len(primitive.targets)
        optional = {name for names in LEFT_OUT for name in names}  # left out of more than 13
        names = [name for name in mesh.extras["targetNames"] if name not in optional]
        at_once = len(names) - sum(name in names for pair in OPPOSITE for name in pair[:1])
        assert 3 + at_once <= WEBGL_ATTRIBUTES


def test_texture_is_the_picture(document, face_mesh):
    image = document.images[0]
    view = document.bufferViews[image.bufferView]
    blob = document.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    with Image.open(io.BytesIO(blob)) as picture:
        assert picture.format == "JPEG"
        found = np.asarray(picture, float)
    assert found.shape == face_mesh.texture.shape
    assert np.abs(found - face_mesh.texture).mean() < 3.0


def test_ranges_are_stated(document):
    for index, accessor in enumerate(document.accessors):
        if accessor.min:
            values = read(document, index)
            assert np.array_equal(np.atleast_1d(values.min(axis=0)), np.float32(accessor.min))
            assert np.array_equal(np.atleast_1d(values.max(axis=0)), np.float32(accessor.max))


def test_quaternions_turn_as_the_renderer_does():
    angles = np.random.default_rng(1).uniform(-1.0, 1.0, (40, 3))
    found = Rotation.from_quat(head_quaternions(angles)).as_matrix()
    expected = [TO_PICTURE @ rotation_matrix(angle) @ TO_PICTURE for angle in angles]
    assert np.abs(found - expected).max() < 1e-6


def test_neighbouring_quaternions_are_near():
    turns = np.stack([np.zeros(400), np.linspace(-7.0, 7.0, 400), np.zeros(400)], axis=1)
    quaternions = head_quaternions(turns)
    assert ((quaternions[1:] * quaternions[:-1]).sum(axis=1) > 0.99).all()


def test_turned_copy_differs_only_in_its_root(content, tmp_path):
    (tmp_path / "a.glb").write_bytes(content)
    write_turned(tmp_path / "a.glb", tmp_path / "b.glb")
    first, second = (pygltflib.GLTF2().load_binary(str(tmp_path / name)) for name in ("a.glb", "b.glb"))
    assert second.nodes[0].rotation == [0.0, 1.0, 0.0, 0.0]
    assert first.binary_blob() == second.binary_blob()
    assert first.accessors == second.accessors
    length = struct.unpack_from("<I", (tmp_path / "b.glb").read_bytes(), 8)[0]
    assert length == (tmp_path / "b.glb").stat().st_size


VALIDATE = """
const validator = require(process.argv[1]);
const bytes = new Uint8Array(require('fs').readFileSync(0));
validator.validateBytes(bytes).then((report) => console.log(JSON.stringify(report.issues)));
"""


def test_validator_of_khronos_finds_nothing(content):
    """Set GLTF_VALIDATOR to the folder of the npm package gltf-validator."""
    package, node = os.environ.get("GLTF_VALIDATOR", ""), shutil.which("node")
    if node is None or not Path(package, "package.json").is_file():
        pytest.skip("node and the package gltf-validator are not here")
    found = subprocess.run([node, "-e", VALIDATE, package], input=content, capture_output=True, check=True)
    issues = json.loads(found.stdout)
    assert (issues["numErrors"], issues["numWarnings"], issues["numHints"]) == (0, 0, 0), issues["messages"]
