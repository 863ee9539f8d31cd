"""Speech: formats, resampling, blocks, limits and error messages."""

import subprocess
import tracemalloc
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import soxr

from sadtalker_ext.audio.speech import open_speech, silence
from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program

POPEN = subprocess.Popen


def convert(source, target, *arguments):
    subprocess.run([ffmpeg_program(), "-v", "error", "-y", "-i", source, *arguments, target], check=True)
    return target


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_resampling_matches_soxr_for_any_rate_and_channels(make_audio, rate_hz, channels):
    path = make_audio("tone.wav", 1.37, rate_hz, channels)
    speech = open_speech(path)
    samples = speech.samples()
    wave, _ = soundfile.read(path, always_2d=True)
    expected = soxr.resample(wave.mean(axis=1), rate_hz, 16000, "HQ")
    assert samples.dtype == np.float32
    assert len(samples) == speech.sample_count
    assert abs(len(samples) - len(expected)) <= 1
    inner = slice(400, 21000)  # resamplers differ at the ends
    assert np.abs(samples[inner] - expected[inner]).max() < 2e-3


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_mono_is_the_mean_of_the_channels_in_any_sample_format(tmp_path, subtype):
    wave = np.random.default_rng(0).normal(0, 0.2, (8000, 2)).clip(-1, 1)
    soundfile.write(tmp_path / "two.wav", wave, 16000, subtype=subtype)
    assert np.abs(open_speech(tmp_path / "two.wav").samples() - wave.mean(axis=1)).max() < 1e-4


@pytest.mark.parametrize("channels", [3, 4, 6, 8])
def test_surround_sound_is_mixed(make_audio, channels):
    speech = open_speech(make_audio("many.wav", 0.5, 44100, channels))
    assert speech.sample_count == pytest.approx(8000, abs=1)
    assert np.abs(speech.samples()).max() > 0.02


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("a.mp3", []), ("a.M4A", ["-f", "ipod"]), ("a.ogg", []), ("a.opus", []), ("a.flac", []), ("a.aac", []),
     ("a.mp4", ["-f", "mp4"]), ("a.mkv", [])],
)  # fmt: skip
def test_formats(make_audio, tmp_path, name, arguments):
    path = convert(make_audio("tone.wav", 2.0, 44100, 2), tmp_path / name, *arguments)
    assert open_speech(path).duration_s == pytest.approx(2.0, abs=0.06)


def test_audio_of_a_video(make_audio, tmp_path):
    path = convert(make_audio("tone.wav", 1.0), tmp_path / "v.mp4", "-f", "lavfi", "-i", "color=s=64x64:d=1")
    assert open_speech(path).duration_s == pytest.approx(1.0, abs=0.05)


def test_file_name_that_looks_like_options_protocols_and_patterns(make_audio, tmp_path):
    odd = tmp_path / "-i http: %03d 日本語 'x' #1.wav"
    make_audio("tone.wav", 0.5).rename(odd)
    assert open_speech(odd).sample_count == 8000


def test_length_is_counted_in_samples_not_read_from_the_header(make_audio):
    path = make_audio("cut.wav", 4.0)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert open_speech(path).duration_s == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(("samples", "frames"), [(3200, 5), (16000, 25), (16001, 26), (16639, 26), (16640, 26)])
def test_frames_cover_the_audio_within_one_frame(tmp_path, samples, frames):
    soundfile.write(tmp_path / "n.wav", np.zeros(samples), 16000)
    speech = open_speech(tmp_path / "n.wav")
    assert speech.frames == frames
    assert 0 <= speech.frames / 25 - speech.duration_s < 0.04


def test_blocks_are_consecutive_parts(make_audio):
    speech = open_speech(make_audio("tone.wav", 3.3, 44100))
    blocks = list(speech.blocks(seconds=1.0))
    assert [len(block) for block in blocks] == [16000, 16000, 16000, 4800]
    assert np.array_equal(np.concatenate(blocks), speech.samples())


def test_blocks_overlap(make_audio):
    speech = open_speech(make_audio("tone.wav", 3.3))
    blocks = list(speech.blocks(seconds=1.0, overlap_s=0.25))
    for before, after in pairwise(blocks):
        assert np.array_equal(before[-4000:], after[:4000])
    assert max(len(block) for block in blocks) == 16000
    assert np.array_equal(np.concatenate([blocks[0], *(b[4000:] for b in blocks[1:])]), speech.samples())


def test_overlap_as_long_as_the_block_is_rejected(make_audio):
    with pytest.raises(ValueError, match="overlap"):
        open_speech(make_audio("tone.wav", 1.0)).blocks(seconds=1.0, overlap_s=1.0)


def test_closing_the_iterator_ends_the_decoder(make_audio, monkeypatch):
    speech = open_speech(make_audio("long.wav", 200.0))
    started = []

    def popen(*arguments, **options):
        started.append(POPEN(*arguments, **options))
        return started[-1]

    monkeypatch.setattr("sadtalker_ext.ffmpeg.subprocess.Popen", popen)
    with closing(speech.blocks(seconds=0.1)) as blocks:
        next(blocks)
        assert started[0].poll() is None
    assert started[0].returncode not in (None, 0)


def test_memory_does_not_grow_with_the_length(make_audio):
    def peak_bytes(seconds):
        path = make_audio(f"{seconds}.wav", seconds, 8000)
        tracemalloc.start()
        speech = open_speech(path)
        count = sum(len(block) for block in speech.blocks())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == speech.sample_count
        return peak

    assert peak_bytes(400) - peak_bytes(40) < 200_000


def test_silence():
    speech = silence(2.5)
    assert (speech.path, speech.frames, speech.duration_s) == (None, 63, 2.5)
    assert np.array_equal(np.concatenate(list(speech.blocks(seconds=0.7))), np.zeros(40000, np.float32))
    with pytest.raises(MediaError, match="0 s"):
        silence(0.0)


def error_of(path):
    with pytest.raises(MediaError) as caught:
        open_speech(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.count(": ") >= 1
    return message


@pytest.mark.parametrize(
    ("share", "expected"),
    [((0.0, 1.0), [25, 50, 75, 100, 125, 150]), ((0.0, 0.5), [25, 50, 75]), ((0.5, 1.0), [100, 125, 150])],
)
def test_readers_report_each_second_of_their_share_of_the_work(share, expected):
    seen = []
    speech = silence(6.0).with_check(lambda: None, seen.append)
    assert sum(map(len, speech.reported_blocks(share))) == speech.sample_count
    np.testing.assert_allclose(seen, expected, atol=1)


def test_files_without_audio_are_rejected(tmp_path):
    assert "does not exist" in error_of(tmp_path / "none.wav")
    assert "is a folder" in error_of(tmp_path)
    empty, text, noise = tmp_path / "empty.wav", tmp_path / "text.wav", tmp_path / "noise.mp3"
    empty.touch()
    text.write_text("not audio\n" * 50)
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    assert "is empty" in error_of(empty)
    assert "Invalid data found" in error_of(text)
    assert "cannot be read" in error_of(noise)


def test_video_without_audio_is_rejected(tmp_path):
    silent = tmp_path / "silent.mp4"
    subprocess.run([ffmpeg_program(), "-v", "error", "-f", "lavfi", "-i", "color=s=64x64:d=1", silent], check=True)
    assert "has no audio" in error_of(silent)


def test_truncated_file_is_rejected(make_audio, tmp_path):
    path = convert(make_audio("tone.wav", 2.0), tmp_path / "cut.m4a")
    path.write_bytes(path.read_bytes()[:2000])
    assert "moov atom not found" in error_of(path)


def test_too_short_and_too_long_files_are_rejected(make_audio, tmp_path, monkeypatch):
    assert "at least 0.2 s" in error_of(make_audio("short.wav", 0.19))
    assert open_speech(make_audio("just.wav", 0.2)).frames == 5
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 16000)
    assert "no samples" in error_of(tmp_path / "nothing.wav")
    monkeypatch.setattr("sadtalker_ext.audio.sound_choice.MAX_CLIP_S", 3.0)
    assert "cut it into parts" in error_of(make_audio("long.wav", 60.0))


def test_errors_show_the_display_name_instead_of_the_path(tmp_path):
    path = tmp_path / "3f.wav"
    path.write_text("not audio\n" * 50)
    with pytest.raises(MediaError) as caught:
        open_speech(path, "voice")
    message = caught.value.describe({path: "me.wav"})
    assert message.startswith("The voice me.wav cannot be read")
    assert str(tmp_path) not in message
