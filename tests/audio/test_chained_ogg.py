"""Chained Ogg streams of different formats: all of their sound is used, and a note says so."""

import subprocess

import numpy as np
import pytest

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.system.ogg_file import chained_parts

RATE_HZ = 16000
KINDS = {
    "opus": ("-c:a", "libopus"),
    "opus stereo": ("-c:a", "libopus", "-ac", "2"),
    "vorbis": ("-c:a", "libvorbis", "-ar", "22050"),
    "flac": ("-c:a", "flac"),
    "flac 8 kHz": ("-c:a", "flac", "-ar", "8000"),
}


@pytest.fixture(scope="module")
def sounds():
    """The bytes of half a second of a tone in each kind; frequencies grow by 300 Hz."""
    made = {}
    for number, (kind, arguments) in enumerate(KINDS.items(), 1):
        source = ["-f", "lavfi", "-i", f"sine=f={300 * number}:d=0.5"]
        output = ["-serial_offset", str(number), "-f", "ogg", "-"]
        command = [ffmpeg_program(), "-v", "error", *source, *arguments, *output]
        made[kind] = subprocess.run(command, check=True, capture_output=True).stdout
    return made


def frequency_hz(samples):
    return np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * RATE_HZ / len(samples)


@pytest.mark.parametrize(
    "kinds", [("opus", "vorbis"), ("vorbis", "opus"), ("opus", "opus stereo"), ("flac", "flac 8 kHz", "vorbis")]
)
def test_all_parts_are_used_in_their_order(tmp_path, sounds, kinds):
    (tmp_path / "a.ogg").write_bytes(b"".join(sounds[kind] for kind in kinds))
    speech = open_speech(tmp_path / "a.ogg", "voice")
    samples = np.concatenate(list(speech.blocks(RATE_HZ)))
    assert len(samples) == pytest.approx(len(kinds) * RATE_HZ / 2, abs=RATE_HZ // 20)
    for number, kind in enumerate(kinds):
        part = samples[number * RATE_HZ // 2 + RATE_HZ // 8 :][: RATE_HZ // 4]
        assert frequency_hz(part) == pytest.approx(300 * (1 + list(KINDS).index(kind)), abs=15)
    assert f"consists of {len(kinds)} joined Ogg files" in speech.notes[0]


@pytest.mark.parametrize("kinds", [("opus",), ("opus", "opus"), ("vorbis", "vorbis", "vorbis")])
def test_parts_of_the_same_format_are_left_to_ffmpeg(tmp_path, sounds, kinds):
    (tmp_path / "a.ogg").write_bytes(b"".join(sounds[kind] for kind in kinds))
    assert chained_parts(tmp_path / "a.ogg") == ()


def test_files_that_alternate_without_end_are_refused(tmp_path, sounds):
    (tmp_path / "a.ogg").write_bytes((sounds["opus"] + sounds["vorbis"]) * 60)
    with pytest.raises(MediaError, match="joined Ogg files"):
        open_speech(tmp_path / "a.ogg", "voice")


@pytest.mark.parametrize("content", [b"", b"OggS", b"OggS" + bytes(23), b"OggS" + bytes(22) + b"\xff", b"RIFF" * 20])
def test_damaged_files_have_no_parts(tmp_path, content):
    (tmp_path / "a.ogg").write_bytes(content)
    assert chained_parts(tmp_path / "a.ogg") == ()
