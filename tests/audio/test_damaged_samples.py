"""Samples of float files that are NaN, infinite or far beyond full scale are read as zeros, and a note says so."""

import numpy as np
import pytest
import soundfile

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.prepare import load_speech, speech_notes
from sadtalker_ext.video.write import VideoSpec, write_video

DAMAGE = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "3e38": 3e38, "-1e6": -1e6}
AT = 8000
"""Index of the damaged sample."""


def write_tone(path, value=None, rate_hz=16000, subtype="FLOAT", at=AT):
    samples = 0.3 * np.sin(2 * np.pi * 220 * np.arange(rate_hz) / rate_hz)
    if value is not None:
        samples[at] = value
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


@pytest.mark.parametrize("value", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_a_damaged_sample_is_read_as_zero(tmp_path, value, subtype):
    speech = open_speech(write_tone(tmp_path / "a.wav", value, subtype=subtype))
    expected = open_speech(write_tone(tmp_path / "b.wav", 0.0)).samples()
    assert np.array_equal(speech.samples(), expected)
    assert speech.repaired
    assert speech.peak == pytest.approx(0.3, abs=1e-3)
    assert "replaced by silence" in speech_notes(speech)[0]


@pytest.mark.parametrize("value", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_sample_does_not_spread_in_resampling(tmp_path, value):
    speech = open_speech(write_tone(tmp_path / "a.wav", value, rate_hz=48000, at=24000))
    expected = open_speech(write_tone(tmp_path / "b.wav", 0.0, rate_hz=48000, at=24000))
    assert speech.sample_count == expected.sample_count
    assert np.abs(speech.samples() - expected.samples()).max() < 1e-6  # resampled as doubles or floats
    assert speech.peak == pytest.approx(expected.peak, abs=1e-6)


def test_files_without_damage_are_unchanged(tmp_path):
    for value in (1.5, 32768.0):
        speech = open_speech(write_tone(tmp_path / "a.wav", value))
        assert speech.samples()[AT] == value
        assert (speech.repaired, speech_notes(speech)) == (False, ())


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_a_file_of_damaged_samples_contains_no_sound(tmp_path, value):
    path = write_tone(tmp_path / "a.wav", value, at=slice(None))
    with pytest.raises(MediaError, match="contains no sound: its samples are not numbers"):
        load_speech(Inputs(tmp_path / "p.png", path))


@pytest.mark.parametrize("value", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_audio_of_the_result_has_a_gap(tmp_path, value, channels):
    path = write_tone(tmp_path / "a.wav", value)
    samples, rate_hz = soundfile.read(path)
    soundfile.write(path, np.stack([samples] * channels, axis=1), rate_hz, subtype="FLOAT")
    spec = VideoSpec(25.0, audio=path, frame_count=25)
    write_video((np.full((64, 64, 3), 99, np.uint8) for _ in range(25)), tmp_path / "a.mp4", spec)
    result = open_speech(tmp_path / "a.mp4").samples()[:16000]
    expected = open_speech(write_tone(tmp_path / "b.wav", 0.0)).samples()
    assert np.abs(result[1000:15000] - expected[1000:15000]).max() < 0.1
