"""The Basel Face Model: a small model in the public layout, against the formulas of Deep3DFaceRecon written again."""

import io

import numpy as np
import pygltflib
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.mesh.bfm import (
    BFM_NAME,
    ModelMotion,
    find_bfm,
    model_animation,
    model_mesh,
    model_shape,
    project,
    read_bfm,
)
from sadtalker_ext.mesh.face_mesh import FACE_HEIGHT_M
from sadtalker_ext.mesh.gltf import write_glb
from sadtalker_ext.mesh.holes import border_loops
from sadtalker_ext.mesh.shading import ShadedView

SIDE = 13
METRE = FACE_HEIGHT_M / 1.9


def small_tables():
    """A curved grid with a hole in place of the mouth; the triangles run as those of the public file."""
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(np.linspace(0.95, -0.95, SIDE), np.linspace(-0.7, 0.7, SIDE), indexing="ij")
    points = np.stack([x, y, 0.5 - 0.5 * (x**2 + y**2)], axis=-1).reshape(-1, 3)
    index = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    faces = []
    for row in range(SIDE - 1):
        for column in range(SIDE - 1):
            if row in (8, 9) and 5 <= column <= 7:
                continue
            a, b, c, d = index[row, column], index[row, column + 1], index[row + 1, column + 1], index[row + 1, column]
            faces += [(a, d, c), (a, c, b)]
    count = 3 * len(points)
    return {
        "meanshape": points.reshape(1, -1) + 0.1,
        "idBase": rng.normal(0.0, 0.01, (count, 80)),
        "exBase": rng.normal(0.0, 0.01, (count, 64)),
        "tri": np.array(faces) + 1,
        "keypoints": np.arange(1, 69)[None],
    }


@pytest.fixture
def file(tmp_path):
    path = tmp_path / BFM_NAME
    savemat(path, small_tables())
    return path


@pytest.fixture
def motion():
    rng = np.random.default_rng(2)
    rows = rng.normal(0.0, 1.0, (6, 70)).astype(np.float32) * np.float32([1] * 64 + [0.3] * 3 + [0.1] * 3)
    picture = rng.integers(0, 255, (300, 260, 3)).astype(np.uint8)
    identity = rng.normal(0.0, 1.0, 80).astype(np.float32)
    return ModelMotion(identity, rows[0], rows, picture, np.array([1.2, 1.1]), np.array([5.0, 8.0]))


def official(tables, identity, row):
    """Deep3DFaceRecon: compute_shape, compute_rotation and transform, without batches."""
    shape = (tables["idBase"] @ identity + tables["exBase"] @ row[:64] + tables["meanshape"][0]).reshape(-1, 3)
    shape = shape - tables["meanshape"].reshape(-1, 3).mean(axis=0, keepdims=True)
    x, y, z = row[64:67].astype(float)
    rot_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    rot_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rot_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return shape @ (rot_z @ rot_y @ rot_x).T + row[67:70]


def test_projection_is_that_of_the_reconstruction(file, motion):
    """to_camera and to_image of the official code; the picture has its first row at the top."""
    camera = official(small_tables(), motion.identity, motion.rows[1])
    camera[:, 2] = 10.0 - camera[:, 2]
    image = camera @ np.array([[1015.0, 0, 112], [0, 1015, 112], [0, 0, 1]]).T
    expected = image[:, :2] / image[:, 2:]
    expected[:, 1] = 224 - 1 - expected[:, 1]
    model = read_bfm(file)
    shape = model_shape(model, motion.identity, motion.rows[1, :64])
    assert np.abs(project(shape, motion.rows[1].astype(float)) - expected).max() < 1e-3


def test_every_frame_of_the_file_is_the_official_shape(file, motion):
    model = read_bfm(file)
    mesh, buffer = model_mesh(model, motion), io.BytesIO()
    write_glb(buffer, mesh, model_animation(motion, 25.0), {})
    document = pygltflib.GLTF2.load_from_bytes(buffer.getvalue())

    def values(index, width):
        accessor = document.accessors[index]
        start = document.bufferViews[accessor.bufferView].byteOffset
        return np.frombuffer(document.binary_blob(), "<f4", accessor.count * width, start).reshape(-1, width)

    (primitive,), (animation,) = document.meshes[0].primitives, document.animations
    tracks = {c.target.path: animation.samplers[c.sampler].output for c in animation.channels}
    at_rest = values(primitive.attributes.POSITION, 3).astype(float)
    targets = [values(target["POSITION"], 3) for target in primitive.targets]
    assert len(targets) == 64
    for frame, row in enumerate(motion.rows):
        weights = values(tracks["weights"], 1).reshape(6, 64)[frame]
        moved = at_rest + np.einsum("k,knc->nc", weights, targets)
        turned = Rotation.from_quat(values(tracks["rotation"], 4)[frame]).apply(moved)
        found = turned + values(tracks["translation"], 3)[frame]
        expected = (official(small_tables(), motion.identity, row) - motion.source[67:70]) * METRE
        assert np.abs(found[: SIDE * SIDE] - expected).max() / FACE_HEIGHT_M < 1e-4


def test_texture_coordinates_are_where_the_portrait_shows_the_vertices(file, motion):
    mesh = model_mesh(read_bfm(file), motion)
    model = read_bfm(file)
    shape = model_shape(model, motion.identity, motion.source[:64])
    pixels = motion.scale * project(shape, motion.source.astype(float)) + motion.shift
    inside = ((pixels > 3) & (pixels < [256, 296])).all(axis=1)
    texels = mesh.uv[: SIDE * SIDE] * mesh.texture.shape[1::-1] - 0.5
    offsets = (pixels - texels)[inside]
    assert np.ptp(offsets, axis=0).max() < 0.01


def test_the_mouth_is_closed_by_a_hollow_that_moves_with_its_border(file, motion):
    mesh = model_mesh(read_bfm(file), motion)
    welded = np.unique(mesh.positions.round(6), axis=0, return_inverse=True)[1].ravel()
    assert len(border_loops(mesh.triangles)) == 3  # outline and hole of the skin, and the rim of the hollow
    assert len(border_loops(welded[mesh.triangles])) == 1
    rim = mesh.positions[mesh.parts["mouth"]][:-1]
    for moved in mesh.targets[:3]:
        for point, shift in zip(rim, moved[mesh.parts["mouth"]][:-1], strict=True):
            (same,) = np.flatnonzero((mesh.positions[: SIDE * SIDE] == point).all(axis=1))
            assert np.array_equal(moved[same], shift)


def test_shaded_pictures_show_the_model(file, motion):
    mesh = model_mesh(read_bfm(file), motion)
    pictures = list(ShadedView(mesh, 64).frames(model_animation(motion, 25.0)))
    assert len(pictures) == 6
    assert 0.2 < (pictures[0].min(axis=2) < 250).mean() < 0.9


def test_triangles_of_both_directions_face_the_viewer(tmp_path):
    tables = small_tables()
    tables["tri"] = tables["tri"][:, ::-1]
    savemat(tmp_path / BFM_NAME, tables)
    model = read_bfm(tmp_path / BFM_NAME)
    a, b, c = (model.mean[model.triangles[:, corner]] for corner in range(3))
    assert np.median(np.cross(b - a, c - a)[:, 2]) > 0.0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"exBase": None}, "no numbers named exBase"),
        ({"idBase": np.zeros((507, 79))}, "idBase is"),
        ({"meanshape": np.zeros((1, 508))}, "508 values"),
        ({"meanshape": np.full((1, 507), np.nan)}, "not finite"),
        ({"tri": np.array([[1, 2, 999]])}, "other than 1 to 169"),
        ({"tri": np.array([[0, 1, 2]])}, "other than 1 to 169"),
        ({"tri": np.array([[1.5, 2, 3]])}, "other than 1 to 169"),
        ({"tri": np.array([["a", "b", "c"]], object)}, "no numbers named tri"),
        ({"meanshape": np.zeros((1, 507))}, "0 units high, not about 2"),
        ({"meanshape": 1e5 * small_tables()["meanshape"]}, r"1.9e\+05 units high"),
        ({"exBase": np.full((507, 64), 1e300)}, r"exBase has values up to 1e\+300"),
    ],
)
def test_inconsistent_files_are_refused(tmp_path, changed, message):
    tables = {name: value for name, value in (small_tables() | changed).items() if value is not None}
    savemat(tmp_path / BFM_NAME, tables)
    with pytest.raises(WeightsError, match=f"{message}.*; replace it by the file of that name, or remove it"):
        read_bfm(tmp_path / BFM_NAME)


@pytest.mark.parametrize("content", [b"", b"MATLAB 7.3 MAT-file" + bytes(200), b"hello" * 100, bytes(400)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / BFM_NAME).write_bytes(content)
    with pytest.raises(WeightsError, match="not"):
        read_bfm(tmp_path / BFM_NAME)


def test_truncated_files_are_refused(file):
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="not"):
        read_bfm(file)


@pytest.mark.parametrize("below", ["", "BFM", "BFM_Fitting"])
def test_file_is_found_where_public_codes_keep_it(tmp_path, below):
    assert find_bfm([tmp_path]) is None
    (tmp_path / below).mkdir(exist_ok=True)
    (tmp_path / below / BFM_NAME).touch()
    assert find_bfm([tmp_path / "other", tmp_path]) == tmp_path / below / BFM_NAME
