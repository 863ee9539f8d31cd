"""The engine sadtalker with small networks and a stub in place of the renderer."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from small_networks import SmallNetworks

from sadtalker_ext.audio.speech import Speech, silence
from sadtalker_ext.engines.protocol import Engine, MotionStyle
from sadtalker_ext.engines.sadtalker import engine as sadtalker
from sadtalker_ext.engines.sadtalker.coefficients import from_motion, to_motion
from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine
from sadtalker_ext.engines.sadtalker.framing import MODES, frame_portrait
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.engines.sadtalker.parity import ViewedMotion
from sadtalker_ext.errors import EngineError
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.paste import paste_seamless
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.models.keypoints import HeadAngles, transform_keypoints
from sadtalker_ext.runtime import Runtime

CPU = Runtime(device="cpu", batch_size=3)


@pytest.fixture(scope="module")
def networks():
    return SmallNetworks()


@pytest.fixture
def open_small(monkeypatch, networks):
    networks.use(monkeypatch)
    return lambda runtime=CPU, **options: SadTalkerEngine(runtime, SadTalkerOptions(**options))


def portrait(width=400, height=480, box=(120, 100, 160, 200)):
    picture = np.empty((height, width, 3), np.uint8)
    across = np.linspace(20, 220, width, dtype=np.uint8)
    down = np.linspace(20, 220, height, dtype=np.uint8)
    picture[..., 0], picture[..., 1], picture[..., 2] = across, down[:, None], across // 2 + down[:, None] // 2
    return Portrait(picture, Landmarks.from_mesh(place_in_box(FaceBox(*box)), "box"))


def noise(frames):
    """Speech of so many frames without a file."""

    class Noise(Speech):
        def blocks(self, seconds=20.0, overlap_s=0.0):
            samples = np.random.default_rng(1).standard_normal(self.sample_count).astype(np.float32) * 0.1
            yield from np.array_split(samples, math.ceil(len(samples) / 320000))

    return Noise(Path("voice.wav"), frames * 640)


def test_engine_follows_the_protocol(open_small):
    engine = open_small()
    assert isinstance(engine, Engine)
    assert len(engine.spec.pose_styles) == 46
    engine.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("parity", [False, True])
def test_frame_shape_of_every_mode(open_small, mode, size, parity):
    engine, face = open_small(mode=mode, size_px=size, parity=parity), portrait()
    source = engine.read_face(face)
    motion = engine.predict_motion(noise(5), source, MotionStyle())
    still = motion.replace(
        rotation=np.repeat(source.rotation, 5, axis=0), translation=np.repeat(source.translation, 5, axis=0)
    )
    for moves in (motion, still):
        frames = list(engine.render(face, source, moves))
        assert len(frames) == 5
        shapes = {frame.shape for frame in frames}
        framing = frame_portrait(face, MODES[mode], size, parity)
        assert shapes == {(framing.output_px[1], framing.output_px[0], 3)}
        assert all(frame.dtype == np.uint8 for frame in frames)
        if MODES[mode].pasted:
            assert shapes == {face.picture.shape}
            outside = np.ones(face.picture.shape[:2], bool)
            outside[framing.box.top : framing.box.bottom, framing.box.left : framing.box.right] = False
            assert all(np.array_equal(frame[outside], face.picture[outside]) for frame in frames)
    assert source.expression.shape == (1, 64)


@pytest.mark.parametrize("frames", [1, 2, 20, 21, 33])
def test_clip_lengths_that_fail_in_the_official_code(open_small, frames):
    engine, face = open_small(), portrait()
    source = engine.read_face(face)
    motion = engine.predict_motion(noise(frames), source, MotionStyle())
    assert len(motion) == frames
    assert np.isfinite(from_motion(motion)).all()
    assert len(list(engine.render(face, source, motion))) == frames


@pytest.mark.parametrize(
    ("width", "height", "box"),
    [
        (900, 300, (600, 60, 140, 180)),
        (300, 1200, (80, 900, 140, 180)),
        (400, 400, (-30, -20, 160, 200)),
        (400, 400, (290, 240, 160, 200)),
        (4200, 2800, (1400, 630, 1050, 1330)),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_layouts_that_fail_in_the_official_code(open_small, width, height, box, mode):
    engine, face = open_small(mode=mode), portrait(width, height, box)
    source = engine.read_face(face)
    framing = frame_portrait(face, MODES[mode], 256)
    assert 0 <= framing.box.left < framing.box.right <= width
    assert 0 <= framing.box.top < framing.box.bottom <= height
    (frame,) = engine.render(face, source, source)
    assert frame.shape[1::-1] == framing.output_px
    if MODES[mode].pasted:
        gap = cv2.absdiff(frame, face.picture).mean()
        assert gap < 3, "a face at rest is rendered at its place"


def test_batch_size_does_not_change_frames(open_small):
    frames = []
    for size in (1, 4):
        engine, face = open_small(Runtime(device="cpu", batch_size=size)), portrait()
        source = engine.read_face(face)
        motion = engine.predict_motion(noise(6), source, MotionStyle())
        frames.append(np.stack(list(engine.render(face, source, motion))))
    assert np.abs(frames[0].astype(int) - frames[1]).max() <= 1


def test_seed_changes_blinks_and_poses(open_small):
    engine, face = open_small(), portrait()
    source = engine.read_face(face)
    styles = [MotionStyle(seed=1), MotionStyle(seed=1), MotionStyle(seed=2), MotionStyle(seed=1, pose_style="7")]
    first, same, other, styled = (from_motion(engine.predict_motion(noise(40), source, style)) for style in styles)
    assert np.array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3
    assert np.abs(first[:, 64:] - styled[:, 64:]).max() > 1e-3
    assert np.array_equal(first[:, :64], styled[:, :64])


def test_blink_scales_only_the_blink(open_small):
    engine, face = open_small(), portrait()
    source = engine.read_face(face)
    none, once, twice = (
        engine.predict_motion(noise(60), source, MotionStyle(blink=blink)).expression for blink in (0.0, 1.0, 2.0)
    )
    assert np.abs(once - none).max() > 1e-2
    assert np.allclose(twice - none, 2 * (once - none), atol=1e-4)


def test_motion_and_coefficients_convert_both_ways():
    coefficients = np.random.default_rng(0).standard_normal((4, 70)).astype(np.float32)
    motion = to_motion(coefficients)
    assert np.allclose(from_motion(motion), coefficients, atol=1e-6)
    assert np.array_equal(motion.rotation[:, 2], -coefficients[:, 66])


def test_a_view_replaces_the_angles_that_the_networks_predict(open_small, monkeypatch):
    """Yaw and roll from the view, pitch predicted: keypoints as transform_keypoints makes them of the same angles."""
    engine, face = open_small(mode="crop"), portrait()
    source = engine.read_face(face)
    motion = engine.predict_motion(noise(5), source, MotionStyle())
    view = np.full((5, 3), np.nan, np.float32)
    view[:, 1], view[:, 2] = [-20, -10, 0, 10, 20], 7.0
    shown = []
    monkeypatch.setattr(
        engine._generator, "render",
        lambda encoded, source, driving: shown.append(driving) or encoded.expand(len(driving), -1, -1, -1),
    )  # fmt: skip
    list(engine.render(face, source, ViewedMotion(motion.expression, motion.rotation, motion.translation, view)))
    scene = engine._scene(face)
    driving = sadtalker.rows.drive_coefficients(from_motion(motion), scene.face.coefficients)
    head = engine._mapping(torch.from_numpy(sadtalker.rows.coefficient_windows(driving, range(5))))
    turned = HeadAngles(yaw_deg=torch.from_numpy(view[:, 1]), roll_deg=torch.from_numpy(view[:, 2]))
    assert torch.allclose(torch.cat(shown), transform_keypoints(scene.canonical, head, turned), atol=1e-5)
    assert not torch.allclose(torch.cat(shown), transform_keypoints(scene.canonical, head), atol=1e-2)


def test_idle_portraits_move_without_sound(open_small):
    engine, face = open_small(), portrait()
    source = engine.read_face(face)
    motion = engine.predict_motion(silence(2.0), source, MotionStyle())
    assert len(motion) == 50
    assert np.ptp(motion.rotation, axis=0).max() > 1e-4


def resident_mb():
    status = Path("/proc/self/statm")
    if not status.is_file():
        pytest.skip("the system does not tell")
    return int(status.read_text().split()[1]) * 4096 / 1e6


def test_memory_does_not_grow_with_length(open_small):
    engine, face = open_small(Runtime(device="cpu", batch_size=4)), portrait(256, 256, (60, 40, 130, 160))
    source = engine.read_face(face)

    def peak(frames):
        motion = engine.predict_motion(noise(frames), source, MotionStyle())
        return max(resident_mb() for _ in engine.render(face, source, motion))

    peak(100)
    before, frames = peak(100), 500
    assert peak(frames) - before <= 30 * (frames - 100) / (1500 - 100) + 4, "more than 30 MB from 100 to 1500 frames"


def test_unsupported_options_are_refused(open_small):
    with pytest.raises(EngineError, match="256 or 512"):
        open_small(size_px=128)
    with pytest.raises(EngineError, match="full, extfull"):
        open_small(mode="half")


def test_number_of_coefficients_depends_on_the_mode(open_small):
    for mode, entry in MODES.items():
        engine = open_small(mode=mode)
        face = engine._prepare_face(portrait())
        assert len(face.coefficients) == entry.coefficients


@pytest.mark.parametrize("mode", ["full", "extfull"])
@pytest.mark.parametrize("box", [(120, 100, 160, 200), (-30, -20, 160, 200), (290, 340, 160, 200)])
def test_poisson_cloning_is_an_option_without_parity(open_small, mode, box):
    """Also where the square touches the picture's border; it is the same square, pasted in another way."""
    face = portrait(box=box)
    made = []
    for seamless in (False, True):
        engine = open_small(mode=mode, seamless=seamless)
        source = engine.read_face(face)
        (frame,) = engine.render(face, source, source)
        made.append(frame)
    framing = frame_portrait(face, MODES[mode], 256)
    assert np.array_equal(made[1], paste_seamless(framing.picture, framing.box, engine_square(engine, face, source)))
    assert not np.array_equal(*made)
    assert cv2.absdiff(*made).mean() < 6


def engine_square(engine, face, source):
    scene = engine._scene(face)
    driving = sadtalker.rows.drive_coefficients(from_motion(source), scene.face.coefficients)
    return engine._render_squares(scene, sadtalker.rows.coefficient_windows(driving, range(1)), None)[0]


def test_portraits_of_earlier_videos_are_not_encoded_again(open_small, monkeypatch):
    engine, faces = open_small(), [portrait(), portrait(box=(100, 90, 170, 210))]
    encoded, encode = [], engine._generator.encode_source
    monkeypatch.setattr(engine._generator, "encode_source", lambda image: encoded.append(1) or encode(image))
    for face in (*faces, *faces):
        source = engine.read_face(face)
        assert len(list(engine.render(face, source, source))) == 1
    assert len(encoded) == 2


def test_the_first_frame_does_not_wait_for_a_batch(open_small, monkeypatch):
    engine, face = open_small(Runtime(device="cpu", batch_size=4)), portrait()
    source = engine.read_face(face)
    motion = source.map_parts(lambda part: np.repeat(part, 9, axis=0))
    rendered, render = [], engine._generator.render
    monkeypatch.setattr(engine._generator, "render", lambda *given: rendered.append(len(given[2])) or render(*given))
    frames = engine.render(face, source, motion)
    next(frames)
    assert rendered == [1]
    assert len(list(frames)) == 8
    assert rendered == [1, 2, 4, 2]


def test_reference_lids_replace_blinks(open_small):
    engine, face = open_small(), portrait()
    source = engine.read_face(face)
    closed = np.zeros(10, np.float32)
    closed[4] = 1
    moved, still = (
        engine.predict_motion(noise(20), source, MotionStyle(lids=lids)).expression
        for lids in (closed, np.zeros(1, np.float32))
    )
    assert np.flatnonzero(np.abs(moved - still).max(axis=1) > 1e-4).tolist() == [4, 14]
