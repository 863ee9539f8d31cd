"""Restoring and enlarging frames with stand-ins for the networks: where it happens, and that it does not flicker."""

import itertools
import tracemalloc

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from sadtalker_ext.errors import EngineError, FaceError, MediaError
from sadtalker_ext.geometry.ffhq_alignment import cut_square, face_oval, square_mask, square_transform
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.pipeline.restoration import video as restore_module
from sadtalker_ext.pipeline.restoration.video import FaceRestorer, FrameUpscaler, landmarks_in

BOX = FaceBox(172, 70, 110, 150)
"""Of the astronaut's face."""


@pytest.fixture(scope="module")
def portrait():
    return Portrait(astronaut(), Landmarks.from_mesh(place_in_box(BOX), "box"))


def sharpen(square):
    blurred = cv2.GaussianBlur(square.astype(np.float32), (0, 0), 3)
    return np.clip(2 * square - blurred, 0, 255)


def invent(square):
    """Texture that turns over when the picture changes by few levels, as what generative restorers invent does."""
    return np.clip(square + 25 * np.sin(square.astype(np.float32) * 1.3), 0, 255)


def trembling(portrait, seed, tremble_px=0.4):
    """A follower that sees the same face, trembling as landmarks do."""
    random = np.random.default_rng(seed)

    def look(_):
        moved = portrait.landmarks.mesh + random.normal(0, tremble_px, (1, 3)) + random.normal(0, tremble_px, (478, 3))
        return Landmarks.from_mesh(moved, "box")

    return lambda start: look


def noisy(picture, count, seed=0, levels=1.0):
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield np.clip(np.rint(picture + random.normal(0, levels, picture.shape)), 0, 255).astype(np.uint8)


def face_weights(portrait):
    transform = square_transform(portrait.landmarks.mesh)
    mask = square_mask(face_oval(portrait.landmarks.mesh), transform)
    return cv2.warpAffine(mask, cv2.invertAffineTransform(transform), portrait.picture.shape[1::-1])


def test_only_the_face_becomes_what_the_network_says(portrait):
    black = FaceRestorer(lambda square: np.zeros(square.shape, np.float32), trembling(portrait, 0, tremble_px=0.0))
    (out,) = black.restore(iter([portrait.picture]), portrait)
    weights = face_weights(portrait)
    assert np.array_equal(out[weights == 0], portrait.picture[weights == 0])
    assert out[weights > 0.999].mean() < 4
    assert portrait.picture[weights > 0.999].mean() > 60


def test_a_network_that_changes_nothing_changes_nothing(portrait):
    frames = list(itertools.islice(noisy(portrait.picture, 4), 4))
    same = FaceRestorer(lambda square: square.astype(np.float32), trembling(portrait, 1))
    for frame, out in zip(frames, same.restore(iter(frames), portrait), strict=True):
        assert np.abs(frame.astype(int) - out).mean() < 0.5
        assert np.array_equal(frame[face_weights(portrait) == 0][:100], out[face_weights(portrait) == 0][:100])


def flicker(frames, weights):
    """Mean change from frame to frame on the face, in levels."""
    stack = np.stack(frames).astype(np.float32)
    return float((np.abs(np.diff(stack, axis=0)).mean(axis=-1) * weights).sum() / weights.sum() / (len(stack) - 1))


def each_on_its_own(frames, portrait, network, seed):
    look = trembling(portrait, seed)(None)
    for frame in frames:
        known = Landmarks.from_mesh(look(frame).mesh, "box")
        yield from FaceRestorer(network, lambda _, known=known: lambda _: known).restore(iter([frame]), portrait)


@pytest.mark.parametrize(("network", "kept"), [(sharpen, 0.6), (invent, 0.35)])
def test_a_still_clip_flickers_less_than_half_as_much(portrait, network, kept):
    """What restoring adds to the frames' own noise, against restoring each frame on its own."""
    frames = list(noisy(portrait.picture, 16))
    weights = face_weights(portrait)
    own = flicker(frames[8:], weights)
    alone = flicker(list(each_on_its_own(frames, portrait, network, 5))[8:], weights)
    steady = flicker(list(FaceRestorer(network, trembling(portrait, 5)).restore(iter(frames), portrait))[8:], weights)
    assert alone > own
    assert steady - own < kept * (alone - own)


def test_what_moves_is_restored_at_once(portrait):
    """Lips painted black in one frame are restored as black: nothing of the frame before shines through."""
    mouth = (slice(180, 200), slice(205, 250))
    moved = portrait.picture.copy()
    moved[mouth] = 0
    restorer = FaceRestorer(invent, trembling(portrait, 2, tremble_px=0.0))
    *_, out = restorer.restore(iter([portrait.picture] * 5 + [moved]), portrait)
    (fresh,) = FaceRestorer(invent, trembling(portrait, 2, tremble_px=0.0)).restore(iter([moved]), portrait)
    assert np.abs(out[mouth].astype(int) - fresh[mouth]).mean() < 2


def test_the_square_follows_the_head(portrait):
    """The network is shown the same square when the head has moved; landmarks move with it."""
    shown = []

    def watch(square):
        shown.append(square.astype(np.float32))
        return shown[-1]

    steps = [0] * 3 + list(range(0, 40, 2)) + [38] * 10
    at = iter(steps)

    def look(_):
        return Landmarks.from_mesh(portrait.landmarks.mesh + np.float32([next(at), 0, 0]), "box")

    frames = (np.roll(portrait.picture, step, axis=1) for step in steps)
    list(FaceRestorer(watch, lambda _: look).restore(frames, portrait))
    mesh = portrait.landmarks.mesh
    face = square_mask(face_oval(mesh), square_transform(mesh)) > 0.99
    assert np.abs(shown[-1] - shown[0])[face].mean() < 3
    assert max(np.abs(square - shown[0])[face].mean() for square in shown) < 16


def test_speech_does_not_move_the_square(portrait):
    """Lips and chin of the mesh move by a tenth of the face; the network is shown the same square in every frame."""
    shown = []

    def watch(square):
        shown.append(square)
        return square.astype(np.float32)

    below = portrait.landmarks.mesh[:, 1] > portrait.landmarks.mesh[2, 1]
    opened = (np.float32([0, 15, 0]) * below[:, None] * (index % 2) for index in range(10))
    follow = trembling(portrait, 0, tremble_px=0.0)

    def speak(start):
        look = follow(start)
        return lambda frame: Landmarks.from_mesh(look(frame).mesh + next(opened), "box")

    list(FaceRestorer(watch, speak).restore(iter([portrait.picture] * 10), portrait))
    assert all(np.array_equal(square, shown[0]) for square in shown)


def test_a_lost_face_is_taken_where_it_was(portrait):
    seen = iter([portrait.landmarks, None, None])
    restorer = FaceRestorer(lambda square: square * np.float32(0.5), lambda _: lambda _: next(seen))
    outs = list(restorer.restore(iter([portrait.picture] * 3), portrait))
    assert np.array_equal(outs[0], outs[1])
    assert np.array_equal(outs[0], outs[2])


def test_without_any_face_there_is_a_sentence(portrait):
    crop = portrait.picture[300:, :]
    with pytest.raises(FaceError, match=r"No face is seen in the first frame.*use --restore none"):
        list(FaceRestorer(sharpen, lambda _: lambda _: None).restore(iter([crop]), portrait))


def test_a_drawing_is_restored_where_the_person_said(portrait):
    outs = list(FaceRestorer(sharpen, lambda _: lambda _: None).restore(iter([portrait.picture]), portrait))
    assert not np.array_equal(outs[0], portrait.picture)


def test_a_larger_frame_has_its_landmarks_and_a_crop_has_none(portrait):
    large = cv2.resize(portrait.picture, None, fx=2, fy=2)
    assert np.allclose(landmarks_in(large, portrait).mesh, 2 * portrait.landmarks.mesh)
    assert landmarks_in(portrait.picture[60:260, 120:320], portrait) is None
    assert landmarks_in(portrait.picture[60:260], portrait) is None


def test_the_tracker_finds_the_face_in_a_crop_and_follows_it(portrait):
    """The real follower: the square lies on the same features in a crop as in the picture itself."""
    shown = []

    def watch(square):
        shown.append(square.astype(np.float32))
        return shown[-1]

    picture = portrait.picture
    list(FaceRestorer(watch).restore(iter([picture]), portrait))
    left = np.ascontiguousarray(picture[20:276, 90:346])
    list(FaceRestorer(watch).restore(iter([left, left]), portrait))
    whole = cut_square(picture, square_transform(portrait.landmarks.mesh))
    assert whole.shape == shown[0].shape
    assert np.abs(shown[1] - shown[0])[100:430, 100:412].mean() < 8


def nearest(scale):
    return lambda part: part.repeat(scale, axis=0).repeat(scale, axis=1).astype(np.float32)


def test_frames_are_enlarged_tile_by_tile(portrait):
    (out,) = FrameUpscaler(nearest(2), 2).restore(iter([portrait.picture]), portrait)
    assert np.array_equal(out, portrait.picture.repeat(2, axis=0).repeat(2, axis=1))


def test_tiles_that_show_the_same_are_not_computed_again(portrait):
    asked = []

    def counting(part):
        asked.append(part.shape)
        return nearest(2)(part)

    moved = portrait.picture.copy()
    moved[100:110, 100:110] = 0
    outs = list(FrameUpscaler(counting, 2).restore(iter([portrait.picture, portrait.picture, moved]), portrait))
    assert len(asked) == 4 + 0 + 1
    assert np.array_equal(outs[1], outs[0])
    assert np.array_equal(outs[2], moved.repeat(2, axis=0).repeat(2, axis=1))


def test_memory_that_runs_out_makes_tiles_smaller(portrait):
    asked = []

    def tight(part):
        asked.append(part.shape)
        if part.shape[0] * part.shape[1] > 150 * 150:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return nearest(2)(part)

    outs = list(FrameUpscaler(tight, 2).restore(iter([portrait.picture] * 2), portrait))
    assert np.array_equal(outs[1], portrait.picture.repeat(2, axis=0).repeat(2, axis=1))

    def never(part):
        raise RuntimeError("out of memory")

    with pytest.raises(EngineError, match="not enough memory to enlarge the frames: use --upscale none"):
        list(FrameUpscaler(never, 2).restore(iter([portrait.picture]), portrait))
    with pytest.raises(EngineError, match="not enough memory to restore the frames: use --restore none"):
        list(FaceRestorer(never, lambda _: lambda _: portrait.landmarks).restore(iter([portrait.picture]), portrait))


def test_other_errors_of_a_network_are_not_taken_for_memory(portrait):
    def broken(part):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(FrameUpscaler(broken, 2).restore(iter([portrait.picture]), portrait))


def test_videos_beyond_reason_are_refused(portrait):
    with pytest.raises(MediaError, match=r"4000 x 10 pixels, 4 times as large.*lower --resolution-limit"):
        list(FrameUpscaler(nearest(4), 4).restore(iter([np.zeros((10, 4000, 3), np.uint8)]), portrait))


def test_memory_does_not_grow_with_the_clip(portrait, monkeypatch):
    monkeypatch.setattr(restore_module, "TILE_PX", 512)
    frames = (portrait.picture.copy() for _ in range(60))
    larger = FrameUpscaler(nearest(1), 1).restore(frames, portrait)
    chain = FaceRestorer(sharpen, trembling(portrait, 0)).restore(larger, portrait)
    tracemalloc.start()
    levels = []
    for _ in chain:
        levels.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(levels[30:]) - max(levels[5:30]) < 1e6
