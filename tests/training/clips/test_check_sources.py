"""``sadtalker train check``: sounds of others or without a voice, missing sound, copies, wrong crops, moved targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from synthetic_clips import synthetic_clip
from synthetic_videos import ASTRONAUT, voice

from sadtalker_ext.faces.find import track_faces
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.puppet.basis import MOUTH_SHAPES
from sadtalker_ext.training.clips.check_crops import blue_excess, check_colours, check_crop, check_targets
from sadtalker_ext.training.clips.check_duplicates import ClipCopies, VideoCopies
from sadtalker_ext.training.clips.check_lips import check_lips, sound_gap
from sadtalker_ext.training.clips.check_sync import LipPair
from sadtalker_ext.training.clips.check_tracking import VideoTrack
from sadtalker_ext.training.clips.check_videos import check_framing

FRAMES = 150
RNG = np.random.default_rng


def curves(seed, frames=FRAMES):
    """Smooth curves (T, 2), as lips are."""
    kernel = np.hanning(9)[1:-1]
    draws = RNG(seed).standard_normal((2, frames + len(kernel) - 1))
    return np.stack([np.convolve(row, kernel, "valid") for row in draws], axis=1)


def pair(name, seed, sound_seed=None, **changes):
    lips = curves(seed)
    noise = 0.5 * RNG(seed + 1000).standard_normal(lips.shape)
    predicted = lips + noise if sound_seed is None else curves(sound_seed)
    return replace(LipPair(name, name, lips, predicted), **changes)


def test_videos_with_the_sound_of_others_or_without_a_voice_are_named():
    pairs = [pair(f"good{n}", n) for n in range(6)]
    assert check_lips(pairs) == []
    strange = [pair("other", 20, 30), pair("hiss", 21, 31, voice=0.0), pair("sung", 22, voice=0.0)]
    found = {tuple(finding.places): finding for finding in check_lips([*pairs, *strange])}
    assert set(found) == {("other",), ("hiss",)}
    assert found[("other",)].problem == "the lips do not follow the sound near its place"
    assert found[("hiss",)].problem == "the sound is not a voice"


def test_frames_of_another_rate_are_found_in_one_long_video():
    named_25 = pair("fast", 40)
    at = np.arange(FRAMES) * 25 / 30
    shown = np.stack([np.interp(at, np.arange(FRAMES), column) for column in named_25.measured.T], axis=1)
    found = check_lips([*(pair(f"good{n}", n) for n in range(6)), replace(named_25, measured=shown)])
    assert [(finding.check, dict(finding.places)) for finding in found] == [
        ("frame_rate", {"fast": "lips and voice agree at 30 frames per second"})
    ]


@pytest.mark.parametrize(("first", "after", "still", "found"), [
    (75, 150, False, "no sound from 3.0 to 6.0 s"), (0, 40, False, "no sound from 0.0 to 1.6 s"),
    (75, 150, True, ""), (75, 100, False, ""), (75, 75, False, ""),
])  # fmt: skip
def test_missing_sound_is_found_where_the_lips_move(first, after, still, found):
    samples = 0.1 * RNG(0).standard_normal(FRAMES * 640).astype(np.float32)
    samples[first * 640 : after * 640] = 1e-6
    opening = 0.1 * curves(1)[:, 0]
    opening[first:after] *= 0.1 if still else 1.0
    assert sound_gap(samples, opening).startswith(found)
    assert bool(sound_gap(samples, opening)) == bool(found)


def test_copies_of_clips_are_found_in_both_splits():
    copies, clip = ClipCopies(16), synthetic_clip("a", frames=8)
    other_motion = synthetic_clip("c", frames=8, seed=2)
    assert copies.add(clip, "train") == []
    assert copies.add(replace(other_motion, landmarks=other_motion.landmarks + 5, sound=clip.sound), "train") == []
    silence = np.zeros_like(clip.sound)
    assert copies.add(synthetic_clip("d", frames=8, seed=3), "train") == []
    assert copies.add(replace(clip, name="e", landmarks=clip.landmarks + 2, sound=silence), "train") == []
    assert copies.add(replace(clip, name="f", landmarks=clip.landmarks + 2.001, sound=silence), "train") == []
    encoded = [
        (replace(clip, name="x"), "the same as a in the split train"),
        (replace(clip, name="y", landmarks=clip.landmarks + np.float32(0.05)), "the same as a in the split train"),
        (replace(clip, name="z", sound=clip.sound + 1), "the same as a in the split train"),
    ]
    for copy, place in encoded:
        assert [dict(finding.places) for finding in copies.add(copy, "test")] == [{copy.name: place}]


def test_copies_of_videos_and_shared_sounds_are_found():
    copies, opening = VideoCopies(), curves(0, 100)[:, 0]
    first, second = voice()[: 100 * 640], voice()[100 * 640 : 200 * 640]
    assert copies.add("a", first, opening) == []
    assert copies.add("b", second, curves(1, 100)[:, 0]) == []
    noise = 1e-4 * RNG(0).standard_normal(80 * 640)
    again = copies.add("c", 0.5 * first[: 80 * 640] + noise, opening[:80] + 0.05 * curves(2, 80)[:, 0])
    shared = copies.add("d", second, opening)
    assert [dict(finding.places) for finding in again + shared] == [{"c": "the same as a"}, {"d": "the sound of b"}]
    assert [finding.check for finding in again + shared] == ["duplicates", "sync"]


@pytest.fixture(scope="module")
def portrait_clip():
    """A clip of one picture, and the picture (3, S, S, 3) repeated."""
    picture = np.asarray(Image.open(ASTRONAUT).convert("RGB"))[:256, 100:356]
    points = subset_68(next(iter(track_faces([picture]))).mesh)
    clip = synthetic_clip("a", frames=3)
    return replace(clip, landmarks=np.repeat(points[None], 3, axis=0).astype(np.float32)), np.stack([picture] * 3)


def test_crops_of_another_place_and_exchanged_colours_are_found(portrait_clip):
    clip, frames = portrait_clip
    assert list(check_crop(clip, frames)) == []
    places = [
        check_crop(clip, np.roll(frames, 30, axis=2)), check_crop(clip, np.zeros_like(frames)),
        check_crop(replace(clip, landmarks=clip.landmarks + 200), frames),
    ]  # fmt: skip
    values = [finding.places["a"] for found in places for finding in found]
    assert ["eye distances away" in values[0], values[1], "outside the picture" in values[2]] == [
        True, "no face is found", True,
    ]  # fmt: skip
    natural, exchanged = blue_excess(clip, frames), blue_excess(clip, frames[..., ::-1])
    assert natural < 0 < exchanged
    assert check_colours([exchanged] * 4) == check_colours([natural] * 6 + [exchanged] * 5) == []
    assert check_colours([exchanged] * 6)[0].check == "framing"


def test_targets_that_are_moved_in_time_are_found():
    clip = synthetic_clip("a", frames=FRAMES)
    opening = np.abs(curves(3)[:, 0]).astype(np.float32)
    points = np.zeros((FRAMES, 68, 2), np.float32)
    points[:, 36, 0], points[:, 45, 0], points[:, 33, 1] = -50, 50, 20
    points[:, 65:68, 1] = 10 * opening[:, None]
    lips = np.zeros((FRAMES, 64), np.float32)
    lips[:, MOUTH_SHAPES.index("jaw_open")] = opening
    clip = replace(clip, landmarks=points, lip_expression=lips)
    assert list(check_targets(clip)) == []
    assert list(check_targets(replace(clip, lip_expression=np.roll(lips, 2, axis=0)))) == []
    late = list(check_targets(replace(clip, lip_expression=np.roll(lips, 6, axis=0))))
    early = list(check_targets(replace(clip, lip_expression=np.roll(lips, -5, axis=0))))
    assert [finding.places["a"].split(",")[0] for finding in late + early] == ["6 frames late", "5 frames early"]


def test_cut_faces_and_faces_beside_others_are_named():
    lips = np.zeros((10, 3))
    assert check_framing("a", VideoTrack(lips, 1.0, cut=0.4, similar_faces=0.3)) == []
    found = check_framing("a", VideoTrack(lips, 1.0, cut=0.8, similar_faces=1.0))
    assert [finding.places["a"] for finding in found] == [
        "the border cuts the face in 80 % of the frames", "two faces of about the same size",
    ]  # fmt: skip
