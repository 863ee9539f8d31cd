"""Views of the engine sadtalker: as official ``input_yaw``, ``input_pitch`` and ``input_roll``, or as head motion."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_networks import SmallNetworks, with_random_weights

from sadtalker_ext.audio.speech import silence
from sadtalker_ext.engines.motion_editing import named_view
from sadtalker_ext.engines.protocol import MotionStyle, VideoTiming
from sadtalker_ext.engines.sadtalker import engine as sadtalker
from sadtalker_ext.engines.sadtalker.coefficients import from_motion
from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.models.keypoints import HeadAngles, bins_to_degrees, rotation_matrix, transform_keypoints
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings

TIMING = VideoTiming(25, 25)


@pytest.fixture(scope="module")
def networks():
    return SmallNetworks()


@pytest.fixture
def scene(networks, monkeypatch):
    """Return engines with small networks, their portrait, and the keypoints that they render."""
    mapping = with_random_weights("mapping.", MappingNet(MappingNetConfig(70, width=32)))
    picture = np.random.default_rng(3).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    portrait = Portrait(picture, Landmarks.from_mesh(place_in_box(FaceBox(60, 40, 130, 160)), "box"))

    def render(*, parity, **settings):
        options = SadTalkerOptions(mode="crop", parity=parity)
        engine = SadTalkerEngine(Runtime(device="cpu", batch_size=10), options, (networks.of_size(256), mapping))
        source = engine.read_face(portrait)
        predicted = engine.predict_motion(silence(1.0), source, MotionStyle())
        motion = engine.editor.edit(predicted, source, Settings(**settings), TIMING)
        shown = []

        def keep(encoded, source, driving):
            shown.append(driving)
            return torch.zeros(len(driving), 3, 256, 256)

        monkeypatch.setattr(engine._generator, "render", keep)
        assert len(list(engine.render(portrait, source, motion))) == TIMING.frames
        return SimpleNamespace(
            engine=engine, prepared=engine._scene(portrait), motion=motion, keypoints=torch.cat(shown)
        )

    return render


def test_with_parity_a_camera_path_replaces_the_angles_that_the_networks_predict(scene):
    """R(yaw, pitch, roll) canonical + t + deformation, with the angles of the path as the official input_* lists."""
    made = scene(parity=True, view="orbit", roll="0:0,0.5:9")
    path = named_view(Settings(view="orbit"), TIMING).rotation_deg
    prepared = made.prepared
    driving = sadtalker.rows.drive_coefficients(from_motion(made.motion), prepared.face.coefficients)
    head = made.engine._mapping(torch.from_numpy(sadtalker.rows.coefficient_windows(driving, range(25))))
    yaw, pitch = (torch.from_numpy(path[:, column].astype(np.float32)) for column in (1, 0))
    seconds = np.arange(25) / 25
    eased = np.clip(seconds / 0.5, 0, 1) ** 2 * (3 - 2 * np.clip(seconds / 0.5, 0, 1))
    roll = torch.from_numpy((9 * eased).astype(np.float32))
    turned = prepared.canonical @ rotation_matrix(yaw, pitch, roll).transpose(1, 2)
    moved = (head.translation * torch.tensor([0.0, 1.0, 0.0])).unsqueeze(1)
    assert torch.allclose(made.keypoints, turned + moved + head.deformation, atol=1e-4)


def test_with_parity_axes_without_a_path_keep_the_predicted_angle(scene):
    made = scene(parity=True, view="nod")
    prepared = made.prepared
    driving = sadtalker.rows.drive_coefficients(from_motion(made.motion), prepared.face.coefficients)
    head = made.engine._mapping(torch.from_numpy(sadtalker.rows.coefficient_windows(driving, range(25))))
    pitch = torch.from_numpy(named_view(Settings(view="nod"), TIMING).rotation_deg[:, 0].astype(np.float32))
    angles = HeadAngles(bins_to_degrees(head.yaw), pitch, bins_to_degrees(head.roll))
    assert torch.allclose(made.keypoints, transform_keypoints(prepared.canonical, head, angles), atol=1e-4)


def test_without_parity_a_camera_path_is_added_to_the_pose_coefficients(scene):
    """Angles of the 3DMM in radians: pitch, yaw, and roll with the opposite sign."""
    plain, moved = scene(parity=False), scene(parity=False, view="sway", pitch="0:-6")
    added = from_motion(moved.motion)[:, 64:67] - from_motion(plain.motion)[:, 64:67]
    path = named_view(Settings(view="sway"), TIMING).rotation_deg
    np.testing.assert_allclose(added[:, 0], np.deg2rad(-6), atol=1e-5)
    np.testing.assert_allclose(added[:, 1], np.deg2rad(path[:, 1]), atol=1e-5)
    np.testing.assert_allclose(added[:, 2], -np.deg2rad(path[:, 2]), atol=1e-5)
    assert not torch.allclose(plain.keypoints, moved.keypoints, atol=1e-3)
