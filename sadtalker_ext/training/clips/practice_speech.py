"""Voices for practice clips: a corpus, sound files, a synthesiser or the demo's voice; each holds a part out."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from sadtalker_ext.audio.speech import SAMPLE_RATE_HZ, Speech, open_speech
from sadtalker_ext.errors import MediaError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

TEST = "test"
TEST_SHARE: Final = 0.2
"""The last fifth of every sound file is held out."""
PAUSE_S: Final = 0.25
"""Mean pause between utterances."""
TRIES: Final = 8


@dataclass(frozen=True)
class SampledSpeech(Speech):
    """Speech that is in memory. samples_held: (N,) mono 16 kHz in [-1, 1]."""

    samples_held: Samples = field(default_factory=lambda: np.zeros(0, np.float32))

    def blocks(self, seconds: float = 20.0, overlap_s: float = 0.0) -> Generator[Samples, None, None]:
        """As those of a file."""
        fresh, overlap = round((seconds - overlap_s) * SAMPLE_RATE_HZ), round(overlap_s * SAMPLE_RATE_HZ)
        for start in range(0, self.sample_count, fresh):
            yield self.samples_held[max(0, start - overlap) : start + fresh]


def sampled_speech(samples: Samples) -> SampledSpeech:
    """Speech of (N,) mono samples at 16 kHz in [-1, 1]."""
    return SampledSpeech(None, len(samples), float(np.abs(samples).max(initial=0.0)), samples_held=samples)


class SpeechSource(Protocol):
    """Where the voices come from."""

    @property
    def words(self) -> str:
        """What it is, for the data card."""
        ...

    def draw(self, random: np.random.Generator, seconds: float, split: str) -> Samples:
        """(N,) samples of ``seconds`` at 16 kHz in [-1, 1]; those of the split "test" are heard in no other."""
        ...


def open_source(place: Path | None) -> SpeechSource:
    """A folder that ``train corpus`` wrote, a folder of sound files, or (None) whatever this machine has."""
    if place is None:
        return SynthesiserSource() if shutil.which("flite") else FileSource((_demo_voice(),))
    for folder in (place / "shards", place):
        shards = tuple(sorted(folder.glob("*.npz")))
        if shards:
            return CorpusSource(shards)
    files = tuple(sorted(path for path in place.rglob("*") if path.is_file())) if place.is_dir() else (place,)
    if not files:
        raise MediaError(f"There is no sound in {place}: name a folder with speech, or one that train corpus wrote")
    return FileSource(files)


@dataclass(frozen=True)
class CorpusSource:
    """Utterances of the corpus; its own held-out ones are held out here, too."""

    shards: tuple[Path, ...]
    words: str = "the corpus of synthetic speech"

    def draw(self, random: np.random.Generator, seconds: float, split: str) -> Samples:
        """Utterances of one voice after one another."""
        from sadtalker_ext.training.corpus.build import TEST_EVERY

        waves = _corpus_shard(self.shards[int(random.integers(len(self.shards)))])
        held = [wave for index, wave in enumerate(waves) if index % TEST_EVERY == TEST_EVERY - 1]
        free = [wave for index, wave in enumerate(waves) if index % TEST_EVERY != TEST_EVERY - 1]
        chosen = (held or free) if split == TEST else free
        return _fill(seconds, random, lambda: chosen[int(random.integers(len(chosen)))] / np.float32(32768))


@dataclass(frozen=True)
class FileSource:
    """Parts of sound files, of the last fifth for the split "test" and of the rest otherwise."""

    files: tuple[Path, ...]
    words: str = "sound files"

    def draw(self, random: np.random.Generator, seconds: float, split: str) -> Samples:
        """One part; a file shorter than that is followed by another."""

        def part() -> Samples:
            samples = _file_samples(self.files[int(random.integers(len(self.files)))])
            cut = round((1.0 - TEST_SHARE) * len(samples))
            pool = samples[cut:] if split == TEST else samples[:cut]
            room = max(0, len(pool) - round(seconds * SAMPLE_RATE_HZ))
            return pool[int(random.integers(room + 1)) :]

        return _fill(seconds, random, part)


@dataclass(frozen=True)
class SynthesiserSource:
    """Sentences read by flite: the same voices in both splits, but other sentences."""

    words: str = "sentences read by flite"

    def draw(self, random: np.random.Generator, seconds: float, split: str) -> Samples:
        """Sentences of one voice after one another; every eighth sentence of the texts is for the split "test"."""
        from sadtalker_ext.training.corpus.texts import sentences
        from sadtalker_ext.training.corpus.voices import natural_voices, speak

        voices = [voice for voice in natural_voices() if voice.engine == "flite"]
        voice = voices[int(random.integers(len(voices)))]

        def sentence() -> Samples:
            for _ in range(TRIES):
                for text in sentences(voice.language, 8, random):
                    if _is_test(text) == (split == TEST):
                        return next(iter(speak(voice, [text], random))).samples
            raise MediaError("the texts hold no sentence of the split; give speech with --speech")

        return _fill(seconds, random, sentence)


def _is_test(text: str) -> bool:
    return zlib.crc32(text.encode()) % 8 == 0


def _fill(seconds: float, random: np.random.Generator, draw: Callable[[], Samples]) -> Samples:
    """Pieces with short pauses between them until there is enough, cut to exactly ``seconds``."""
    wanted = round(seconds * SAMPLE_RATE_HZ)
    parts: list[Samples] = []
    length = 0
    for _ in range(wanted):
        wave = draw()
        pause = np.zeros(round(random.exponential(PAUSE_S) * SAMPLE_RATE_HZ), np.float32)
        parts += [np.asarray(wave, np.float32), pause]
        length += len(wave) + len(pause)
        if length >= wanted:
            break
    return np.concatenate(parts)[:wanted]


@lru_cache(maxsize=2)
def _corpus_shard(path: Path) -> tuple[NDArray[np.int16], ...]:
    from sadtalker_ext.training.corpus.build import Shard

    return tuple(samples for samples, _, _ in Shard.load(path).utterances())


@lru_cache(maxsize=4)
def _file_samples(path: Path) -> Samples:
    return open_speech(path).samples()


def _demo_voice() -> Path:
    import sadtalker_ext

    return Path(sadtalker_ext.__file__).parent / "assets" / "demo_voice.flac"
