"""The motion of the engine sadtalker for 3D models: with the Basel Face Model, without it, and of trained networks."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from skimage.data import astronaut
from small_networks import SmallNetworks, with_random_weights

from sadtalker_ext.engines.protocol import ModelMotionEngine, RigMotionEngine
from sadtalker_ext.engines.sadtalker.coefficients import from_motion, to_motion
from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine
from sadtalker_ext.engines.sadtalker.framing import frame_portrait, mode_named
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.engines.session import OpenEngine
from sadtalker_ext.errors import EngineError
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.mesh.bfm import BFM_NAME
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.pipeline.animate_mesh import make_mesh
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.mesh_files import MeshFiles
from sadtalker_ext.puppet.basis import SHAPES
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.weights.packaged import PUPPET

OPTIONS = SadTalkerOptions()


@pytest.fixture
def engine():
    mapping = with_random_weights("mapping.", MappingNet(MappingNetConfig(73, width=32)))
    opened = SadTalkerEngine(Runtime(device="cpu"), OPTIONS, (SmallNetworks(), mapping))
    yield opened
    opened.close()


@pytest.fixture
def portrait():
    across, down = np.linspace(20, 220, 400), np.linspace(20, 220, 480)
    picture = np.stack(np.broadcast_arrays(across[None, :], down[:, None], 128.0), axis=-1).astype(np.uint8)
    return Portrait(picture, Landmarks.from_mesh(place_in_box(FaceBox(120, 100, 160, 200)), "box"))


@pytest.mark.parametrize("mode", ["full", "extfull", "crop", "resize"])
def test_aligned_pixels_are_where_the_picture_shows_them(portrait, mode):
    framing = frame_portrait(portrait, mode_named(mode), 256)
    aligned, _ = framing.aligned()
    scale, shift = framing.aligned_to_picture()
    y, x = np.mgrid[20:200:10, 20:200:10].astype(np.float32)
    at_x, at_y = (x * scale[0] + shift[0]).astype(np.float32), (y * scale[1] + shift[1]).astype(np.float32)
    expected = cv2.remap(framing.picture, at_x, at_y, cv2.INTER_LINEAR).astype(float)
    found = aligned[20:200:10, 20:200:10].astype(float)
    known = found[..., 2] > 0  # the aligned picture is black outside the square
    assert known.mean() > 0.7
    assert np.abs(found - expected)[known].max() < 2.0


def test_coefficients_are_those_of_the_video(engine, portrait):
    source = engine.read_face(portrait)
    rows = np.random.default_rng(4).standard_normal((5, 70)).astype(np.float32)
    found = engine.model_motion(portrait, to_motion(rows))
    assert np.allclose(found.rows, rows, atol=1e-6)
    assert np.allclose(found.source, from_motion(source)[0], atol=1e-6)
    assert found.identity.shape == (80,)
    assert isinstance(engine, ModelMotionEngine)


def test_networks_trained_without_the_model_have_shapes(engine, portrait, monkeypatch):
    assert isinstance(engine, RigMotionEngine)
    assert engine.rig_motion(engine.read_face(portrait), to_motion(np.zeros((2, 70), np.float32))) is None
    engine.config = replace(engine.config, coefficients=PUPPET)
    rows = np.random.default_rng(4).standard_normal((5, 70)).astype(np.float32)
    source, moved = to_motion(0.1 * rows[:1]), to_motion(rows)
    found = engine.rig_motion(source, moved)
    assert np.allclose(found.expression, (rows - 0.1 * rows[:1])[:, : len(SHAPES)], atol=1e-6)
    assert np.allclose(found.rotation, moved.rotation - source.rotation, atol=1e-6)
    monkeypatch.setattr(engine, "_face_recon", None)
    with pytest.raises(EngineError, match="trained without the 3DMM"):
        engine.model_motion(portrait, moved)


@pytest.fixture
def files(tmp_path):
    Image.fromarray(astronaut()).resize((160, 160)).save(tmp_path / "p.png")
    return Inputs(tmp_path / "p.png", idle_s=0.4), MeshFiles(tmp_path / "face.glb", tmp_path / "face.json")


def mesh_of(engine, files, folder):
    settings = Settings(engine="sadtalker")
    opened = OpenEngine(engine, "sadtalker", OPTIONS)
    return make_mesh(*files, settings, Runtime(device="cpu", folders=(folder,)), engine=opened)


def test_without_the_model_the_mesh_is_that_of_the_starter(engine, files, tmp_path, monkeypatch):
    monkeypatch.setenv("SADTALKER_CHECKPOINTS", "")
    result = mesh_of(engine, files, tmp_path)
    assert any(BFM_NAME in note and "engine starter" in note for note in result.notes)
    assert b"jaw_open" in result.files.glb.read_bytes()


def test_with_the_model_the_mesh_is_the_model(engine, files, tmp_path):
    from pygltflib import GLTF2

    points = np.array([[-0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, -0.5, 0.2]])
    bases = {"idBase": np.zeros((9, 80)), "exBase": np.zeros((9, 64))}
    savemat(tmp_path / BFM_NAME, {"meanshape": points.reshape(1, -1), "tri": np.array([[1, 3, 2]]), **bases})
    result = mesh_of(engine, files, tmp_path)
    document = GLTF2().load_binary(str(result.files.glb))
    assert document.meshes[0].extras["targetNames"][-1] == "expression_63"
    assert result.files.blendshapes.read_text("utf-8").startswith('{"exportFps": 25')
    assert any("Basel Face Model" in note for note in result.notes)
