"""The corpus: synthetic speech with exact phone times, in shards of a few minutes, one voice (or espeak mix) each.

A shard is an uncompressed .npz with the arrays of :class:`Shard`. Which texts and rates it holds follows from its
name alone, so a broken-off build goes on where it stopped.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.training.core.array_records import load_arrays, save_arrays
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.training.corpus.phonemes import SILENCE, SYMBOL_INDEX, SYMBOLS
from sadtalker_ext.training.corpus.texts import sentences
from sadtalker_ext.training.corpus.voices import (
    SAMPLE_RATE_HZ,
    Utterance,
    Voice,
    espeak_voice,
    natural_voices,
    require_voices,
    speak,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

SHARD_S: Final = 600.0
RECORDED: Final = "recorded"
"""How the names of shards of recorded people begin."""
UNSEEN_VOICES: Final = frozenset({"ked_diphone", "suo_fi_lj_diphone"})
"""Never trained on: they tell how well a network reads a speaker it has not heard."""
TEST_EVERY: Final = 8
"""Every eighth utterance of a shard is held out: the test split."""
_ESPEAK_SENTENCES: Final = 3
_EDGE_S: Final = 0.02


@dataclass(frozen=True)
class Shard:
    """samples: (N,) int16 mono 16 kHz, the utterances after one another; ends: (U,) their ends in samples.

    phones: (P, 3) float32, start and end in seconds inside the utterance and loudness in dB relative to the
    utterance's loud parts; symbols: (P,) uint8 indices into phonemes.SYMBOLS; counts: (U,) phones per utterance;
    table: phonemes.SYMBOLS when the shard was made.
    """

    samples: NDArray[np.int16]
    ends: NDArray[np.int64]
    phones: NDArray[np.float32]
    symbols: NDArray[np.uint8]
    counts: NDArray[np.int64]
    table: NDArray[np.str_]

    def save(self, path: Path) -> None:
        """Write; the file is whole or absent."""
        save_arrays(self, path)

    @staticmethod
    def load(path: Path) -> Shard:
        """Read; refuses files that are no shards or whose phone table differs from today's."""
        shard = Shard(**load_arrays(Shard, path, "is not a shard of a corpus"))
        if tuple(shard.table) != SYMBOLS:
            raise WeightsError(f"{path} was made with another phone table; remove the folder and build again")
        return shard

    def utterances(self) -> Iterator[tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.uint8]]]:
        """(samples, phones, symbols) of one utterance after the other."""
        starts = np.concatenate([[0], self.ends[:-1]])
        cuts = np.concatenate([[0], np.cumsum(self.counts)])
        for index, (start, end) in enumerate(zip(starts, self.ends, strict=True)):
            phones = slice(int(cuts[index]), int(cuts[index + 1]))
            yield self.samples[start:end], self.phones[phones], self.symbols[phones]


def build_corpus(folder: Path, hours: float, processes: int = 1, seed: int = 0) -> None:
    """Fill ``folder`` with shards: two thirds of ``hours`` from voices of people, one third from espeak-ng."""
    voices = natural_voices()
    require_voices((*voices, Voice("espeak", "en-us", "en", "ipa", "espeak-ng")))
    folder.mkdir(parents=True, exist_ok=True)
    per_voice = max(1, round(hours * 2 / 3 * 3600 / SHARD_S / len(voices)))
    parts: list[tuple[str, Voice | None]] = [(f"{v.name}-{part:03d}", v) for part in range(per_voice) for v in voices]
    parts += [(f"espeak-{part:03d}", None) for part in range(max(1, round(hours / 3 * 3600 / SHARD_S)))]
    jobs = [(folder / f"{name}.npz", voice, seed) for name, voice in parts]
    jobs.sort(key=lambda job: job[0].stem[-3:])
    todo = [job for job in jobs if not job[0].exists()]
    run_jobs(_build_shard, todo, processes)


def _build_shard(job: tuple[Path, Voice | None, int], attempt: int) -> None:
    path, voice, seed = job
    if path.exists():
        return
    random = np.random.default_rng((seed, attempt, zlib.crc32(path.name.encode())))
    spoken, total_s = [], 0.0
    for utterance in _utterances(voice, random):
        if _is_sane(utterance):
            spoken.append(utterance)
            total_s += len(utterance.samples) / SAMPLE_RATE_HZ
        if total_s >= SHARD_S:
            break
    pack(spoken).save(path)
    log.info("%s: %.0f s, %d utterances", path.name, total_s, len(spoken))


def _utterances(voice: Voice | None, random: np.random.Generator) -> Iterator[Utterance]:
    """Endless reading; None is espeak-ng with a new language, variant, rate and pitch every few sentences."""
    while True:
        reader = voice or espeak_voice(random)
        count = 40 if voice else _ESPEAK_SENTENCES
        yield from speak(reader, sentences(reader.language, count, random), random)


def _is_sane(utterance: Utterance) -> bool:
    """Speech of 0.7 to 20 s whose phones end where the sound ends."""
    duration_s = len(utterance.samples) / SAMPLE_RATE_HZ
    sounding = [phone for phone in utterance.phones if phone.symbol != SILENCE]
    return 0.7 <= duration_s <= 20.0 and len(sounding) >= 5 and abs(utterance.phones[-1].end_s - duration_s) < 0.25


def pack(utterances: list[Utterance]) -> Shard:
    """Arrays of a shard; each utterance is brought to a peak of 0.7."""
    waves = [0.7 * item.samples / max(1e-4, float(np.abs(item.samples).max())) for item in utterances]
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


def _levels_db(utterance: Utterance, wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Loudness of each phone relative to the 90th percentile of the utterance's phones, in dB, -40..6."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(wave, dtype=np.float64))])
    times = np.array([(phone.start_s - _EDGE_S, phone.end_s + _EDGE_S) for phone in utterance.phones])
    first, last = np.clip(np.round(times * SAMPLE_RATE_HZ), 0, len(wave)).astype(np.int64).T
    power = (energy[last] - energy[first]) / np.maximum(1, last - first)
    level = 10 * np.log10(power + 1e-9)
    relative: NDArray[np.float32] = np.clip(level - np.percentile(level, 90), -40, 6).astype(np.float32)
    return relative
