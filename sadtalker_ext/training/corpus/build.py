"""Synthetic speech with exact phone times, in shards of ten minutes, each of one voice or of a mix of espeak-ng voices.

A shard is an uncompressed .npz file with the arrays of :class:`Shard`. The texts and speaking rates depend only on the
file name and the seed, so an interrupted build continues where it stopped.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.training.core.array_records import load_arrays, save_arrays
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.training.corpus.phonemes import SILENCE, SYMBOL_INDEX, SYMBOLS
from sadtalker_ext.training.corpus.texts import sample_sentences
from sadtalker_ext.training.corpus.voices import (
    Utterance,
    Voice,
    natural_voices,
    random_espeak_voice,
    require_voices,
    synthesise_speech,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Samples

log = logging.getLogger(__name__)

SHARD_S: Final = 600.0
RECORDED_PREFIX: Final = "recorded"
"""Start of the file names of shards made from recordings."""
UNSEEN_VOICES: Final = frozenset({"ked_diphone", "suo_fi_lj_diphone"})
"""Voices that are never trained on; they measure how well a network generalises to new speakers."""
TEST_EVERY: Final = 8
"""Every eighth utterance of a shard belongs to the test split."""
_ESPEAK_SENTENCES: Final = 3
"""Sentences before espeak-ng gets another voice."""
_SENTENCES: Final = 40
"""Sentences per call of any other synthesiser, which starts one process for all."""
_EDGE_S: Final = 0.02
"""The level of a phone is measured from this long before it to this long after it."""
_PEAK: Final = 0.7
"""Peak of each utterance in a shard; 1 is full scale."""
_UTTERANCE_S: Final = (0.7, 20.0)
"""Range of the length of an utterance; others are skipped."""
_MIN_PHONES: Final = 5
_MAX_END_ERROR_S: Final = 0.25
"""Largest difference between the end of the audio and that of the last phone."""


@dataclass(frozen=True)
class Shard:
    """Utterances with timed phones.

    samples: (N,) int16 mono at 16 kHz, all utterances in sequence. ends: (U,) end of each utterance in samples.
    phones: (P, 3) float32: start and end in seconds within the utterance, and loudness in dB relative to its loud
    phones. symbols: (P,) uint8 indices into :data:`phonemes.SYMBOLS`. counts: (U,) phones per utterance.
    table: ``phonemes.SYMBOLS`` at the time the shard was made.
    """

    samples: NDArray[np.int16]
    ends: NDArray[np.int64]
    phones: Float32Array
    symbols: NDArray[np.uint8]
    counts: NDArray[np.int64]
    table: NDArray[np.str_]

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        save_arrays(self, path)

    @staticmethod
    def load(path: Path) -> Shard:
        """Read a file. WeightsError if it is no shard or was made with another phone table."""
        shard = Shard(**load_arrays(Shard, path, "is not a shard of a corpus"))
        if tuple(shard.table) != SYMBOLS:
            raise WeightsError(f"{path} has an outdated phone table; delete its folder and run train corpus again")
        return shard

    def utterances(self) -> Iterator[tuple[NDArray[np.int16], Float32Array, NDArray[np.uint8]]]:
        """Yield the samples (n,), phones (p, 3) and symbols (p,) of each utterance."""
        starts = np.concatenate([[0], self.ends[:-1]])
        cuts = np.concatenate([[0], np.cumsum(self.counts)])
        for index, (start, end) in enumerate(zip(starts, self.ends, strict=True)):
            phones = slice(int(cuts[index]), int(cuts[index + 1]))
            yield self.samples[start:end], self.phones[phones], self.symbols[phones]


def build_corpus(folder: Path, hours: float, processes: int = 1, seed: int = 0) -> None:
    """Write shards to ``folder``: two thirds of ``hours`` from recorded voices, one third from espeak-ng."""
    voices = natural_voices()
    require_voices((*voices, Voice("espeak", "en-us", "en", "ipa", "espeak-ng")))
    make_folder(folder)
    per_voice = max(1, round(hours * 2 / 3 * 3600 / SHARD_S / len(voices)))
    parts: list[tuple[str, Voice | None]] = [(f"{v.name}-{part:03d}", v) for part in range(per_voice) for v in voices]
    parts += [(f"espeak-{part:03d}", None) for part in range(max(1, round(hours / 3 * 3600 / SHARD_S)))]
    jobs = [(folder / f"{name}.npz", voice, seed) for name, voice in parts]
    jobs.sort(key=lambda job: job[0].stem[-3:])
    pending = [job for job in jobs if not job[0].exists()]
    run_jobs(_build_shard, pending, processes, lambda job: job[0].name)


def _build_shard(job: tuple[Path, Voice | None, int], attempt: int) -> None:
    path, voice, seed = job
    if path.exists():
        return
    random = np.random.default_rng((seed, attempt, zlib.crc32(path.name.encode())))
    utterances, total_s = [], 0.0
    for utterance in _generate_utterances(voice, random):
        if _is_plausible(utterance):
            utterances.append(utterance)
            total_s += len(utterance.samples) / SAMPLE_RATE_HZ
        if total_s >= SHARD_S:
            break
    pack_shard(utterances).save(path)
    log.info("%s: %.0f s, %d utterances", path.name, total_s, len(utterances))


def _generate_utterances(voice: Voice | None, random: np.random.Generator) -> Iterator[Utterance]:
    """Yield utterances without end; ``voice`` None draws a new espeak-ng voice every few sentences."""
    while True:
        speaker = voice or random_espeak_voice(random)
        count = _SENTENCES if voice else _ESPEAK_SENTENCES
        yield from synthesise_speech(speaker, sample_sentences(speaker.language, count, random), random)


def _is_plausible(utterance: Utterance) -> bool:
    """Whether the utterance lasts 0.7 to 20 s, has phones, and they end with the audio."""
    duration_s = len(utterance.samples) / SAMPLE_RATE_HZ
    if not _UTTERANCE_S[0] <= duration_s <= _UTTERANCE_S[1]:
        return False
    phones = sum(phone.symbol != SILENCE for phone in utterance.phones)
    return phones >= _MIN_PHONES and abs(utterance.phones[-1].end_s - duration_s) < _MAX_END_ERROR_S


def pack_shard(utterances: list[Utterance]) -> Shard:
    """Return a shard of the utterances, each scaled to a peak of 0.7."""
    waves = [_PEAK * item.samples / max(1e-4, float(np.abs(item.samples).max())) for item in utterances]
    rows = [
        (phone.start_s, phone.end_s, level)
        for item, wave in zip(utterances, waves, strict=True)
        for phone, level in zip(item.phones, _levels_db(item, wave), strict=True)
    ]
    return Shard(
        samples=np.round(np.concatenate(waves) * 32767).astype(np.int16),
        ends=np.cumsum([len(wave) for wave in waves]),
        phones=np.array(rows, np.float32),
        symbols=np.array([SYMBOL_INDEX[p.symbol] for item in utterances for p in item.phones], np.uint8),
        counts=np.array([len(item.phones) for item in utterances]),
        table=np.array(SYMBOLS),
    )


def _levels_db(utterance: Utterance, wave: Samples) -> Float32Array:
    """Return the level (p,) of each phone in dB relative to the 90th percentile of all phones, in [-40, 6]."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(wave, dtype=np.float64))])
    times = np.array([(phone.start_s - _EDGE_S, phone.end_s + _EDGE_S) for phone in utterance.phones])
    first, last = np.clip(np.round(times * SAMPLE_RATE_HZ), 0, len(wave)).astype(np.int64).T
    power = (energy[last] - energy[first]) / np.maximum(1, last - first)
    level = 10 * np.log10(power + 1e-9)
    relative: Float32Array = np.clip(level - np.percentile(level, 90), -40, 6).astype(np.float32)
    return relative
