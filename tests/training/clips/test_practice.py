"""Practice clips: motion that an independent tracker confirms, framing of the engine, and resume."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from synthetic_videos import ASTRONAUT, VOICE

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.engines.sadtalker.framing import MODES, frame_portrait
from sadtalker_ext.engines.sadtalker.puppet_coefficients import SHAPE_COLUMNS, portrait_coefficients
from sadtalker_ext.errors import FaceError, MediaError, SettingsError
from sadtalker_ext.faces.find import find_faces, track_faces
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.puppet.basis import SHAPES
from sadtalker_ext.puppet.head import ROTATION_LIMITS_RAD
from sadtalker_ext.training.clips import practice
from sadtalker_ext.training.clips.dataset import ClipStore
from sadtalker_ext.training.clips.practice import PracticePlan, identity_of, make_practice, split_work
from sadtalker_ext.training.clips.practice_motion import clip_expression, limit_softly, random_curve
from sadtalker_ext.training.clips.practice_portraits import identity_names
from sadtalker_ext.training.clips.practice_speech import CorpusSource, FileSource, open_source, speech_from_samples
from sadtalker_ext.training.clips.shape_columns import SPOKEN_COLUMNS

SIZE = 128
PLAN = PracticePlan(clips=2, size_px=SIZE, seconds=1.2, speech=VOICE, seed=3)


def inline(work, jobs, processes, name):
    """Run the jobs in this process, whose number of threads stays what it is in the main process of the command."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    for job in jobs:
        work(job, 0)
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("practice")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(practice, "run_jobs", inline)
        info = make_practice(folder, PLAN)
    return folder, info


def test_data_set_matches_the_plan(data):
    folder, info = data
    assert info.clips == {"train": 2, "test": 1}
    assert (info.size_px, info.coefficients, info.identities) == (SIZE, "puppet", ("astronaut",))
    assert abs(info.hours - 3 * 30 / 25 / 3600) < 1e-9
    for split in ("train", "test"):
        for clip in ClipStore(folder, split):
            assert len(clip.frames) == len(clip) == 30
            assert clip.image(0).shape == (SIZE, SIZE, 3)
            assert len(clip.sound) == 30 * 640
            assert len(clip.mel) == 1 + len(clip.sound) // 200
    assert not (folder / "work").exists()


def test_independent_tracker_confirms_the_landmarks(data):
    for clip in ClipStore(data[0]):
        seen = list(track_faces(clip.image(frame) for frame in range(len(clip))))
        assert all(seen)
        points = np.stack([subset_68(face.mesh) for face in seen])
        distance = np.linalg.norm(points - clip.landmarks, axis=2)
        assert np.median(distance) < 0.015 * SIZE
        tracked, known = points - points.mean(axis=0), clip.landmarks - clip.landmarks.mean(axis=0)
        assert np.corrcoef(tracked[:, 27:36].ravel(), known[:, 27:36].ravel())[0, 1] > 0.95


def test_tracked_mouth_follows_the_landmarks(data):
    known, tracked = [], []
    for clip in ClipStore(data[0]):
        faces = list(track_faces(clip.image(frame) for frame in range(len(clip))))
        points = np.stack([subset_68(face.mesh) for face in faces])
        for track, place in ((known, clip.landmarks), (tracked, points)):
            gap = place[:, 65:68, 1].mean(axis=1) - place[:, 61:64, 1].mean(axis=1)
            track.append(gap - gap.mean())
    assert np.corrcoef(np.concatenate(known), np.concatenate(tracked))[0, 1] > 0.75


def test_framing_equals_that_of_the_engine(data):
    picture = np.asarray(Image.open(ASTRONAUT).convert("RGB"))
    face = find_faces(picture)[0]
    framing = frame_portrait(Portrait(picture, face), MODES["full"], SIZE)
    source = portrait_coefficients(face.mesh, framing.landmarks68, SIZE)
    store = ClipStore(data[0])
    for clip in store:
        np.testing.assert_allclose(clip.coefficients[:, 70:], np.repeat(source[None, 70:], 30, axis=0), rtol=0.01)
    rest = [clip for clip in store if not clip.coefficients[0, SHAPE_COLUMNS].any()]
    for clip in rest:
        np.testing.assert_allclose(clip.coefficients[0, 64:70], source[64:70], atol=0.02)
        error = np.square(clip.image(0).astype(float) - framing.square).mean()
        assert 10 * np.log10(255**2 / error) > 30
    assert rest, "the seed of this test gives a clip that starts at rest"


def test_expressions_stay_in_range_and_lip_targets_move_only_lips(data):
    low, high = np.array([(shape.low, shape.high) for shape in SHAPES]).T
    for clip in ClipStore(data[0]):
        shapes = clip.coefficients[:, SHAPE_COLUMNS]
        assert np.all((shapes >= low) & (shapes <= high))
        others = [column for column in range(64) if column not in SPOKEN_COLUMNS]
        np.testing.assert_array_equal(
            clip.lip_expression[:, others], np.repeat(clip.coefficients[:1, others], len(clip), axis=0)
        )
        assert clip.lip_expression[:, list(SPOKEN_COLUMNS)].std(axis=0).max() > 0.02
        np.testing.assert_allclose(clip.lids, shapes[:, 10:12].mean(axis=1), atol=1e-6)


def test_deleted_shard_is_recreated_and_other_options_are_refused(data, tmp_path, monkeypatch):
    folder = tmp_path / "again"
    shutil.copytree(data[0], folder)
    expected = (folder / "train-000001.tar").read_bytes()
    kept = (folder / "train-000000.tar").stat().st_mtime_ns
    (folder / "train-000001.tar").unlink()
    (folder / "card.json").unlink()
    monkeypatch.setattr(practice, "run_jobs", inline)
    make_practice(folder, PLAN)
    assert (folder / "train-000001.tar").read_bytes() == expected
    assert (folder / "train-000000.tar").stat().st_mtime_ns == kept
    with pytest.raises(SettingsError, match="seed was 3, is 4"):
        make_practice(folder, PracticePlan(clips=2, size_px=SIZE, seconds=1.2, speech=VOICE, seed=4))


def test_clips_differ(data):
    first, second = ClipStore(data[0])
    held = ClipStore(data[0], "test").read_clip(0)
    for one, other in ((first, second), (first, held), (second, held)):
        assert np.abs(one.coefficients[:, :70] - other.coefficients[:, :70]).mean() > 0.01
        assert not np.array_equal(one.sound, other.sound)


@pytest.mark.parametrize(("field", "value"), [("clips", 0), ("size_px", 100), ("seconds", 0.1)])
def test_invalid_plans_are_refused(tmp_path, field, value):
    with pytest.raises(SettingsError, match=str(value)):
        make_practice(tmp_path, PracticePlan(**{"clips": 2, field: value}))


def test_every_clip_is_rendered_once_and_portraits_alternate(tmp_path):
    plan = PracticePlan(clips=1000, size_px=256, seconds=4)
    pieces = split_work(tmp_path, plan, tuple("abcde"))
    for split, total in (("train", 1000), ("test", 125)):
        made = [n for piece in pieces if piece.split == split for n in range(piece.first, piece.first + piece.count)]
        assert made == list(range(total))
    counts = np.bincount([identity_of(number, 1000, 5) for number in range(1000)])
    assert counts.min() > 150
    assert np.bincount([identity_of(number, 96, 12) for number in range(96)]).tolist() == [8] * 12


def test_pictures_without_a_face_are_skipped(tmp_path, monkeypatch):
    folder = tmp_path / "portraits"
    folder.mkdir()
    Image.new("RGB", (128, 128), (90, 120, 70)).save(folder / "meadow.png")
    with pytest.raises(FaceError, match="None of the 1 pictures"):
        make_practice(tmp_path / "none", PracticePlan(clips=1, portraits=folder))
    with pytest.raises(MediaError, match="no pictures"):
        make_practice(tmp_path / "other", PracticePlan(clips=1, portraits=tmp_path / "none"))
    assert not (tmp_path / "other").exists(), "the folder can be used with the right portraits"
    assert identity_names([Path("a/x y.png"), Path("b/x_y.jpg"), Path("c/.png")]) == ["x_y", "x_y_2", "_png"]


def test_random_curve_is_smooth_and_stays_in_range():
    random = np.random.default_rng(2)
    for _ in range(20):
        track = random_curve(200, random, -0.5, 0.8)
        assert track.min() >= -0.5
        assert track.max() <= 0.8
        assert np.abs(np.diff(track)).max() < 1.3 * 1.9 / (0.4 * 25 / 1.25) + 1e-9
        assert track.std() > 0.05


def test_soft_limits_hold_and_keep_small_values():
    limits = np.array(ROTATION_LIMITS_RAD)
    wild = np.random.default_rng(0).standard_normal((500, 3))
    assert np.all(np.abs(limit_softly(wild, limits)) <= limits + 1e-7)
    small = 0.7 * limits * np.ones((4, 3))
    np.testing.assert_allclose(limit_softly(small, limits), small, rtol=1e-6)
    assert clip_expression(np.full((1, len(SHAPES)), -3.0)).tolist()[0] == pytest.approx([s.low for s in SHAPES])


def test_audio_files_hold_out_their_end(tmp_path):
    source = FileSource((VOICE,))
    whole = open_speech(VOICE).samples()
    cut = round(0.8 * len(whole))
    for split, pool in (("train", whole[:cut]), ("test", whole[cut:])):
        drawn = source.draw(np.random.default_rng(1), 0.8, split)
        assert len(drawn) == 12800
        places = np.flatnonzero(pool == drawn[0])
        assert any(np.array_equal(pool[at : at + 2000], drawn[:2000]) for at in places)
    assert len(source.draw(np.random.default_rng(1), 25.0, "test")) == 400000  # longer than what there is


def test_corpus_holds_out_its_test_utterances(tmp_path):
    from sadtalker_ext.training.corpus.build import pack_shard
    from sadtalker_ext.training.corpus.voices import Phone, Utterance

    spoken = [
        Utterance(np.full(4000, 0.1 * (n + 1), np.float32), (Phone("a", 0.0, 0.25),)) for n in range(8)
    ]
    levels = np.linspace(0.1, 0.8, 8)
    shard = pack_shard(spoken)
    shard.samples[:] = np.repeat(np.round(levels * 32768), 4000).astype(np.int16)
    (tmp_path / "shards").mkdir()
    shard.save(tmp_path / "shards" / "voice-000.npz")
    source = open_source(tmp_path)
    assert isinstance(source, CorpusSource)
    drawn = {split: source.draw(np.random.default_rng(0), 6.0, split) for split in ("train", "test")}
    assert {round(float(value), 3) for value in np.unique(drawn["test"])} <= {0.0, 0.8}
    assert drawn["test"].max() > 0.79
    assert 0.6 < drawn["train"].max() < 0.71


def test_speech_in_memory_has_the_blocks_of_a_file():
    kept = open_speech(VOICE)
    held = speech_from_samples(kept.samples())
    assert (held.frames, held.sample_count) == (kept.frames, kept.sample_count)
    for seconds, overlap_s in ((2.0, 0.0), (1.5, 0.25)):
        pairs = zip(held.blocks(seconds, overlap_s), kept.blocks(seconds, overlap_s), strict=True)
        for mine, theirs in pairs:
            np.testing.assert_array_equal(mine, theirs)
