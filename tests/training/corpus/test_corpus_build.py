"""Shards, augmentation and features of the corpus; missing voices are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_speech import phones_of, synthetic_stream

from sadtalker_ext.errors import MediaError, MissingPackageError, WeightsError
from sadtalker_ext.models.speech_to_expression import LogMel, SpeechToExpressionConfig
from sadtalker_ext.training.corpus import augment as augmentation
from sadtalker_ext.training.corpus import voices as voices_module
from sadtalker_ext.training.corpus.augment import Stream, augment
from sadtalker_ext.training.corpus.background_sounds import make_music, make_noise
from sadtalker_ext.training.corpus.build import Shard, pack_shard
from sadtalker_ext.training.corpus.phonemes import SILENCE, SYMBOL_INDEX
from sadtalker_ext.training.corpus.texts import sample_sentences
from sadtalker_ext.training.corpus.voices import Phone, Utterance, Voice, natural_voices, require_voices
from sadtalker_ext.training.starter.speech_features import (
    Features,
    compute_features,
    make_streams,
    merge_silences,
    split_streams,
)


def utterance(amplitude=0.5):
    """0.3 s silence, 0.3 s of a loud tone (a), 0.3 s of a quiet one (m), 0.1 s silence."""
    times = np.arange(4800) / 16000
    tone = np.sin(2 * np.pi * 200 * times)
    parts = [np.zeros(4800), amplitude * tone, 0.1 * amplitude * tone, np.zeros(1600)]
    samples = np.concatenate(parts).astype(np.float32)
    cuts = (0.0, 0.3, 0.6, 0.9, 1.0)
    timed = zip(("", "a", "m", ""), cuts[:-1], cuts[1:], strict=True)
    return Utterance(samples, tuple(Phone(symbol, start, end) for symbol, start, end in timed))


def test_shard_round_trip(tmp_path: Path):
    pack_shard([utterance(0.5), utterance(0.1)]).save(tmp_path / "s.npz")
    items = list(Shard.load(tmp_path / "s.npz").utterances())
    assert len(items) == 2
    for samples, phones, symbols in items:
        assert len(samples) == 16000
        assert np.abs(samples).max() == pytest.approx(0.7 * 32767, abs=2)
        np.testing.assert_allclose(phones[:, 1], [0.3, 0.6, 0.9, 1.0], atol=1e-6)
        assert symbols.tolist() == [SYMBOL_INDEX[s] for s in ("", "a", "m", "")]
        assert phones[1, 2] - phones[2, 2] > 8
        assert phones[0, 2] < -5


def test_shard_with_another_phone_table_is_refused(tmp_path: Path):
    shard = pack_shard([utterance()])
    from dataclasses import replace

    replace(shard, table=shard.table[:-1]).save(tmp_path / "s.npz")
    with pytest.raises(WeightsError, match="outdated phone table"):
        Shard.load(tmp_path / "s.npz")
    (tmp_path / "t.npz").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="not a shard"):
        Shard.load(tmp_path / "t.npz")


def test_splits_share_no_utterances():
    shard = pack_shard([utterance() for _ in range(24)])
    counts = []
    for test in (False, True):
        streams = list(make_streams(shard, test, np.random.default_rng(0)))
        counts.append(sum((stream.phones.symbol == SYMBOL_INDEX["a"]).sum() for stream in streams))
    assert counts == [21, 3]


def test_streams_have_one_silence_per_pause_and_correct_times():
    (stream,) = make_streams(pack_shard([utterance() for _ in range(3)]), False, np.random.default_rng(0))
    silent = stream.phones.symbol == SYMBOL_INDEX[SILENCE]
    assert not (silent[1:] & silent[:-1]).any()
    for start_s, end_s in zip(stream.phones.start_s[~silent], stream.phones.end_s[~silent], strict=True):
        inside = stream.samples[int((start_s + 0.02) * 16000) : int((end_s - 0.02) * 16000)]
        assert np.abs(inside).max() > 0.03
    assert merge_silences(phones_of(("", 0, 1), ("", 1, 2), ("a", 2, 3))).end_s.tolist() == [2, 3]


def clicks():
    """Return a stream with a burst of noise at each phone "t", whose time can be measured in the audio."""
    random = np.random.default_rng(5)
    samples = np.zeros(16000 * 8, np.float32)
    timed, before = [], 0.0
    for start in np.arange(0.5, 7.5, 0.5) + random.uniform(-0.1, 0.1, 14):
        samples[int(start * 16000) : int((start + 0.05) * 16000)] = 0.3 * random.normal(size=800)
        timed += [("", before, start), ("t", start, start + 0.05)]
        before = start + 0.05
    return Stream(samples, phones_of(*timed, ("", before, 8.0)))


@pytest.mark.parametrize("seed", range(12))
def test_augmentation_keeps_audio_and_phones_synchronous(seed):
    random = np.random.default_rng(seed)
    changed = augment(clicks(), 0.01 * random.normal(size=160_000).astype(np.float32), random)
    assert np.isfinite(changed.samples).all()
    assert np.abs(changed.samples).max() <= 1.0
    energy = np.convolve(np.square(changed.samples), np.ones(320) / 320, "same")
    is_click = changed.phones.symbol == SYMBOL_INDEX["t"]
    middles = (changed.phones.start_s + changed.phones.end_s)[is_click] / 2
    delays = np.arange(-80, 81, 5) / 1000
    positions = np.clip(((middles[:, None] + delays) * 16000).astype(int), 0, len(energy) - 1)
    assert abs(delays[energy[positions].mean(0).argmax()]) <= 0.025
    assert changed.phones.end_s[-1] == pytest.approx(len(changed.samples) / 16000, abs=0.08)


@pytest.mark.parametrize("make", [make_music, make_noise])
def test_backgrounds_have_unit_power_and_any_length(make):
    for count in (1000, 300_000):
        assert np.std(make(count, np.random.default_rng(2))) == pytest.approx(1, abs=0.25)


def test_features_are_synchronous_with_the_phones(tmp_path: Path):
    streams = [synthetic_stream(np.random.default_rng(1)), clicks()]
    compute_features(streams, LogMel(SpeechToExpressionConfig())).save(tmp_path / "f.npz")
    first, second = split_streams(Features.load(tmp_path / "f.npz"))
    assert len(second.log_mel) == 801
    assert len(first.log_mel) == len(first.curves) == len(first.symbols)
    loud = second.log_mel.astype(float).mean(1) > -12
    sounding = second.symbols == SYMBOL_INDEX["t"]
    assert (loud == sounding).mean() > 0.95


def test_error_names_the_packages_of_missing_synthesisers(monkeypatch):
    monkeypatch.setattr(voices_module.shutil, "which", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"apt-get install .*festival.* flite"):
        require_voices(natural_voices())


def test_language_without_text_is_refused():
    random = np.random.default_rng(0)
    with pytest.raises(MediaError, match="no text in the language 'qqq'"):
        sample_sentences("qqq", 3, random)
    assert len(set(sample_sentences("pinyin", 5, random))) == 5


VOICES = (natural_voices()[0], natural_voices()[7], Voice("espeak", "de+f2", "de", "ipa", "libespeak-ng1"))


@pytest.mark.parametrize("voice", VOICES, ids=lambda voice: voice.name)
def test_installed_voices_give_phone_times(voice):
    try:
        require_voices([voice])
    except MissingPackageError as missing:
        pytest.skip(str(missing))
    texts = ["Papa, mama mia, bella.", "Opa."]
    utterances = list(voices_module.synthesise_speech(voice, texts, np.random.default_rng(0)))
    assert len(utterances) == 2
    for item in utterances:
        assert item.phones[-1].end_s == pytest.approx(len(item.samples) / 16000, abs=0.25)
        assert "p" in [phone.symbol for phone in item.phones]
        loud = np.abs(item.samples).max()
        for phone in item.phones:
            if phone.symbol == "a" and phone.end_s - phone.start_s > 0.06:
                inside = item.samples[int(phone.start_s * 16000) : int(phone.end_s * 16000)]
                assert np.abs(inside).max() > 0.1 * loud


def test_ffmpeg_failure_is_a_media_error():
    with pytest.raises(MediaError, match=r"ffmpeg .*nosuchfilter=1"):
        augmentation._filter(np.zeros(100, np.float32), "nosuchfilter=1")
