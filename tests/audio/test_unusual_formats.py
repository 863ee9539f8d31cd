"""Numbers of channels and sample rates that recorders and damaged files state."""

import struct

import numpy as np
import pytest
from test_sound_choice import check_both, tone, wav

from sadtalker_ext.audio.decoding import MAX_BLOCK_BYTES
from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import Ffmpeg

VOICE_HZ, OTHER_HZ = 440, 1500


@pytest.mark.parametrize("channels", [9, 64])
def test_the_same_sound_on_unnamed_channels_is_averaged(tmp_path, channels):
    path = tmp_path / "voice.wav"
    wav(path, *[tone(VOICE_HZ)] * channels)
    speech = open_speech(path, "voice")
    assert speech.notes == ()
    assert speech.peak == pytest.approx(0.3, abs=0.01)
    check_both(path, speech, VOICE_HZ, tmp_path)


@pytest.mark.parametrize("channels", [9, 33])
def test_the_only_voice_among_unnamed_channels_keeps_its_level(tmp_path, channels):
    """Its share of the mix would be 1/33; the other tracks contain noise of -60 dB."""
    path = tmp_path / "voice.wav"
    sounds = [tone(OTHER_HZ, level=0.001)] * channels
    sounds[7] = tone(VOICE_HZ)
    wav(path, *sounds)
    speech = open_speech(path, "voice")
    assert speech.notes == ("The channels of the voice have no names; the loudest, channel 8, is used.",)
    assert speech.peak == pytest.approx(0.3, abs=0.01)
    check_both(path, speech, VOICE_HZ, tmp_path)


def test_more_channels_are_refused(tmp_path):
    path = tmp_path / "voice.wav"
    wav(path, *[tone(VOICE_HZ, 0.3)] * 65)
    with pytest.raises(MediaError, match="has 65 channels, more than 64"):
        open_speech(path, "voice")


def checksum(data, polynomial, bits):
    """Return a cyclic redundancy check as in FLAC (RFC 9639, 9.1.8 and 9.3)."""
    value, top = 0, 1 << bits
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = (value << 1) ^ (polynomial | top if value & top >> 1 else 0)
    return value


def flac(rates_hz, block):
    """Return a FLAC file of constant samples: one frame of ``block`` samples for each rate (RFC 9639)."""
    first, total = rates_hz[0], len(rates_hz) * block
    stream = struct.pack(">HH", block, block) + bytes(6) + (first << 44 | 15 << 36 | total).to_bytes(8, "big")
    content = b"fLaC\x80" + (34).to_bytes(3, "big") + stream + bytes(16)
    for number, rate_hz in enumerate(rates_hz):
        head = b"\xff\xf8\x7d\x08" + bytes([number]) + struct.pack(">HH", block - 1, rate_hz)
        frame = head + bytes([checksum(head, 0x07, 8)]) + b"\0" + struct.pack(">h", 900)
        content += frame + checksum(frame, 0x8005, 16).to_bytes(2, "big")
    return content


def test_files_of_constant_samples_are_read(tmp_path):
    path = tmp_path / "voice.flac"
    path.write_bytes(flac([16000, 8000, 16000], 8000))
    speech = open_speech(path, "voice")
    assert speech.duration_s == pytest.approx(2.0, abs=0.01)
    assert np.median(speech.samples()) == pytest.approx(900 / 32768, rel=0.01)


@pytest.mark.parametrize("rate_hz", [1, 2, 999])
def test_rates_below_a_thousand_are_refused(tmp_path, rate_hz):
    path = tmp_path / "voice.flac"
    path.write_bytes(flac([rate_hz] * 3, 16384))
    with pytest.raises(MediaError, match=f"states a sample rate of {rate_hz} Hz, below 1000 Hz"):
        open_speech(path, "voice")


def test_a_rate_that_falls_within_a_file_takes_no_memory(tmp_path, monkeypatch):
    """100 bytes that last for days would take gigabytes: at 1 Hz, each sample becomes 16,000."""
    path = tmp_path / "voice.flac"
    path.write_bytes(flac([16000, 1, 1, 1], 7000))
    commands = []
    start = Ffmpeg.__init__

    def record(self, arguments, *further, **named):
        commands.append(list(arguments))
        start(self, arguments, *further, **named)

    monkeypatch.setattr(Ffmpeg, "__init__", record)
    with pytest.raises(MediaError, match="Cannot allocate memory"):
        open_speech(path, "voice")
    assert ["-max_alloc", str(MAX_BLOCK_BYTES)] == commands[-1][2:4]
    assert MAX_BLOCK_BYTES <= 1 << 26
