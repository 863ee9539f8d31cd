"""Restored and upscaled frames with stub networks: which pixels change, and that they do not flicker."""

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
from sadtalker_ext.pipeline.restoration import video as restoration_video
from sadtalker_ext.pipeline.restoration.video import FaceRestorer, FrameUpscaler, landmarks_in

BOX = FaceBox(172, 70, 110, 150)
"""Face of the astronaut."""


@pytest.fixture(scope="module")
def portrait():
    return Portrait(astronaut(), Landmarks.from_mesh(place_in_box(BOX), "box"))


def sharpen(square):
    blurred = cv2.GaussianBlur(square.astype(np.float32), (0, 0), 3)
    return np.clip(2 * square - blurred, 0, 255)


def add_texture(square):
    """Add texture that changes sign when the picture changes by a few levels, as with generative restorers."""
    return np.clip(square + 25 * np.sin(square.astype(np.float32) * 1.3), 0, 255)


def noisy_tracker(portrait, seed, noise_px=0.4):
    """Return a factory of trackers that find the same face with the noise of landmarks."""
    random = np.random.default_rng(seed)

    def find_face(_):
        moved = portrait.landmarks.mesh + random.normal(0, noise_px, (1, 3)) + random.normal(0, noise_px, (478, 3))
        return Landmarks.from_mesh(moved, "box")

    return lambda start: find_face


def noisy(picture, count, seed=0, levels=1.0):
    random = np.random.default_rng(seed)
    for _ in range(count):
        yield np.clip(np.rint(picture + random.normal(0, levels, picture.shape)), 0, 255).astype(np.uint8)


def face_weights(portrait):
    transform = square_transform(portrait.landmarks.mesh)
    mask = square_mask(face_oval(portrait.landmarks.mesh), transform)
    return cv2.warpAffine(mask, cv2.invertAffineTransform(transform), portrait.picture.shape[1::-1])


def test_only_the_face_is_replaced(portrait):
    black = FaceRestorer(lambda square: np.zeros(square.shape, np.float32), noisy_tracker(portrait, 0, noise_px=0.0))
    (out,) = black.restore(iter([portrait.picture]), portrait)
    weights = face_weights(portrait)
    assert np.array_equal(out[weights == 0], portrait.picture[weights == 0])
    assert out[weights > 0.999].mean() < 4
    assert portrait.picture[weights > 0.999].mean() > 60


def test_identity_network_changes_nothing(portrait):
    frames = list(itertools.islice(noisy(portrait.picture, 4), 4))
    same = FaceRestorer(lambda square: square.astype(np.float32), noisy_tracker(portrait, 1))
    for frame, out in zip(frames, same.restore(iter(frames), portrait), strict=True):
        assert np.abs(frame.astype(int) - out).mean() < 0.5
        assert np.array_equal(frame[face_weights(portrait) == 0][:100], out[face_weights(portrait) == 0][:100])


def flicker(frames, weights):
    """Return the mean change of the face from frame to frame, in levels."""
    stack = np.stack(frames).astype(np.float32)
    return float((np.abs(np.diff(stack, axis=0)).mean(axis=-1) * weights).sum() / weights.sum() / (len(stack) - 1))


def restore_separately(frames, portrait, network, seed):
    find_face = noisy_tracker(portrait, seed)(None)
    for frame in frames:
        known = Landmarks.from_mesh(find_face(frame).mesh, "box")
        yield from FaceRestorer(network, lambda _, known=known: lambda _: known).restore(iter([frame]), portrait)


@pytest.mark.parametrize(("network", "limit"), [(sharpen, 0.6), (add_texture, 0.35)])
def test_still_clip_flickers_less(portrait, network, limit):
    """The flicker added to the noise of the frames is compared with that of restoring each frame separately."""
    frames = list(noisy(portrait.picture, 16))
    weights = face_weights(portrait)
    noise = flicker(frames[8:], weights)
    separate = flicker(list(restore_separately(frames, portrait, network, 5))[8:], weights)
    restorer = FaceRestorer(network, noisy_tracker(portrait, 5))
    smoothed = flicker(list(restorer.restore(iter(frames), portrait))[8:], weights)
    assert separate > noise
    assert smoothed - noise < limit * (separate - noise)


def test_moving_parts_are_restored_without_delay(portrait):
    """Lips that turn black in one frame are restored as black, without a trace of the frame before."""
    mouth = (slice(180, 200), slice(205, 250))
    moved = portrait.picture.copy()
    moved[mouth] = 0
    restorer = FaceRestorer(add_texture, noisy_tracker(portrait, 2, noise_px=0.0))
    *_, out = restorer.restore(iter([portrait.picture] * 5 + [moved]), portrait)
    (fresh,) = FaceRestorer(add_texture, noisy_tracker(portrait, 2, noise_px=0.0)).restore(iter([moved]), portrait)
    assert np.abs(out[mouth].astype(int) - fresh[mouth]).mean() < 2


def test_square_follows_the_head(portrait):
    """The network gets the same square after the head and its landmarks have moved."""
    shown = []

    def watch(square):
        shown.append(square.astype(np.float32))
        return shown[-1]

    steps = [0] * 3 + list(range(0, 40, 2)) + [38] * 10
    at = iter(steps)

    def find_face(_):
        return Landmarks.from_mesh(portrait.landmarks.mesh + np.float32([next(at), 0, 0]), "box")

    frames = (np.roll(portrait.picture, step, axis=1) for step in steps)
    list(FaceRestorer(watch, lambda _: find_face).restore(frames, portrait))
    mesh = portrait.landmarks.mesh
    face = square_mask(face_oval(mesh), square_transform(mesh)) > 0.99
    assert np.abs(shown[-1] - shown[0])[face].mean() < 3
    assert max(np.abs(square - shown[0])[face].mean() for square in shown) < 16


def test_speech_does_not_move_the_square(portrait):
    """Lips and chin of the mesh move by a tenth of the face; the network gets the same square in every frame."""
    shown = []

    def watch(square):
        shown.append(square)
        return square.astype(np.float32)

    below = portrait.landmarks.mesh[:, 1] > portrait.landmarks.mesh[2, 1]
    opened = (np.float32([0, 15, 0]) * below[:, None] * (index % 2) for index in range(10))
    make_tracker = noisy_tracker(portrait, 0, noise_px=0.0)

    def make_speaking_tracker(start):
        find_face = make_tracker(start)
        return lambda frame: Landmarks.from_mesh(find_face(frame).mesh + next(opened), "box")

    list(FaceRestorer(watch, make_speaking_tracker).restore(iter([portrait.picture] * 10), portrait))
    assert all(np.array_equal(square, shown[0]) for square in shown)


def test_lost_face_is_restored_where_it_was_last(portrait):
    seen = iter([portrait.landmarks, None, None])
    restorer = FaceRestorer(lambda square: square * np.float32(0.5), lambda _: lambda _: next(seen))
    outs = list(restorer.restore(iter([portrait.picture] * 3), portrait))
    assert np.array_equal(outs[0], outs[1])
    assert np.array_equal(outs[0], outs[2])


def test_video_without_a_face_is_refused(portrait):
    crop = portrait.picture[300:, :]
    with pytest.raises(FaceError, match=r"No face was found in the first frame.*set restore to none"):
        list(FaceRestorer(sharpen, lambda _: lambda _: None).restore(iter([crop]), portrait))


def test_face_that_is_not_detected_is_restored_in_the_box_of_the_user(portrait):
    outs = list(FaceRestorer(sharpen, lambda _: lambda _: None).restore(iter([portrait.picture]), portrait))
    assert not np.array_equal(outs[0], portrait.picture)


def test_landmarks_of_an_enlarged_frame_and_of_a_crop(portrait):
    large = cv2.resize(portrait.picture, None, fx=2, fy=2)
    assert np.allclose(landmarks_in(large, portrait).mesh, 2 * portrait.landmarks.mesh)
    assert landmarks_in(portrait.picture[60:260, 120:320], portrait) is None
    assert landmarks_in(portrait.picture[60:260], portrait) is None


def test_default_tracker_finds_the_face_in_a_crop(portrait):
    """The square shows the same features in a crop as in the picture itself."""
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


def test_frames_are_upscaled_in_tiles(portrait):
    (out,) = FrameUpscaler(nearest(2), 2).restore(iter([portrait.picture]), portrait)
    assert np.array_equal(out, portrait.picture.repeat(2, axis=0).repeat(2, axis=1))


def test_unchanged_tiles_are_not_computed_again(portrait):
    computed = []

    def count_calls(part):
        computed.append(part.shape)
        return nearest(2)(part)

    moved = portrait.picture.copy()
    moved[100:110, 100:110] = 0
    outs = list(FrameUpscaler(count_calls, 2).restore(iter([portrait.picture, portrait.picture, moved]), portrait))
    assert len(computed) == 4 + 0 + 1
    assert np.array_equal(outs[1], outs[0])
    assert np.array_equal(outs[2], moved.repeat(2, axis=0).repeat(2, axis=1))


def test_tiles_become_smaller_when_memory_runs_out(portrait):
    computed = []

    def small_memory(part):
        computed.append(part.shape)
        if part.shape[0] * part.shape[1] > 150 * 150:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return nearest(2)(part)

    outs = list(FrameUpscaler(small_memory, 2).restore(iter([portrait.picture] * 2), portrait))
    assert np.array_equal(outs[1], portrait.picture.repeat(2, axis=0).repeat(2, axis=1))

    def no_memory(part):
        raise RuntimeError("out of memory")

    with pytest.raises(EngineError, match="not enough memory to upscale the frames; set upscale to none"):
        list(FrameUpscaler(no_memory, 2).restore(iter([portrait.picture]), portrait))
    restorer = FaceRestorer(no_memory, lambda _: lambda _: portrait.landmarks)
    with pytest.raises(EngineError, match="not enough memory to restore the frames; set restore to none"):
        list(restorer.restore(iter([portrait.picture]), portrait))


def test_other_errors_of_a_network_are_raised(portrait):
    def broken(part):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(FrameUpscaler(broken, 2).restore(iter([portrait.picture]), portrait))


def test_videos_that_would_become_too_large_are_refused(portrait):
    with pytest.raises(MediaError, match=r"16000 x 40 pixels.*lower the resolution limit"):
        list(FrameUpscaler(nearest(4), 4).restore(iter([np.zeros((10, 4000, 3), np.uint8)]), portrait))


def test_memory_does_not_grow_with_the_clip(portrait, monkeypatch):
    monkeypatch.setattr(restoration_video, "TILE_PX", 512)
    frames = (portrait.picture.copy() for _ in range(60))
    upscaled = FrameUpscaler(nearest(1), 1).restore(frames, portrait)
    chain = FaceRestorer(sharpen, noisy_tracker(portrait, 0)).restore(upscaled, portrait)
    tracemalloc.start()
    levels = []
    for _ in chain:
        levels.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(levels[30:]) - max(levels[5:30]) < 1e6
