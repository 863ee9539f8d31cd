"""Videos of the engine sadtalker with a reference video, from inputs to motion; the networks are small."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut
from small_networks import SmallNetworks, with_random_weights

from sadtalker_ext.engines.sadtalker import engine as sadtalker
from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.faces.find import track_faces
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.pipeline.animate import make_video
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.read import probe, read_frames
from sadtalker_ext.video.write import VideoSpec, write_video

CPU = Runtime(device="cpu", batch_size=4)
FRAMES, SEEN = 10, 6


class PixelReader(torch.nn.Module):
    """Replacement of the face reader that returns the brightness of patches, which differs between all frames."""

    def forward(self, image):
        patches = torch.nn.functional.adaptive_avg_pool2d(image.mean(dim=1, keepdim=True), 8).flatten(1)
        return SimpleNamespace(expression=patches, angle=10 * image.mean(dim=(2, 3)), translation=image.std(dim=(2, 3)))


@pytest.fixture(scope="module")
def networks():
    small = SmallNetworks()
    small.recon = PixelReader()
    return small


@pytest.fixture
def moved(monkeypatch, networks, tmp_path):
    """Return a function that makes a silent video with a reference and settings, and returns the rendered motion."""
    monkeypatch.setattr(sadtalker, "open_official", lambda size, folders, coefficients: networks)
    mapping = with_random_weights("mapping.", MappingNet(MappingNetConfig(70, width=32)))
    monkeypatch.setattr(sadtalker, "open_mapping", lambda count, folders, kind: mapping)
    Image.fromarray(astronaut()).resize((256, 256), Image.LANCZOS).save(tmp_path / "p.png")
    drawn = []
    draw = SadTalkerEngine.render

    def render(engine, portrait, source, motion):
        drawn.append(motion)
        return draw(engine, portrait, source, motion)

    monkeypatch.setattr(SadTalkerEngine, "render", render)

    def make(reference=None, use="", **values):
        inputs = Inputs(tmp_path / "p.png", idle_s=FRAMES / 25, reference=reference, reference_use=use)
        settings = Settings(engine="sadtalker", mode="crop", **values)
        assert make_video(inputs, tmp_path / "v.mp4", settings, CPU).frames == FRAMES
        assert not probe(tmp_path / "v.mp4").has_audio
        return drawn.pop()

    return make


@pytest.fixture
def reference(tmp_path):
    """Return a video of a face that moves, grows and darkens, 6 frames at 25 Hz."""
    picture = Image.fromarray(astronaut())
    boxes = [(4 * i, 2 * i, 512 - 8 * i, 512 - 10 * i) for i in range(SEEN)]
    shown = (picture.crop(box).resize((256, 256), Image.LANCZOS) for box in boxes)
    darker = (np.uint8(np.asarray(frame) * (1 - 0.06 * index)) for index, frame in enumerate(shown))
    write_video(darker, tmp_path / "r.mp4", VideoSpec(25.0, quality="best"))
    return tmp_path / "r.mp4"


def read(reference, parity):
    """Return the motion that the engine reads in each frame of the reference, frame by frame."""
    engine = SadTalkerEngine(CPU, SadTalkerOptions(mode="crop", parity=parity))
    frames = list(read_frames(reference))
    assert len(frames) == SEEN
    return [engine.read_face(Portrait(*pair)) for pair in zip(frames, track_faces(frames), strict=True)]


def test_use_all_copies_the_whole_motion(moved, reference):
    motion, expected = moved(reference, "all"), read(reference, False)
    for index in range(FRAMES):
        np.testing.assert_allclose(motion.expression[index], expected[index % SEEN].expression[0], atol=1e-4)
        np.testing.assert_allclose(motion.rotation[index], expected[index % SEEN].rotation[0], atol=1e-4)


def test_parity_adds_the_reference_pose_and_copies_its_expression_for_the_eyes(moved, reference, networks):
    """Compare with the last layer of ExpNet, which is linear in [sound 512, face 64, blink 1]."""
    plain, motion, expected = moved(parity=True), moved(reference, "eyes+pose", parity=True), read(reference, True)
    (last,) = [part for part in networks.exp.modules() if isinstance(part, torch.nn.Linear)]
    weights = last.weight.detach().numpy()[:, 512:576].T
    changes = motion.expression - plain.expression
    faces = np.concatenate([expected[index % SEEN].expression for index in range(FRAMES)])
    np.testing.assert_allclose(changes - changes[0], (faces - faces[0]) @ weights, atol=1e-4)
    assert np.abs(changes - changes[0]).max() > 1e-2
    for index in range(FRAMES):
        since = expected[index % SEEN].rotation[0] - expected[0].rotation[0]
        np.testing.assert_allclose(motion.rotation[index] - plain.rotation[index], since, atol=1e-4)
    assert np.abs(motion.rotation - plain.rotation).max() > 1e-2


def test_without_parity_the_head_moves_from_the_pose_of_the_portrait(moved, reference):
    plain, motion = moved(), moved(reference, "pose")
    np.testing.assert_allclose(motion.expression, plain.expression, atol=1e-6)
    np.testing.assert_allclose(motion.rotation[0], motion.rotation[SEEN], atol=1e-5)
    assert np.abs(motion.translation - plain.translation).max() > 1e-2
