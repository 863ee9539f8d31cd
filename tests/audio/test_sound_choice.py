"""Which track, channel and part of a file is used, for the speech and for the sound of the result."""

import struct
import subprocess

import numpy as np
import pytest
import soundfile

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.video.read import probe
from sadtalker_ext.video.write import VideoSpec, write_video

RATE_HZ = 16000


def tone(frequency_hz, seconds=1.0, level=0.3):
    return level * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def wav(path, *channels, rate_hz=RATE_HZ):
    soundfile.write(path, np.stack(channels, axis=1), rate_hz, subtype="PCM_16")
    return path


def tracks(path, *sounds, default=None):
    """Write a file with one audio track per sound."""
    inputs, maps = [], []
    for number, sound in enumerate(sounds):
        source = wav(path.with_name(f"source_{number}.wav"), *sound)
        inputs += ["-i", source]
        maps += ["-map", f"{number}:a", f"-disposition:a:{number}", "default" if number == default else "0"]
    command = [ffmpeg_program(), "-v", "error", "-y", *inputs, *maps, "-c:a", "flac", path]
    subprocess.run(command, check=True)
    return path


def frequency_hz(samples):
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.fft.rfftfreq(len(samples), 1 / RATE_HZ)[spectrum.argmax()]


def check_both(path, speech, expected_hz, tmp_path):
    """The speech and the sound of a video made with it have this frequency; return the video's samples."""
    assert frequency_hz(speech.samples()) == pytest.approx(expected_hz, abs=3)
    frames = [np.zeros((64, 64, 3), np.uint8)] * speech.frames
    spec = VideoSpec(frame_count=len(frames), audio=speech.source)
    result = open_speech(write_video(frames, tmp_path / "result.mp4", spec).path)
    assert frequency_hz(result.samples()) == pytest.approx(expected_hz, abs=3)
    assert result.peak > 0.1
    return result


@pytest.mark.parametrize("louder", [0, 1])
@pytest.mark.parametrize("imbalance", [1.0, 1.1])
def test_channels_that_cancel_each_other(tmp_path, louder, imbalance):
    sound = tone(440) + 0.05 * tone(3000)
    channels = [sound / imbalance, -sound / imbalance]
    channels[louder] = channels[louder] * imbalance
    path = wav(tmp_path / "a.wav", *channels)
    speech = open_speech(path, "voice")
    assert speech.peak == pytest.approx(0.3, abs=0.03)
    if imbalance > 1:
        assert speech.source.channel == louder
    assert ["cancel each other" in note for note in speech.notes] == [True]
    result = check_both(path, speech, 440, tmp_path)
    assert probe(tmp_path / "result.mp4").audio.channels == 1
    assert np.abs(result.samples()).max() == pytest.approx(0.3, abs=0.05)


def test_cancelled_channels_among_six(tmp_path):
    sound, silent = tone(440), np.zeros(RATE_HZ)
    speech = open_speech(wav(tmp_path / "a.wav", sound, -sound, silent, silent, silent, silent))
    assert speech.source.channel == 0
    assert speech.peak == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    "channels",
    [(tone(440), tone(440)), (tone(440), np.zeros(RATE_HZ)), (np.zeros(RATE_HZ), tone(440)), (tone(440), tone(700)),
     (tone(440, level=0.02), tone(440, level=0.02)), (tone(440, level=0.05), tone(700, level=0.04))],
)  # fmt: skip
def test_usual_channels_are_mixed(tmp_path, channels):
    speech = open_speech(wav(tmp_path / "a.wav", *channels))
    assert speech.source.channel is None
    assert speech.notes == ()
    assert np.abs(speech.samples() - (channels[0] + channels[1]) / 2).max() < 1e-3


@pytest.mark.parametrize("name", ["a.mkv", "a.mka", "a.mp4"])
def test_silent_first_track_and_speaking_default_track(tmp_path, name):
    path = tracks(tmp_path / name, [np.zeros(RATE_HZ)] * 2, [tone(440)], default=1)
    speech = open_speech(path, "voice")
    assert speech.source.track == 1
    assert speech.notes == ()
    check_both(path, speech, 440, tmp_path)


def test_silent_default_track_and_speaking_other_track(tmp_path):
    path = tracks(tmp_path / "a.mkv", [np.zeros(RATE_HZ)], [tone(440), -tone(440)], [tone(700)], default=0)
    speech = open_speech(path, "voice")
    assert (speech.source.track, speech.source.channel) == (1, 0)
    assert "Track 1 of the voice is silent; track 2 is used." in speech.notes
    check_both(path, speech, 440, tmp_path)


def test_default_track_comes_first(tmp_path):
    path = tracks(tmp_path / "a.mkv", [tone(440)], [tone(700)], default=1)
    assert frequency_hz(open_speech(path).samples()) == pytest.approx(700, abs=3)


@pytest.mark.parametrize(("track", "expected_hz"), [(1, 440), (2, 700), (3, 900)])
def test_chosen_track(tmp_path, track, expected_hz):
    path = tracks(tmp_path / "a.mkv", [tone(440)], [tone(700)], [tone(900)], default=1)
    speech = open_speech(path, "voice", track)
    assert speech.source.track == track - 1
    check_both(path, speech, expected_hz, tmp_path)


def test_all_silent_tracks(tmp_path):
    speech = open_speech(tracks(tmp_path / "a.mkv", [np.zeros(RATE_HZ)], [np.zeros(RATE_HZ)]))
    assert speech.peak == 0
    assert speech.source.track == 0


def test_missing_track_is_refused(tmp_path):
    with pytest.raises(MediaError, match=r"voice .*a\.wav has 1 audio track, but not track 2: choose one of these"):
        open_speech(wav(tmp_path / "a.wav", tone(440)), "voice", 2)
    with pytest.raises(MediaError, match=r"has 2 audio tracks, but not track 3"):
        open_speech(tracks(tmp_path / "a.mkv", [tone(440)], [tone(700)]), "voice", 3)


def joined(tmp_path, *parts):
    path = tmp_path / "joined, with 100% 'commas'.wav"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_joined_wav_files_are_used_whole(tmp_path):
    first, second = wav(tmp_path / "1.wav", tone(440)), wav(tmp_path / "2.wav", tone(700, 0.5))
    path = joined(tmp_path, first, second, first)
    speech = open_speech(path, "voice")
    expected = np.concatenate([tone(440), tone(700, 0.5), tone(440)])
    assert speech.sample_count == len(expected)
    assert np.abs(speech.samples() - expected).max() < 1e-3
    assert speech.notes == ("The voice consists of 3 joined WAV files; all of them are used, one after another.",)
    result = check_both(path, speech, 440, tmp_path)
    assert result.duration_s == pytest.approx(2.5, abs=0.08)
    middle = result.samples()[round(1.1 * RATE_HZ) : round(1.4 * RATE_HZ)]
    assert frequency_hz(middle) == pytest.approx(700, abs=5)


def test_joined_wav_files_of_different_formats(tmp_path):
    first = wav(tmp_path / "1.wav", tone(440))
    soundfile.write(tmp_path / "2.wav", np.repeat(tone(700), 3)[:, None].repeat(2, 1), 48000, subtype="FLOAT")
    speech = open_speech(joined(tmp_path, first, tmp_path / "2.wav"))
    assert speech.duration_s == pytest.approx(2.0, abs=0.01)
    assert np.abs(speech.samples()[:RATE_HZ] - tone(440)).max() < 1e-3


def test_too_many_joined_wav_files_are_refused(tmp_path):
    part = wav(tmp_path / "1.wav", tone(440, 0.02))
    assert open_speech(joined(tmp_path, *[part] * 64)).sample_count == 64 * 320
    with pytest.raises(MediaError, match="consists of more than 64 joined WAV files: export it as one"):
        open_speech(joined(tmp_path, *[part] * 65))


def with_stated_seconds(path, seconds):
    """Change the length that the header states."""
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", round(seconds * RATE_HZ) * 2)
    path.write_bytes(content)
    return path


def test_header_that_states_too_little(tmp_path):
    path = with_stated_seconds(wav(tmp_path / "a.wav", np.concatenate([tone(440), tone(700, level=0.2)])), 0.7)
    speech = open_speech(path, "voice")
    assert speech.sample_count == 2 * RATE_HZ
    assert speech.notes == (
        "The header of the voice states 0.7 s, but there are 2.0 s of sound; all of it is used.",
    )  # fmt: skip
    assert check_both(path, speech, 440, tmp_path).duration_s == pytest.approx(2.0, abs=0.08)


def test_header_that_states_too_much(tmp_path):
    path = with_stated_seconds(wav(tmp_path / "a.wav", tone(440)), 60.0)
    speech = open_speech(path, "voice")
    assert speech.sample_count == RATE_HZ
    assert speech.notes == (
        "The voice ends after 1.0 s, although its header states 60.0 s; what is there is used.",
    )  # fmt: skip


@pytest.mark.parametrize("stated", [0, 0xFFFFFFFF])
def test_unknown_length_is_read_to_the_end_without_a_note(tmp_path, stated):
    path = wav(tmp_path / "a.wav", tone(440))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", stated)
    path.write_bytes(content)
    speech = open_speech(path)
    assert speech.sample_count == RATE_HZ
    assert speech.notes == ()


@pytest.mark.parametrize("after", [b"", b"\0", b"LIST\4\0\0\0INFO", b"id3 \2\0\0\0ab" * 3, bytes(40)])
def test_chunks_after_the_sound_are_not_sound(tmp_path, after):
    path = wav(tmp_path / "a.wav", tone(440))
    path.write_bytes(path.read_bytes() + after)
    speech = open_speech(path)
    assert speech.sample_count == RATE_HZ
    assert speech.notes == ()


@pytest.mark.parametrize("name", ["a.flac", "a.mp3"])
def test_other_files_that_are_cut_off(tmp_path, name):
    source = wav(tmp_path / "a.wav", tone(440, 6.0) + 0.01 * np.random.default_rng(0).standard_normal(6 * RATE_HZ))
    subprocess.run([ffmpeg_program(), "-v", "error", "-i", source, "-b:a", "64k", tmp_path / name], check=True)
    assert open_speech(tmp_path / name, "voice").notes == ()
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    speech = open_speech(tmp_path / name, "voice")
    assert 2.5 < speech.duration_s < 3.5
    assert "although its header states 6." in speech.notes[0]


def test_wav_parts_are_inside_the_file(tmp_path):
    """Changed bytes never make the reader leave the file, or fail with another error."""
    from sadtalker_ext.system.wav_file import read_wav_file

    path = joined(tmp_path, wav(tmp_path / "1.wav", tone(440, 0.05)), wav(tmp_path / "2.wav", tone(700, 0.05)))
    content, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(content)
        for at in random.choice([*range(60), *range(1640, 1700)], 3):
            changed[at] = random.integers(256)
        path.write_bytes(changed)
        found = read_wav_file(path)
        if found is not None:
            assert all(0 <= begin < end <= len(changed) for begin, end in found.parts)
            assert found.present_s >= 0
