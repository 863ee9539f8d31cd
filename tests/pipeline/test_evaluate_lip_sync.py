"""LSE equals joonson/syncnet_python with seeded weights: MFCC features, face crops, distances, offset."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sadtalker_ext.audio.mfcc import mfcc
from sadtalker_ext.errors import FaceError, MediaError
from sadtalker_ext.metrics.lip_sync_error import CropBox, crop_boxes, lip_sync_error, shift_distances
from sadtalker_ext.models.syncnet import WINDOW_FRAMES, SyncNet
from sadtalker_ext.pipeline.evaluate_lip_sync import (
    BATCH,
    cut_face,
    face_features,
    lip_sync_metrics,
    sound_features,
    track_boxes,
)
from sadtalker_ext.video.write import VideoSpec, write_video
from sadtalker_ext.weights.random_weights import uniform

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import seeded_networks as seeded

PUBLIC = seeded.PUBLIC["lip_sync"]


def test_the_score_equals_the_public_code():
    network = SyncNet().eval()
    network.load_state_dict(seeded.seeded_state("syncnet.", network))
    windows = seeded.FRAMES - WINDOW_FRAMES
    assert windows > BATCH, "more than one batch"
    faces = face_features(network, iter(seeded.film()), windows)
    sounds = sound_features(network, mfcc(seeded.voice()), windows)
    found = lip_sync_error(faces, sounds)
    assert found.offset == PUBLIC["offset"]
    assert found.distance == pytest.approx(PUBLIC["distance"], rel=1e-4)
    assert found.confidence == pytest.approx(PUBLIC["confidence"], rel=1e-4)
    np.testing.assert_allclose(shift_distances(faces, sounds).mean(axis=0), PUBLIC["means"], rtol=1e-4)


def test_mfcc_equals_python_speech_features():
    values = mfcc(seeded.voice())
    assert list(values.shape) == PUBLIC["mfcc_shape"]
    np.testing.assert_allclose(values[PUBLIC["mfcc_rows"]], PUBLIC["mfcc"], rtol=1e-7, atol=1e-7)
    assert mfcc(np.zeros(100)).shape == (1, 13)
    assert np.isfinite(mfcc(np.zeros(1000))).all()


def test_crops_equal_those_of_the_public_pipeline():
    scene = np.floor(256 * uniform("scene", (20, 24, 30, 3))).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    i = np.arange(20)
    edges = [60 + 2 * np.sin(i) + i, 50 + 3 * np.cos(2 * i), 150 + i + 4 * np.sin(3 * i), 170 + 2 * np.sin(i / 2)]
    crops = [cut_face(frame, box) for frame, box in zip(scene, crop_boxes(np.stack(edges, axis=1)), strict=True)]
    found = [[*crop.reshape(-1, 3).mean(axis=0), crop.astype(float).std()] for crop in crops]
    np.testing.assert_allclose(found, PUBLIC["crops"], rtol=1e-7)


def test_a_delay_of_the_sound_is_the_offset():
    features = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    for late in (-4, 0, 7):
        found = lip_sync_error(features[20:50], features[20 - late : 50 - late])
        assert found.offset == -late
        assert found.distance < 3
        assert found.confidence > 1


def test_crops_beyond_the_picture_are_grey():
    frame = np.full((40, 60, 3), 200, np.uint8)
    crop = cut_face(frame, CropBox(-20, 30, 60, 60))
    assert crop.shape == (224, 224, 3)
    assert crop[10, 10].tolist() == [110, 110, 110]
    assert crop[200, 10].tolist() == [200, 200, 200]
    assert crop[200, 215].tolist() == [110, 110, 110]
    assert (cut_face(frame, CropBox(90, 90, 10, 10)) == 110).all()


def test_short_videos_and_videos_without_a_face_are_refused(tmp_path, monkeypatch):
    frames = [np.full((64, 64, 3), 90, np.uint8)] * 30
    write_video(frames, tmp_path / "grey.mp4", VideoSpec())
    with pytest.raises(FaceError, match="only 0 of 30 frames"):
        track_boxes(tmp_path / "grey.mp4")
    module = "sadtalker_ext.pipeline.evaluate_lip_sync"
    monkeypatch.setattr(f"{module}.read_pcm", lambda path: np.zeros(30 * 640))
    monkeypatch.setattr(f"{module}.track_boxes", lambda *_: np.zeros((30, 4)))
    with pytest.raises(MediaError, match=r"lasts 1\.20 s with picture and sound; LSE needs 1\.44 s"):
        lip_sync_metrics(tmp_path / "grey.mp4", torch.nn.Identity())
