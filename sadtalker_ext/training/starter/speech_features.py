"""From shards to what the network trains on: log-mel frames beside articulation curves, several versions of each shard.

Utterances are joined to streams of about 40 s with pauses between them, some with minutes' worth of nothing but noise
or music, augmented, and written as one uncompressed .npz per shard and round: see :class:`Features`.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.training.core.array_records import load_arrays, save_arrays
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.training.corpus.articulation import Phones, curves
from sadtalker_ext.training.corpus.augment import RATE_HZ, Stream, augment, coloured_noise, music
from sadtalker_ext.training.corpus.build import RECORDED, TEST_EVERY, UNSEEN_VOICES, Shard
from sadtalker_ext.training.corpus.phonemes import SILENCE, SYMBOL_INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.models.speech_to_expression import LogMel

log = logging.getLogger(__name__)

MEL_RATE_HZ: Final = 100
STREAM_S: Final = 40.0
_VOICELESS_SHARE: Final = 0.06
_LONG_PAUSE_CHANCE: Final = 0.08


@dataclass(frozen=True)
class Features:
    """log_mel: (M, 80) float16 at 100 Hz, the streams after one another; curves: (M, 7) float16, see articulation;
    symbols: (M,) uint8, the phone at each frame; ends: (S,) int64, where each stream ends.
    """

    log_mel: NDArray[np.float16]
    curves: NDArray[np.float16]
    symbols: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write; the file is whole or absent."""
        save_arrays(self, path)

    @staticmethod
    def load(path: Path) -> Features:
        """Read; refuses what is no file of features."""
        return Features(**load_arrays(Features, path, "holds no features"))


def build_features(corpus: Path, folder: Path, rounds: int, processes: int = 1) -> None:
    """Of every shard: its test part augmented and clean, its training part plain and in ``rounds`` augmented versions.

    The names end in -test, -clean, -plain and -round0, -round1, ...
    """
    shards = sorted(corpus.glob("*.npz"))
    if not shards:
        raise WeightsError(f"{corpus} holds no corpus; make one with: sadtalker train corpus --out {corpus.parent}")
    folder.mkdir(parents=True, exist_ok=True)
    parts = ["test", "clean", "plain", *(f"round{number}" for number in range(rounds))]
    jobs = [(path, folder / f"{path.stem}-{part}.npz", corpus) for part in parts for path in shards]
    todo = [job for job in jobs if not job[1].exists()]
    run_jobs(_build, todo, processes)


def _build(job: tuple[Path, Path, Path], _attempt: int) -> None:
    import torch

    from sadtalker_ext.models.speech_to_expression import LogMel, SpeechToExpressionConfig

    source, target, corpus = job
    torch.set_num_threads(1)
    random = np.random.default_rng(zlib.crc32(target.name.encode()))
    others = sorted(corpus.glob("*.npz"))
    babble = Shard.load(others[int(random.integers(len(others)))]).samples.astype(np.float32) / 32768
    streams = list(make_streams(Shard.load(source), target.stem.endswith(("-test", "-clean")), random))
    if not target.stem.endswith(("-clean", "-plain")):
        streams = [augment(stream, babble, random) for stream in streams]
    compute_features(streams, LogMel(SpeechToExpressionConfig())).save(target)
    log.info("%s", target.name)


def make_streams(shard: Shard, test: bool, random: np.random.Generator) -> Iterator[Stream]:
    """The shard's utterances of one split in random order, joined with pauses; some streams without a voice."""
    chosen = [item for index, item in enumerate(shard.utterances()) if (index % TEST_EVERY == TEST_EVERY - 1) == test]
    waves: list[NDArray[np.float32]] = []
    phones: list[Phones] = []
    length = 0
    for index in random.permutation(len(chosen)):
        samples, times, symbols = chosen[index]
        pause_s = random.uniform(2, 6) if random.random() < _LONG_PAUSE_CHANCE else random.exponential(0.35)
        for wave, part in ((np.zeros(int(pause_s * RATE_HZ)), _silence(pause_s)), (samples, _phones(times, symbols))):
            offset_s = length / RATE_HZ
            phones.append(part._replace(start_s=part.start_s + offset_s, end_s=part.end_s + offset_s))
            waves.append(np.asarray(wave, np.float32) / 32768)
            length += len(wave)
        if length >= STREAM_S * RATE_HZ:
            yield _join(waves, phones)
            waves, phones, length = [], [], 0
            if random.random() < _VOICELESS_SHARE / (1 - _VOICELESS_SHARE):
                yield _voiceless(random)
    if waves:
        yield _join(waves, phones)


def _phones(times: NDArray[np.float32], symbols: NDArray[np.uint8]) -> Phones:
    start_s, end_s, level_db = times.astype(np.float64).T
    return Phones(start_s, end_s, level_db, symbols.astype(np.int64))


def _silence(length_s: float) -> Phones:
    return Phones(np.zeros(1), np.array([length_s]), np.full(1, -40.0), np.array([SYMBOL_INDEX[SILENCE]]))


def _join(waves: Sequence[NDArray[np.float32]], phones: Sequence[Phones]) -> Stream:
    joined = Phones(*(np.concatenate(part) for part in zip(*phones, strict=True)))
    return Stream(np.concatenate(waves), merge_silences(joined))


def merge_silences(phones: Phones) -> Phones:
    """Neighbouring silences become one, so that a pause is as long as it sounds."""
    silent = phones.symbol == SYMBOL_INDEX[SILENCE]
    keep = ~(silent & np.concatenate([[False], silent[:-1]]))
    last = np.concatenate([np.flatnonzero(keep)[1:], [len(keep)]]) - 1
    return Phones(phones.start_s[keep], phones.end_s[last], phones.level_db[keep], phones.symbol[keep])


def _voiceless(random: np.random.Generator) -> Stream:
    """Noise or music alone, at the level that speech has in other streams."""
    length_s = random.uniform(10, 25)
    make = music if random.random() < 0.6 else coloured_noise
    return Stream(make(int(length_s * RATE_HZ), random), _silence(length_s))


def compute_features(streams: Sequence[Stream], transform: LogMel) -> Features:
    """Mel frame k is centred on k / 100 s of its stream; so is row k of the curves."""
    parts = [_one(stream, transform) for stream in streams]
    mel, targets, symbols = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return Features(mel, targets, symbols, np.cumsum([len(part[0]) for part in parts]))


def _one(
    stream: Stream, transform: LogMel
) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.uint8]]:
    import torch

    config = transform.config
    padded = np.pad(stream.samples, (config.window // 2, config.window // 2))
    mel = transform(torch.from_numpy(padded)[None])[0].T.numpy()
    times = np.arange(len(mel)) / MEL_RATE_HZ
    index = np.clip(np.searchsorted(stream.phones.start_s, times, "right") - 1, 0, None)
    targets = curves(stream.phones, len(mel), MEL_RATE_HZ)
    return mel.astype(np.float16), targets.astype(np.float16), stream.phones.symbol[index].astype(np.uint8)


def is_recorded(path: Path) -> bool:
    """Whether a file of features is of recordings of people."""
    return path.stem.startswith(f"{RECORDED}-")


def is_unseen(path: Path) -> bool:
    """Whether a file of features is of a voice that is kept for judging."""
    return path.stem.rsplit("-", 2)[0] in UNSEEN_VOICES


def split_streams(features: Features) -> list[Features]:
    """One record per stream."""
    starts = [0, *features.ends[:-1].tolist()]
    cuts = [slice(a, int(b)) for a, b in zip(starts, features.ends, strict=True)]
    return [
        Features(features.log_mel[cut], features.curves[cut], features.symbols[cut], np.array([cut.stop - cut.start]))
        for cut in cuts
    ]


def padded(log_mel: NDArray[np.float16], start: int, count: int) -> NDArray[np.float32]:
    """(count, 80) from row ``start``, which may be negative; silence where there is nothing."""
    from sadtalker_ext.models.speech_to_expression import SILENCE_LOG_POWER

    piece = np.full((count, log_mel.shape[1]), SILENCE_LOG_POWER, np.float32)
    low, high = max(0, start), min(len(log_mel), start + count)
    piece[low - start : high - start] = log_mel[low:high]
    return piece
