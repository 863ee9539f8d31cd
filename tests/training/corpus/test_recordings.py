"""Recordings for the corpus: transcripts, the language model and phone alignment."""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sadtalker_ext.errors import MediaError, MissingPackageError
from sadtalker_ext.training.corpus.build import Shard
from sadtalker_ext.training.corpus.phonemes import BILABIALS, SILENCE, SYMBOLS
from sadtalker_ext.training.corpus.recordings import (
    PhoneAligner,
    build_bigram_model,
    build_recordings,
    find_recordings,
    split_words,
)
from sadtalker_ext.training.starter.speech_features import is_recorded
from sadtalker_ext.training.starter.speech_to_expression import RECORDED_SHARE, stream_probabilities

TEXT = (
    "Hello! This is Sad Talker. I was only a photograph. Give me a voice, and I will speak for you: a poem, a funny "
    "joke, or a few warm words."
)


@pytest.fixture(scope="module")
def voice() -> Path:
    return Path(str(files("sadtalker_ext.assets") / "demo_voice.flac"))


def test_transcripts_come_from_text_files_or_a_table(tmp_path):
    for name in ("a.wav", "b.FLAC", "c.wav", "notes.pdf"):
        (tmp_path / name).touch()
    (tmp_path / "a.txt").write_text("Don't stop, now!", "utf-8")
    (tmp_path / "metadata.csv").write_text("b|Dr. B|doctor b\nz|nobody|nobody\n", "utf-8")
    found = {recording.path.name: recording.transcript for recording in find_recordings(tmp_path)}
    assert found == {"a.wav": "don't stop now", "b.FLAC": "doctor b", "c.wav": None}


def test_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(MediaError, match="has no recordings"):
        find_recordings(tmp_path)


def test_probabilities_of_the_language_model_sum_to_one():
    """The bigrams and the back-off of each word have a total probability of 1."""
    lines = build_bigram_model([["a", "b", "a", "c"], ["b", "b"], ["a", "c"]]).splitlines()
    single: dict[str, tuple[float, float]] = {}
    seen: dict[str, dict[str, float]] = defaultdict(dict)
    for fields in (line.split() for line in lines if line[:1] in "-0123456789" and line):
        if len(fields) == 3 and fields[1].strip("</>").isalpha() and _is_number(fields[2]):
            single[fields[1]] = (10 ** float(fields[0]), 10 ** float(fields[2]))
        elif len(fields) == 3:
            seen[fields[1]][fields[2]] = 10 ** float(fields[0])
    assert set(single) == {"<s>", "</s>", "a", "b", "c"}
    for first in ("<s>", "a", "b", "c"):
        assert sum(seen[first].values()) + single[first][1] == pytest.approx(1.0, abs=1e-3)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_recordings_have_their_share_of_the_probability():
    p = stream_probabilities(np.array([100.0, 300.0, 10.0, 30.0]), np.array([False, False, True, True]))
    assert p.sum() == pytest.approx(1.0)
    assert p[2:].sum() == pytest.approx(RECORDED_SHARE)
    assert p[1] == pytest.approx(3 * p[0])
    np.testing.assert_allclose(stream_probabilities(np.ones(4), np.ones(4, bool)), 0.25)
    np.testing.assert_allclose(stream_probabilities(np.ones(4), np.zeros(4, bool)), 0.25)


def test_error_names_the_missing_recogniser(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(MissingPackageError, match="pip install pocketsphinx"):
        PhoneAligner()


def test_phones_are_aligned_with_the_audio(voice, tmp_path):
    pytest.importorskip("pocketsphinx")
    shutil.copy(voice, tmp_path / "demo.flac")
    (tmp_path / "demo.txt").write_text(TEXT, "utf-8")
    build_recordings(tmp_path, tmp_path / "shards")
    path = tmp_path / "shards" / "recorded-000.npz"
    assert is_recorded(path.with_name("recorded-000-plain.npz"))
    samples, phones, symbols = next(Shard.load(path).utterances())
    names = [SYMBOLS[symbol] for symbol in symbols]
    assert all(a[1] == pytest.approx(b[0]) for a, b in pairwise(phones))
    assert sum(name in BILABIALS for name in names) == 5  # me, speak, poem twice, warm
    loud = np.abs(samples.astype(float)) / 32768
    level = {"": [], "sound": []}
    for (start_s, end_s, _), name in zip(phones, names, strict=True):
        inside = loud[int(start_s * 16000) : int(end_s * 16000)]
        level["" if name == SILENCE else "sound"].append(np.sqrt(np.mean(inside**2)))
    assert np.median(level[""]) < 0.1 * np.median(level["sound"])


def test_words_are_split_with_apostrophes():
    assert split_words("Rock 'n' Roll, it's 1 o'clock!") == ["rock", "'n'", "roll", "it's", "o'clock"]
