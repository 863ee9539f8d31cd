"""Sources of speech for practice clips: a corpus, audio files, a synthesiser or the demo voice."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from sadtalker_ext.assets import demo_voice
from sadtalker_ext.audio.speech import Speech, open_speech
from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.errors import MediaError
from sadtalker_ext.training.clips.shards import TEST_SPLIT, TRAIN_SPLIT
from sadtalker_ext.training.clips.sound_samples import from_int16

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Samples

TEST_SHARE: Final = 0.2
"""The last fifth of every audio file is held out for testing."""
TEST_SENTENCE_EVERY: Final = 8
"""One of this many sentences is held out for testing."""
MEAN_PAUSE_S: Final = 0.25
"""Mean pause between utterances."""
USE_SPEECH: Final = "Use an audio file, a folder with speech or a folder of train corpus."
CHECKED_S: Final = 0.5
"""Length of the example that :func:`check_source` draws."""
MAX_ATTEMPTS: Final = 8
SENTENCES_PER_ATTEMPT: Final = 8


@dataclass(frozen=True)
class SampledSpeech(Speech):
    """Speech in memory. array: (N,) mono 16 kHz in [-1, 1]."""

    array: Samples = field(default_factory=lambda: np.zeros(0, np.float32))

    def blocks(self, seconds: float = 20.0, overlap_s: float = 0.0) -> Generator[Samples, None, None]:
        """Yield the same blocks as :meth:`Speech.blocks`."""
        step, overlap = round((seconds - overlap_s) * SAMPLE_RATE_HZ), round(overlap_s * SAMPLE_RATE_HZ)
        for start in range(0, self.sample_count, step):
            yield self.array[max(0, start - overlap) : start + step]


def speech_from_samples(samples: Samples) -> SampledSpeech:
    """Return speech of (N,) mono samples at 16 kHz in [-1, 1]."""
    return SampledSpeech(None, len(samples), float(np.abs(samples).max(initial=0.0)), array=samples)


class SpeechSource(Protocol):
    """Source of random pieces of speech."""

    @property
    def description(self) -> str:
        """Short description for ``card.json``."""
        ...

    def draw(self, random: np.random.Generator, seconds: float, split: str) -> Samples:
        """Return (N,) samples of ``seconds`` at 16 kHz in [-1, 1]; speech of the split "test" is in no other split."""
        ...


def open_source(path: Path | None) -> SpeechSource:
    """Open a folder written by ``train corpus``, a folder of audio files or one audio file.

    None uses the synthesiser flite if it is installed, otherwise the demo voice.
    """
    if path is None:
        return SynthesiserSource() if shutil.which("flite") else FileSource((demo_voice(),))
    for folder in (path / "shards", path):
        shards = tuple(sorted(folder.glob("*.npz")))
        if shards:
            return CorpusSource(shards)
    files = tuple(sorted(file for file in path.rglob("*") if file.is_file())) if path.is_dir() else (path,)
    if not path.exists():
        raise MediaError(f"The speech {path} does not exist. {USE_SPEECH}")
    if not files:
        raise MediaError(f"There are no audio files in {path}. {USE_SPEECH}")
    return FileSource(files)


def check_source(path: Path | None) -> str:
    """Return the description of a source; MediaError if a part of it, drawn as an example, cannot be read."""
    source = open_source(path)
    if path is not None:
        source.draw(np.random.default_rng(0), CHECKED_S, TRAIN_SPLIT)
    return source.description


@dataclass(frozen=True)
class CorpusSource:
    """Utterances of a corpus; the held-out utterances of the corpus are held out here as well."""

    shards: tuple[Path, ...]
    description: str = "the corpus of synthetic speech"

    def draw(self, random: np.random.Generator, seconds: float, split: str) -> Samples:
        """Return consecutive utterances of one voice."""
        from sadtalker_ext.training.corpus.build import TEST_EVERY

        waves = _corpus_shard(self.shards[int(random.integers(len(self.shards)))])
        test = [wave for index, wave in enumerate(waves) if index % TEST_EVERY == TEST_EVERY - 1]
        train = [wave for index, wave in enumerate(waves) if index % TEST_EVERY != TEST_EVERY - 1]
        chosen = (test or train) if split == TEST_SPLIT else train
        return _concatenate(seconds, random, lambda: from_int16(chosen[int(random.integers(len(chosen)))]))


@dataclass(frozen=True)
class FileSource:
    """Parts of audio files: of the last fifth for the split "test", of the rest otherwise."""

    files: tuple[Path, ...]
    description: str = "sound files"

    def draw(self, random: np.random.Generator, seconds: float, split: str) -> Samples:
        """Return one part of a random file; if it is too short, parts of other files follow."""

        def part() -> Samples:
            samples = _file_samples(self.files[int(random.integers(len(self.files)))])
            cut = round((1.0 - TEST_SHARE) * len(samples))
            pool = samples[cut:] if split == TEST_SPLIT else samples[:cut]
            room = max(0, len(pool) - round(seconds * SAMPLE_RATE_HZ))
            return pool[int(random.integers(room + 1)) :]

        return _concatenate(seconds, random, part)


@dataclass(frozen=True)
class SynthesiserSource:
    """Sentences read by flite: both splits have the same voices but different sentences."""

    description: str = "sentences read by flite"

    def draw(self, random: np.random.Generator, seconds: float, split: str) -> Samples:
        """Return consecutive sentences of one voice; one of eight sentences belongs to the split "test"."""
        from sadtalker_ext.training.corpus.texts import sample_sentences
        from sadtalker_ext.training.corpus.voices import natural_voices, synthesise_speech

        voices = [voice for voice in natural_voices() if voice.engine == "flite"]
        voice = voices[int(random.integers(len(voices)))]

        def sentence() -> Samples:
            for _ in range(MAX_ATTEMPTS):
                for text in sample_sentences(voice.language, SENTENCES_PER_ATTEMPT, random):
                    if _is_test(text) == (split == TEST_SPLIT):
                        return next(iter(synthesise_speech(voice, [text], random))).samples
            raise MediaError(f"The texts have no sentence of the split {split}; use recorded speech with --speech")

        return _concatenate(seconds, random, sentence)


def _is_test(text: str) -> bool:
    return zlib.crc32(text.encode()) % TEST_SENTENCE_EVERY == 0


def _concatenate(seconds: float, random: np.random.Generator, draw: Callable[[], Samples]) -> Samples:
    """Return pieces of speech with short pauses between them, cut to exactly ``seconds``."""
    count = round(seconds * SAMPLE_RATE_HZ)
    parts: list[Samples] = []
    length = 0
    for _ in range(count):
        wave = draw()
        pause = np.zeros(round(random.exponential(MEAN_PAUSE_S) * SAMPLE_RATE_HZ), np.float32)
        parts += [np.asarray(wave, np.float32), pause]
        length += len(wave) + len(pause)
        if length >= count:
            break
    return np.concatenate(parts)[:count]


@lru_cache(maxsize=2)
def _corpus_shard(path: Path) -> tuple[NDArray[np.int16], ...]:
    from sadtalker_ext.training.corpus.build import Shard

    return tuple(samples for samples, _, _ in Shard.load(path).utterances())


@lru_cache(maxsize=4)
def _file_samples(path: Path) -> Samples:
    return open_speech(path).samples()
