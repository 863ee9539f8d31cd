"""Texts become WAV files part by part; the providers read real speech."""

import json
import threading
import wave

import numpy as np
import pytest

from sadtalker_ext.errors import MediaError, SettingsError, WeightsError
from sadtalker_ext.tts import espeak_library, espeak_process, piper_provider, synthesis, voices
from sadtalker_ext.tts.espeak_process import synthesise_in_subprocess
from sadtalker_ext.tts.provider import Voice
from sadtalker_ext.tts.synthesis import write_speech

TEXT = "Hello Bob, how are you today?"


def no_report(_done, _total):
    pass


class Tone:
    """A reader whose speech is a tone of 10 ms per character."""

    rate_hz = 8000

    def __init__(self, peak=0.5):
        self.peak = peak
        self.texts = []

    def read(self, text):
        self.texts.append(text)
        yield self.peak * np.sin(np.arange(80 * len(text)) * 0.5).astype(np.float32)


def read_wav(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
        return samples, file.getframerate()


def speak(name, path, rate=1.0):
    """Samples and sample rate of the text read by a voice."""
    voice = voices.find_voice(name, ())
    write_speech(TEXT, voices.open_voice(voice, rate), path, no_report)
    return read_wav(path)


def test_parts_are_written_one_after_another(tmp_path):
    reports, reader = [], Tone()
    text = "This sentence is read by a tone, which has no words at all but a length. " * 9
    write_speech(text, reader, tmp_path / "a.wav", lambda *counts: reports.append(counts))
    samples, rate_hz = read_wav(tmp_path / "a.wav")
    assert len(reader.texts) == 3
    assert reports == [(0, 3), (1, 3), (2, 3), (3, 3)]
    expected = round(synthesis.LEAD_IN_S * rate_hz) + 80 * sum(map(len, reader.texts))
    assert len(samples) == expected
    assert not samples[: round(0.19 * rate_hz)].any()
    assert np.abs(samples).max() == pytest.approx(0.5, abs=1e-3)


def test_a_report_ends_the_synthesis(tmp_path):
    def stop(done, _total):
        if done == 1:
            raise KeyboardInterrupt

    reader = Tone()
    with pytest.raises(KeyboardInterrupt):
        write_speech("A sentence of some length, again and again. " * 40, reader, tmp_path / "a.wav", stop)
    assert len(reader.texts) == 1


def test_inaudible_speech_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="a voice of the text's language"):
        write_speech(TEXT, Tone(peak=0.0), tmp_path / "a.wav", no_report)


def test_speech_beyond_the_longest_voice_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "MAX_CLIP_S", 3600.0 / 4000)
    with pytest.raises(MediaError, match="divide the text"):
        write_speech("word " * 100, Tone(), tmp_path / "a.wav", no_report)


def test_loud_speech_is_clipped(tmp_path):
    write_speech(TEXT, Tone(peak=3.0), tmp_path / "a.wav", no_report)
    assert np.abs(read_wav(tmp_path / "a.wav")[0]).max() == 1.0


def test_espeak_reads_at_the_chosen_speed(tmp_path):
    slow, rate_hz = speak("en-us", tmp_path / "a.wav")
    fast, _ = speak("en-us", tmp_path / "b.wav", 1.6)
    assert 1.0 < len(slow) / rate_hz < 4.0
    assert 0.5 < len(fast) / len(slow) < 0.85
    assert np.abs(slow).max() > 0.1


def test_espeak_variants_sound_different_and_repeat(tmp_path):
    one, two, again = (speak(name, tmp_path / "a.wav")[0] for name in ("en-us", "en-us+f2", "en-us"))
    assert np.array_equal(one, again)
    assert len(one) != len(two) or not np.array_equal(one, two)


def test_threads_share_the_espeak_library_in_turn():
    def read():
        found.append(espeak_library.synthesise("de", "Guten Tag", espeak_library.EspeakSettings()))

    found = []

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    phones = [[name for name, _ in timed if name] for _, _, timed in found]
    assert phones[0][0] == "ɡ"
    assert phones == [phones[0]] * 4
    lengths = [len(samples) for samples, _, _ in found]
    assert max(lengths) < 1.02 * min(lengths)


def test_failures_of_espeak_are_one_sentence(monkeypatch):
    with pytest.raises(MediaError, match=r"aloud \(espeak-ng has no voice 'xx'.*\); choose another voice$"):
        synthesise_in_subprocess("xx", "a", 175)
    monkeypatch.setattr(espeak_process.sys, "executable", "/missing/python")
    with pytest.raises(MediaError, match="choose another voice"):
        synthesise_in_subprocess("en-us", "a", 175)


def test_piper_gives_the_same_speech_again(tmp_path):
    name = "en_US-joe-medium"
    one, rate_hz = speak(name, tmp_path / "a.wav")
    again, _ = speak(name, tmp_path / "a.wav")
    fast, _ = speak(name, tmp_path / "a.wav", 2.0)
    assert rate_hz == 22050
    assert np.array_equal(one, again)
    assert 1.0 < len(one) / rate_hz < 4.0
    assert len(fast) < 0.8 * len(one)


def test_a_damaged_piper_voice_is_named(tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"no network")
    for content in (b"{", b"[]", json.dumps({"audio": {"sample_rate": 1}}).encode()):
        path.with_name("bad.onnx.json").write_bytes(content)
        (voice,) = [voice for voice in piper_provider.PiperProvider().voices([tmp_path]) if voice.name == "bad"]
        with pytest.raises(WeightsError, match=r"voice file .*bad\.onnx cannot be used .*download it again"):
            voices.open_voice(voice)


def test_voices_are_found_by_name():
    listed = voices.list_voices(())
    assert listed[0].name == "en_US-joe-medium"
    assert len({voice.name for voice in listed}) == len(listed) > 100
    assert voices.find_voice("", ()) == listed[0]
    assert voices.find_voice("EN_us-joe-medium.onnx", ()) == listed[0]
    assert voices.find_voice("de", ()) == Voice("de", "espeak-ng", "de", "German, synthetic")
    assert voices.find_voice("de+f3", ()).name == "de+f3"
    with pytest.raises(SettingsError, match="did you mean en-gb"):
        voices.find_voice("en-gbb", ())
    with pytest.raises(SettingsError, match="no voice named 'joe'; did you mean en_US-joe-medium"):
        voices.find_voice("joe", ())


def test_files_in_checkpoint_folders_come_first(tmp_path):
    for name in ("b", "a", "alone"):
        (tmp_path / f"{name}.onnx").touch()
        if name != "alone":
            (tmp_path / f"{name}.onnx.json").write_text('{"espeak": {"voice": "fr"}, "audio": {"quality": "low"}}')
    found = voices.list_voices((tmp_path, tmp_path / "missing"))
    assert [(voice.name, voice.language, voice.label) for voice in found[:2]] == [
        ("a", "fr", "neural, low quality"), ("b", "fr", "neural, low quality"),
    ]  # fmt: skip
    assert "alone" not in [voice.name for voice in found]


def test_without_packages_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(voices, "PROVIDERS", ())
    with pytest.raises(Exception, match="pip install piper-tts espeakng-loader"):
        voices.find_voice("", ())
