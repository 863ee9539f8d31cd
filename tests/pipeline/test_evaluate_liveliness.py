"""Liveliness of videos with known motion, and the stretches of speech against Silero VAD's own function."""

import numpy as np
import pytest
from skimage import data

from sadtalker_ext.errors import MissingPackageError
from sadtalker_ext.metrics.liveliness import HUMAN_STATISTICS
from sadtalker_ext.pipeline import evaluate_speech_activity as activity
from sadtalker_ext.pipeline.evaluate_liveliness import LivelinessTrack, liveliness_metrics
from sadtalker_ext.video.write import VideoSpec, write_video

STRETCHES_BY_PACKAGE = {
    0: [(0, 15840), (27680, 47584), (57376, 74720), (83488, 102880), (114720, 133600), (142368, 161760),
        (172576, 191968)],
    1: [(0, 20960), (40480, 64480), (78880, 106976), (124448, 149984), (167968, 191968)],
    2: [(0, 30176), (52256, 87008), (103968, 136160), (162336, 194528)],
}  # fmt: skip
"""Results of get_speech_timestamps (silero-vad 5.1.2) for the probabilities of each seed."""
WINDOWS = 400


def shifted(shift_px):
    return np.roll(data.astronaut()[:400], shift_px, axis=1)


@pytest.mark.parametrize("seed", list(STRETCHES_BY_PACKAGE))
def test_stretches_equal_those_of_the_package(seed):
    noise = np.random.default_rng(seed).standard_normal(WINDOWS)
    probabilities = np.clip(0.5 + 0.45 * np.sin(np.arange(WINDOWS) / (9 + 4 * seed)) + 0.2 * noise, 0, 1)
    found = activity.find_stretches(probabilities.tolist(), WINDOWS * activity.WINDOW - 100)
    assert found == STRETCHES_BY_PACKAGE[seed]


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(activity, "find_spec", lambda _: None)
    assert not activity.is_installed()
    with pytest.raises(MissingPackageError, match="pip install --no-deps silero-vad"):
        activity.open_network()


def test_head_that_moves_sideways_is_measured_in_pixels():
    shifts = [*range(0, 40, 5), *range(40, -40, -5), *range(-40, 5, 5)]
    track = LivelinessTrack([shifted(shift) for shift in shifts])
    assert track.frames == len(track.at) == len(shifts)
    assert track.centres_px.std(axis=0) == pytest.approx([np.std(shifts), 0], abs=2)
    assert np.abs(track.angles_deg.std(axis=0)).max() < 1.5


def test_frames_without_a_face_are_left_out():
    track = LivelinessTrack([shifted(0), np.zeros((400, 512, 3), np.uint8), shifted(3)])
    assert track.at == [0, 2]
    assert track.silent_gaps(np.array([True, True, False])) == pytest.approx(track.gaps[:1])


def test_still_video_is_less_lively_than_people(tmp_path):
    write_video([shifted(0)] * 16, tmp_path / "still.mp4", VideoSpec())
    values = {metric.name: metric.value for metric in liveliness_metrics(tmp_path / "still.mp4")}
    assert values["head_motion"] < 0.1 * HUMAN_STATISTICS.head_motion
    assert values["head_motion_closeness"] == pytest.approx(values["head_motion"] / HUMAN_STATISTICS.head_motion)
    assert values["eyebrows"] < 0.5 * HUMAN_STATISTICS.eyebrows  # the tracker settles within the first frames
    assert values["silent_lips"] is None
    write_video([np.zeros((64, 64, 3), np.uint8)] * 3, tmp_path / "dark.mp4", VideoSpec())
    assert all(metric.value is None for metric in liveliness_metrics(tmp_path / "dark.mp4"))
