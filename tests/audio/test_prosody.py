"""Prosody: independence of the block size, known pitch, phrases and emphasis, silence and noise."""

import librosa
import numpy as np
import pytest

from sadtalker_ext.audio.pitch import measure_frames
from sadtalker_ext.audio.prosody import measure_prosody

RATE = 16000


def voice(duration_s: float, pitch_hz: float, gain: float = 0.3) -> np.ndarray:
    """A harmonic tone with 20 partials."""
    times = np.arange(int(duration_s * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * times) / k for k in range(1, 21) if pitch_hz * k < 7000)
    return (gain * wave / np.max(np.abs(wave))).astype(np.float32)


def sentence(accents: tuple[int, ...] = (4, 10), syllables: int = 14) -> np.ndarray:
    """Syllables of 0.2 s; the accented ones are louder and higher."""
    shape = np.hanning(int(0.2 * RATE)).astype(np.float32)
    parts = [voice(0.2, 150 if k in accents else 115, 0.5 if k in accents else 0.12) * shape for k in range(syllables)]
    return np.concatenate(parts)


def quiet(duration_s: float) -> np.ndarray:
    return np.random.default_rng(7).normal(0, 1e-4, int(duration_s * RATE)).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [75.0, 120.0, 233.0, 440.0])
def test_pitch_of_a_harmonic_tone_is_found_within_half_a_semitone(pitch_hz: float) -> None:
    tracks = measure_frames([voice(2.0, pitch_hz)])
    inner = tracks.pitch_hz[3:-3]
    assert np.all(np.abs(12 * np.log2(inner / pitch_hz)) < 0.5)
    assert np.all(tracks.voicing[3:-3] > 0.9)


@pytest.mark.parametrize("size", [160, 640, 4001, 320000])
def test_result_does_not_depend_on_the_block_size(size: int) -> None:
    sound = np.concatenate([quiet(0.37), sentence(), quiet(0.8), sentence((2,)), quiet(0.2)])
    whole = measure_prosody([sound])
    cut = measure_prosody(sound[start : start + size] for start in range(0, len(sound), size))
    assert len(whole) == len(cut) == -(-len(sound) // 640)
    for name in ("energy", "speech", "pitch_st", "emphasis", "phrase_starts", "phrase_ends"):
        np.testing.assert_allclose(getattr(whole, name), getattr(cut, name), atol=1e-5, err_msg=name)


def test_phrases_are_found_at_their_positions_also_in_noise() -> None:
    first, second = sentence(), sentence((2,), 8)
    sound = np.concatenate([quiet(0.5), first, quiet(0.7), second, quiet(0.6)])
    noisy = sound + np.random.default_rng(1).normal(0, 0.01, len(sound)).astype(np.float32)
    for samples in (sound, noisy):
        prosody = measure_prosody([samples])
        np.testing.assert_allclose(prosody.phrase_starts, [12.5, 12.5 + 70 + 17.5], atol=3)
        np.testing.assert_allclose(prosody.phrase_ends, [82.5, 100 + 40], atol=3)


def test_emphasis_marks_the_accented_syllables() -> None:
    prosody = measure_prosody([np.concatenate([quiet(0.4), sentence((4, 10)), quiet(0.4)])])
    middles = 10 + 5 * np.arange(14) + 2.5
    heights = np.array([prosody.emphasis[int(m) - 1 : int(m) + 2].max() for m in middles])
    assert set(np.argsort(heights)[-2:]) == {4, 10}
    assert heights[[4, 10]].min() > 2 * np.delete(heights, [4, 10]).max()


def test_loudness_of_the_recording_does_not_matter() -> None:
    sound = np.concatenate([quiet(0.4), sentence(), quiet(0.4)])
    loud, soft = measure_prosody([sound]), measure_prosody([sound * 0.1])
    np.testing.assert_allclose(loud.energy, soft.energy, atol=0.02)
    np.testing.assert_allclose(loud.emphasis, soft.emphasis, atol=0.05)


@pytest.mark.parametrize("kind", ["nothing", "zeros", "hiss", "loud hiss", "rumble"])
def test_audio_without_voice_has_no_prosody(kind: str) -> None:
    rng = np.random.default_rng(3)
    sounds = {
        "nothing": np.zeros(0, np.float32),
        "zeros": np.zeros(RATE * 3, np.float32),
        "hiss": rng.normal(0, 1e-3, RATE * 3).astype(np.float32),
        "loud hiss": rng.normal(0, 0.3, RATE * 3).astype(np.float32),
        "rumble": (np.cumsum(rng.normal(0, 0.01, RATE * 3)) * 0.05).astype(np.float32),
    }
    prosody = measure_prosody([sounds[kind]], frames=75)
    assert len(prosody) == 75
    assert prosody.emphasis.max() == 0.0
    assert prosody.energy.max() == 0.0
    assert len(prosody.phrase_ends) == 0


def test_tracks_are_cut_or_padded_to_the_number_of_frames() -> None:
    sound = sentence()
    shorter, longer = measure_prosody([sound], 20), measure_prosody([sound], 200)
    assert (len(shorter), len(longer)) == (20, 200)
    assert longer.speech[90:].max() < 0.01


@pytest.mark.parametrize("frames", [1, 2, 5, 8])
def test_clips_shorter_than_a_word_have_prosody(frames: int) -> None:
    assert len(measure_prosody([sentence((1, 2))[: frames * 640]], frames)) == frames


def test_memory_does_not_grow_with_the_duration() -> None:
    import tracemalloc

    block = np.concatenate([quiet(0.4), sentence(), quiet(0.8)])

    def peak_mb(count: int) -> float:
        tracemalloc.start()
        measure_prosody(block for _ in range(count))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / 1e6

    assert peak_mb(120) - peak_mb(5) < 6.0, "eight minutes against twenty seconds"


def test_pitch_matches_librosa() -> None:
    times_s = np.arange(10 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(times_s)) / RATE
    wave = sum(np.sin(k * phase) / k for k in range(1, 15)).astype(np.float32)
    oracle = librosa.yin(wave, fmin=65, fmax=500, sr=RATE, frame_length=1024, hop_length=640)
    times = np.arange(len(oracle)) - 0.5  # librosa centres frames at multiples of the hop
    ours = np.interp(np.arange(10, 240), np.arange(250), measure_frames([wave]).pitch_hz)
    expected = np.interp(np.arange(10, 240), times, oracle)
    assert np.abs(12 * np.log2(ours / expected)).max() < 0.25


def test_phrases_start_at_onsets_of_librosa() -> None:
    sound = np.concatenate([quiet(0.5), sentence(), quiet(0.7), sentence((2,), 8), quiet(0.6)])
    onsets = librosa.onset.onset_detect(y=sound, sr=RATE, hop_length=640)
    for start in measure_prosody([sound]).phrase_starts:
        assert np.abs(onsets - start).min() <= 3
