from importlib.resources import as_file, files

import numpy as np

from sadtalker_ext.audio.mel import mel_spectrogram
from sadtalker_ext.audio.speech import open_speech


def test_demo_voice_is_small_and_contains_speech():
    with as_file(files("sadtalker_ext.assets") / "demo_voice.flac") as path:
        assert path.stat().st_size < 300_000
        speech = open_speech(path)
        samples = speech.samples()
    assert 6 <= speech.duration_s <= 10
    assert 0.3 < np.abs(samples).max() < 1
    loudness = np.sqrt(np.mean(samples[: len(samples) // 320 * 320].reshape(-1, 320) ** 2, axis=1))
    assert loudness[-10:].max() < 0.002  # the mouth can close at the end
    assert 0.5 < np.mean(loudness > 0.02) < 0.95  # speech with pauses
    mel = mel_spectrogram(samples)
    assert mel[60:].max() > -1  # sibilants, so the clip is not a telephone recording
