"""Evaluation: known head motion and lips are measured from landmarks; invalid lips files are refused."""

import json
import wave
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sadtalker_ext.engines.protocol import EngineSpec, MotionStyle
from sadtalker_ext.errors import EngineError, FaceError, MediaError
from sadtalker_ext.pipeline.evaluate_engine import prediction_metrics, write_non_speech
from sadtalker_ext.pipeline.evaluate_video import (
    LipClip,
    choose_clip,
    lip_metrics,
    measure_track,
    motion_metrics,
    read_lip_clips,
)


def curves(rate_hz: float, lag_s: float = 0.0, duration_s: float = 12.0):
    times = np.arange(int(duration_s * rate_hz)) / rate_hz - lag_s
    opening = np.clip(np.sin(7 * times) + 0.6 * np.sin(17.3 * times), 0, None)
    return opening, 0.6 + 0.05 * np.sin(5 * times)


def by_name(metrics):
    return {metric.name: metric.value for metric in metrics}


@pytest.mark.parametrize("lag_s", [-0.08, 0.0, 0.1])
def test_delayed_copy_of_the_lips_agrees_at_its_lag(lag_s: float):
    clip = LipClip(29.97, *curves(29.97))
    found = by_name(lip_metrics(*curves(25.0, lag_s), 25.0, clip))
    assert found["opening_r"] > 0.97
    assert found["opening_lag"] == pytest.approx(1000 * lag_s, abs=15)
    assert found["width_r"] > 0.97
    assert found["closures"] > 95


def test_gaps_are_interpolated_and_unrelated_lips_disagree():
    opening, width = curves(25.0)
    with_gap = opening.copy()
    with_gap[50:55] = np.nan
    assert by_name(lip_metrics(opening, width, 25.0, LipClip(25.0, with_gap, width)))["opening_r"] > 0.95
    noise = np.random.default_rng(0).random(300)
    assert abs(by_name(lip_metrics(noise, noise, 25.0, LipClip(25.0, opening, width)))["opening_r"]) < 0.3


def test_motion_metrics_do_not_depend_on_the_frame_rate():
    def swing(rate_hz):
        times = np.arange(int(20 * rate_hz)) / rate_hz
        return np.deg2rad(3) * np.stack([np.sin(2 * times), np.sin(3 * times), np.sin(times)], axis=1)

    slow, fast = (by_name(motion_metrics(swing(hz).astype(np.float32), hz, None)) for hz in (25.0, 50.0))
    assert slow["head_diversity"] == pytest.approx(3 / np.sqrt(2), rel=0.05)
    assert fast["head_diversity"] == pytest.approx(slow["head_diversity"], rel=0.02)
    assert fast["head_jitter"] == pytest.approx(slow["head_jitter"], rel=0.1)
    assert slow["head_beats"] is None


def test_lips_files_are_read_or_refused(tmp_path: Path):
    path = tmp_path / "lips.json"
    path.write_text(json.dumps({"anna": {"fps": 25, "openness": [0.1, None, 0.2], "width": [1, 1, 1]}}))
    clips = read_lip_clips(path)
    assert clips["anna"].rate_hz == 25
    assert np.isnan(clips["anna"].opening[1])
    with pytest.raises(MediaError, match="no clip 'bert'; choose from anna"):
        choose_clip(clips, "bert")
    for content in ("[1, 2]", "{", '{"anna": {"fps": 25}}'):
        path.write_text(content)
        with pytest.raises(MediaError, match=r"lips\.json cannot be read"):
            read_lip_clips(path)


def test_video_without_a_face_is_refused():
    with pytest.raises(FaceError, match=r"only 0 of 3 frames of the video clip\.mp4"):
        measure_track([None, None, None], 25.0, Path("clip.mp4"))


def test_known_rotation_is_measured():
    from sadtalker_ext.geometry.landmarks import Landmarks
    from sadtalker_ext.geometry.mean_face import mean_face_mesh
    from sadtalker_ext.geometry.rotation import euler_to_matrix

    mesh = mean_face_mesh()
    mesh = (200 * (mesh - mesh.mean(axis=0)) / np.ptp(mesh[:, 1])).astype(np.float32)
    angles = np.deg2rad([[0, 0, 0], [4, 0, 0], [0, -6, 0], [0, 0, 5]])
    found = [Landmarks.from_mesh((mesh @ euler_to_matrix(a).T + 300).astype(np.float32), "test") for a in angles]
    track = measure_track([found[0], None, *found[1:]], 25.0, Path("clip.mp4"))
    np.testing.assert_allclose(track.rotation[[0, 2, 3, 4]], angles, atol=np.deg2rad(0.3))
    assert track.detected_share == 0.8
    assert np.ptp(track.opening) < 0.01


def test_clips_without_speech(tmp_path: Path):
    loudness = {}
    for name, path in write_non_speech(tmp_path).items():
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
            assert file.getframerate() == 16000
        assert len(samples) == 96000
        loudness[name] = samples.std()
    assert loudness["silence"] == 0
    assert loudness["noise"] > 0.05
    assert 0.02 < loudness["music"] < 0.5


def test_engine_without_mouth_measures_is_refused():
    engine = SimpleNamespace(spec=EngineSpec("other", "Other", 256, ("0",)))
    with pytest.raises(EngineError, match="engine other cannot be measured before it is rendered"):
        prediction_metrics(engine, Path("voice.wav"), MotionStyle(), None)
