"""Mel spectrograms: official golden values, librosa's filters, and streaming."""

from hashlib import sha256
from pathlib import Path

import librosa
import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.signal import get_window

from sadtalker_ext.audio.mel import hann_window, mel_basis, mel_spectrogram, stream_mel
from sadtalker_ext.audio.speech import open_speech

ROOT = Path(__file__).resolve().parents[2]
SPEECH = ROOT.parent / "shared" / "speech" / "bus_chinese.flac"


@pytest.fixture(scope="module")
def golden():
    return load_file(ROOT / "tests" / "golden" / "mel.safetensors")


@pytest.fixture(scope="module")
def wave(golden):
    """Samples of the golden, a sweep with noise, generated as its description says."""
    seed = int.from_bytes(sha256(b"in.wave.noise").digest()[:8], "little")
    noise = np.random.Generator(np.random.PCG64(seed)).standard_normal(32000, dtype=np.float32)
    times_s = np.arange(32000) / 16000
    sweep = 0.5 * np.sin(2 * np.pi * (80 * times_s + 0.5 * (6000 - 80) / 2 * times_s * times_s))
    made = np.float32(sweep + 0.05 * noise)
    assert np.abs(made[:64] - golden["wave_first64"]).max() < 1e-6
    return made


def test_filters_and_window_match_librosa_and_scipy(golden):
    assert mel_basis().shape == (80, 401)
    oracle = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600, dtype=np.float64)
    assert np.abs(mel_basis() - oracle).max() < 1e-7
    assert np.abs(mel_basis()[::8, ::4] - golden["mel_basis"]).max() < 1e-7
    assert np.abs(hann_window() - get_window("hann", 800)).max() < 1e-12


def test_mel_matches_the_official_one(golden, wave):
    mel = mel_spectrogram(wave)
    assert mel.shape == (80, 161)
    assert mel.dtype == np.float32
    assert np.abs(mel - golden["mel_synth"]).max() < 1e-4


@pytest.mark.skipif(not SPEECH.exists(), reason="needs the shared speech")
def test_mel_of_a_decoded_file_matches_the_official_one_up_to_resampling(golden):
    samples = open_speech(SPEECH).samples()
    assert len(samples) == 54015
    assert np.abs(samples[::64] - golden["bus.wave_soxr"]).max() < 1e-2
    difference = np.abs(mel_spectrogram(samples[:53760])[::2, ::3] - golden["bus.mel_soxr"])
    assert difference.max() < 0.02
    assert difference.mean() < 1e-4


@pytest.mark.parametrize("block", [1, 37, 199, 640, 799, 800, 5000, 31999])
def test_mel_of_blocks_equals_mel_of_all_samples(wave, block):
    short = wave[: 32000 if block > 1 else 1500]
    parts = list(stream_mel(short[start : start + block] for start in range(0, len(short), block)))
    assert np.abs(np.concatenate(parts, axis=1) - mel_spectrogram(short)).max() < 1e-6


@pytest.mark.parametrize("count", [1, 199, 200, 399, 400, 801])
def test_there_is_one_column_more_than_whole_hops(count):
    assert mel_spectrogram(np.ones(count, np.float32)).shape == (80, 1 + count // 200)


def test_silence_is_the_minimum_and_values_stay_in_range():
    assert np.all(mel_spectrogram(np.zeros(3200, np.float32)) == -4)
    loud = mel_spectrogram(np.sign(np.random.default_rng(0).normal(size=3200)).astype(np.float32))
    assert loud.max() <= 4
