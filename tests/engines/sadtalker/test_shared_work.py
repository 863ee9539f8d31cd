"""Work that the engine sadtalker does once: for the first frame, for a portrait, and for the videos of a batch."""

import threading
from collections import Counter

import cv2
import numpy as np
import pytest
from small_networks import SmallNetworks

from sadtalker_ext.engines.sadtalker.coefficients import to_motion
from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine
from sadtalker_ext.engines.sadtalker.framing import (
    FADE_FRAMES,
    FadingFinish,
    FeatheredFinish,
    frame_portrait,
    mode_named,
)
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.engines.sadtalker.scene import starts_at_rest
from sadtalker_ext.geometry.landmarks import FACE_OVAL, FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.runtime import Runtime


def portrait():
    noise = np.random.default_rng(0).integers(0, 255, (260, 240, 3), dtype=np.uint8)
    return Portrait(
        cv2.GaussianBlur(noise, (0, 0), 6),
        Landmarks.from_mesh(
            place_in_box(
                FaceBox(70, 60, 90, 120),
            ),
            "box",
        ),
    )


@pytest.fixture(scope="module")
def networks():
    return SmallNetworks()


@pytest.fixture
def engine(monkeypatch, networks):
    networks.use(monkeypatch)
    return SadTalkerEngine(Runtime(device="cpu", batch_size=3), SadTalkerOptions())


@pytest.fixture
def calls(engine, monkeypatch):
    """How often the parts were computed; for the renderer and MappingNet: how many frames."""
    counted = Counter()

    def count(owner, name, key, frames=lambda *given: 1):
        original = getattr(owner, name)

        def counting(*given):
            counted[key] += frames(*given)
            return original(*given)

        monkeypatch.setattr(owner, name, counting)

    count(engine._keypoints, "forward", "keypoints")
    count(engine._face_recon, "forward", "coefficients")
    count(engine._generator, "encode_source", "features")
    count(engine._generator, "render", "frames", lambda encoded, source, driving: len(driving))
    count(engine._mapping, "forward", "mapped", len)
    return counted


def at(source, **parts):
    """Two rows of motion at the portrait's, with some parts moved."""
    motion = source.map_parts(lambda part: np.repeat(part, 2, axis=0))
    return motion.replace(**{name: getattr(motion, name) + np.float32(value) for name, value in parts.items()})


def test_the_first_frame_needs_one_rendering(engine, calls):
    face = portrait()
    source = engine.read_face(face)
    frames = engine.render(face, source, at(source, rotation=0.05))
    next(frames)
    assert calls["frames"] == 1
    assert len(list(frames)) == 1
    assert calls["frames"] == 2


@pytest.mark.parametrize("parts", [{"rotation": 0.3}, {"translation": 0.1}])
def test_colours_of_a_moved_head_become_those_of_the_portrait_at_rest(engine, calls, parts):
    face = portrait()
    source = engine.read_face(face)
    frames = engine.render(face, source, at(source, **parts))
    next(frames)
    assert calls["frames"] == 1, "the first frame does not wait"
    next(frames)
    assert calls["frames"] == 3, "one more, of the face at rest"
    calls.clear()
    next(engine.render(face, source, at(source, **parts)[:1]))
    assert calls["frames"] == 2, "a single frame has the final colours"


def test_colours_fade_without_a_step():
    face = portrait()
    finish = FeatheredFinish(frame_portrait(face, mode_named("full"), 256), face.landmarks.mesh[list(FACE_OVAL), :2])
    square = finish._framing.square
    dark, bright = (cv2.convertScaleAbs(square, alpha=1, beta=beta) for beta in (0, 15))
    fading = FadingFinish(finish, dark, lambda: bright)
    levels = np.array([fading(square)[120, 115].astype(float).mean() for _ in range(FADE_FRAMES + 3)])
    assert levels[0] == pytest.approx(finish.matched_to(dark)(square)[120, 115].mean(), abs=0.5)
    assert levels[-1] == pytest.approx(finish.matched_to(bright)(square)[120, 115].mean(), abs=0.5)
    assert levels[0] - levels[-1] > 10
    assert np.ptp(np.diff(levels[: FADE_FRAMES + 1])) <= 2
    assert np.ptp(levels[FADE_FRAMES:]) == 0


def test_voices_of_a_batch_share_the_portrait(engine, calls):
    face = portrait()
    for smile in range(3):
        source = engine.read_face(face)
        assert len(list(engine.render(face, source, at(source, expression=smile)))) == 2
    assert calls == {"keypoints": 1, "coefficients": 1, "features": 1, "frames": 6, "mapped": 7}


def test_colours_do_not_depend_on_earlier_videos(engine):
    face = portrait()
    source = engine.read_face(face)
    smiling, resting = at(source, expression=2.0), at(source)
    alone = list(engine.render(face, source, resting))
    list(engine.render(face, source, smiling))
    assert np.array_equal(alone, list(engine.render(face, source, resting)))


def test_frames_rendered_ahead_are_the_same_and_end_with_the_video(engine):
    face = portrait()
    source = engine.read_face(face)
    motion = source.map_parts(lambda part: part + np.linspace(0, 0.2, 10, dtype=np.float32)[:, None])
    one_by_one = list(engine.render(face, source, motion))
    engine._ahead = 1
    assert np.array_equal(one_by_one, list(engine.render(face, source, motion)))
    frames = engine.render(face, source, motion)
    next(frames)
    frames.close()
    assert all(thread.name != "sadtalker-read-ahead" for thread in threading.enumerate())


def test_an_error_of_the_renderer_ahead_reaches_the_reader(engine, monkeypatch):
    face = portrait()
    source, render = engine.read_face(face), engine._generator.render

    def fail_on_batches(encoded, source, driving):
        if len(driving) > 1:
            raise ValueError("a broken batch")
        return render(encoded, source, driving)

    monkeypatch.setattr(engine._generator, "render", fail_on_batches)
    engine._ahead = 1
    frames = engine.render(face, source, source.map_parts(lambda part: np.repeat(part, 8, axis=0)))
    assert next(frames).shape == face.picture.shape
    with pytest.raises(ValueError, match="a broken batch"):
        next(frames)


def test_where_a_motion_starts():
    coefficients = np.random.default_rng(0).standard_normal(73).astype(np.float32)
    own = to_motion(coefficients[None, :70])
    assert starts_at_rest(at(own), coefficients)
    assert starts_at_rest(at(own, rotation=0.09, translation=0.02, expression=1.0), coefficients)
    assert not starts_at_rest(at(own, rotation=-0.11), coefficients)
    assert not starts_at_rest(at(own, translation=(0, 0, 0.04)), coefficients)


def test_colours_do_not_change_at_a_section(engine):
    """All sections have the colours that suit the first square of the video, also where they begin in another pose."""
    face = portrait()
    source = engine.read_face(face)
    motion = source.map_parts(lambda part: np.repeat(part, 3, axis=0))
    turned = motion.replace(rotation=motion.rotation + np.float32(0.3))
    first = next(iter(engine.render(face, source, motion)))
    frames = list(engine.render_sections(face, source, iter([motion, turned]), turns_far=False))
    alone = list(engine.render(face, source, turned))
    assert len(frames) == 6
    np.testing.assert_array_equal(frames[0], first)
    colours = engine._scene(face).finish.matched_to(squares(engine, face, motion)[0])
    expected = [colours(square) for square in squares(engine, face, turned)]
    np.testing.assert_array_equal(frames[3:], expected)
    assert (np.stack(alone) != np.stack(expected)).any()


def squares(engine, face, motion):
    return list(engine._squares(engine._scene(face), motion))
