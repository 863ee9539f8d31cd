"""Windows of mel columns: official golden values and streaming."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sadtalker_ext.audio.mel import stream_mel
from sadtalker_ext.audio.windows import mel_windows, stream_windows, window_start

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "mel.safetensors"


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN)


def test_windows_match_the_official_ones(golden):
    windows = mel_windows(golden["mel_synth"].astype(np.float32), [0, 1, 2, 3, 24, 25, 48, 49])
    assert windows.shape == (8, 1, 80, 16)
    assert np.abs(windows - golden["indiv_mels_synth"][0]).max() < 1e-6


def test_starts_truncate_toward_zero():
    assert [window_start(frame) for frame in (0, 1, 2, 3, 4, 27)] == [-6, -3, 0, 3, 6, 80]


@pytest.mark.parametrize("samples", [3200, 16000, 48640])
@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("block", [1000, 16000])
def test_streamed_windows_equal_those_of_all_samples(samples, batch, block):
    wave = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    whole = np.concatenate(list(stream_mel([wave])), axis=1)
    frames = -(-samples // 640)
    parts = list(stream_windows(stream_mel(wave[i : i + block] for i in range(0, samples, block)), frames, batch))
    assert max(len(part) for part in parts) <= batch
    assert np.array_equal(np.concatenate(parts), mel_windows(whole, range(frames)))
