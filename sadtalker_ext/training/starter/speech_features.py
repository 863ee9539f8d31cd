"""Training features of a speech corpus: log-mel frames with articulation curves, in several versions of each shard.

Utterances are joined to streams of about 40 s with pauses between them. Some further streams have only noise or music.
The streams are augmented and written to one uncompressed .npz file per shard and version, see :class:`Features`.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.errors import WeightsError
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.training.core.array_records import load_arrays, save_arrays
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.training.corpus.articulation import Phones, articulation_curves
from sadtalker_ext.training.corpus.augment import Stream, augment
from sadtalker_ext.training.corpus.background_sounds import make_music, make_noise
from sadtalker_ext.training.corpus.build import RECORDED_PREFIX, TEST_EVERY, UNSEEN_VOICES, Shard
from sadtalker_ext.training.corpus.phonemes import SILENCE, SYMBOL_INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Samples
    from sadtalker_ext.models.speech_to_expression import LogMel

log = logging.getLogger(__name__)

MEL_RATE_HZ: Final = 100
STREAM_S: Final = 40.0
_VOICELESS_SHARE: Final = 0.06
"""Share of the streams without speech."""
_LONG_PAUSE_CHANCE: Final = 0.08
_LONG_PAUSE_S: Final = (2, 6)
_MEAN_PAUSE_S: Final = 0.35
"""Pauses between utterances: the range of the long ones and the mean of the others."""
_SILENCE_DB: Final = -40.0


@dataclass(frozen=True)
class Features:
    """Features of S streams in sequence, M frames at 100 Hz.

    log_mel: (M, 80) float16 natural log power. curves: (M, 7) float16 in [0, 1], columns ``ARTICULATED``.
    symbols: (M,) uint8 phone of each frame. ends: (S,) int64 end of each stream in frames.
    """

    log_mel: NDArray[np.float16]
    curves: NDArray[np.float16]
    symbols: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        save_arrays(self, path)

    @staticmethod
    def load(path: Path) -> Features:
        """Read a file. WeightsError if it has no features."""
        return Features(**load_arrays(Features, path, "holds no features"))


def build_features(corpus: Path, folder: Path, rounds: int, processes: int = 1) -> None:
    """Write the features of each shard in ``corpus`` to ``folder``; existing files are kept.

    The test split is written augmented (NAME-test.npz) and clean (NAME-clean.npz), the training split clean
    (NAME-plain.npz) and in ``rounds`` augmented versions (NAME-round0.npz, NAME-round1.npz, ...).
    """
    shards = sorted(corpus.glob("*.npz"))
    if not shards:
        raise WeightsError(f"{corpus} has no shards; make them with: sadtalker train corpus --out {corpus.parent}")
    make_folder(folder)
    parts = ["test", "clean", "plain", *(f"round{number}" for number in range(rounds))]
    jobs = [(path, folder / f"{path.stem}-{part}.npz", corpus) for part in parts for path in shards]
    pending = [job for job in jobs if not job[1].exists()]
    run_jobs(_build_file, pending, processes, lambda job: job[1].name)


def _build_file(job: tuple[Path, Path, Path], _attempt: int) -> None:
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
    """Yield streams of the test or training split in random order, with pauses; some streams have no speech."""
    chosen = [item for index, item in enumerate(shard.utterances()) if (index % TEST_EVERY == TEST_EVERY - 1) == test]
    waves: list[Samples] = []
    phones: list[Phones] = []
    length = 0
    for index in random.permutation(len(chosen)):
        samples, times, symbols = chosen[index]
        is_long = random.random() < _LONG_PAUSE_CHANCE
        pause_s = random.uniform(*_LONG_PAUSE_S) if is_long else random.exponential(_MEAN_PAUSE_S)
        pause = np.zeros(int(pause_s * SAMPLE_RATE_HZ))
        for wave, part in ((pause, _silence(pause_s)), (samples, _make_phones(times, symbols))):
            offset_s = length / SAMPLE_RATE_HZ
            phones.append(part._replace(start_s=part.start_s + offset_s, end_s=part.end_s + offset_s))
            waves.append(np.asarray(wave, np.float32) / 32768)
            length += len(wave)
        if length >= STREAM_S * SAMPLE_RATE_HZ:
            yield _join(waves, phones)
            waves, phones, length = [], [], 0
            if random.random() < _VOICELESS_SHARE / (1 - _VOICELESS_SHARE):
                yield _make_voiceless_stream(random)
    if waves:
        yield _join(waves, phones)


def _make_phones(times: Float32Array, symbols: NDArray[np.uint8]) -> Phones:
    start_s, end_s, level_db = times.astype(np.float64).T
    return Phones(start_s, end_s, level_db, symbols.astype(np.int64))


def _silence(length_s: float) -> Phones:
    return Phones(np.zeros(1), np.array([length_s]), np.full(1, _SILENCE_DB), np.array([SYMBOL_INDEX[SILENCE]]))


def _join(waves: Sequence[Samples], phones: Sequence[Phones]) -> Stream:
    joined = Phones(*(np.concatenate(part) for part in zip(*phones, strict=True)))
    return Stream(np.concatenate(waves), merge_silences(joined))


def merge_silences(phones: Phones) -> Phones:
    """Return the phones with adjacent silences merged, so that each pause has its full length."""
    silent = phones.symbol == SYMBOL_INDEX[SILENCE]
    keep = ~(silent & np.concatenate([[False], silent[:-1]]))
    last = np.concatenate([np.flatnonzero(keep)[1:], [len(keep)]]) - 1
    return Phones(phones.start_s[keep], phones.end_s[last], phones.level_db[keep], phones.symbol[keep])


def _make_voiceless_stream(random: np.random.Generator) -> Stream:
    """Return 10 to 25 s of noise or music; :func:`augment` brings it to the level of speech."""
    length_s = random.uniform(10, 25)
    make = make_music if random.random() < 0.6 else make_noise
    return Stream(make(int(length_s * SAMPLE_RATE_HZ), random), _silence(length_s))


def compute_features(streams: Sequence[Stream], transform: LogMel) -> Features:
    """Return the features of ``streams``; frame k of a stream is centred on k / 100 s."""
    parts = [_stream_features(stream, transform) for stream in streams]
    mel, targets, symbols = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return Features(mel, targets, symbols, np.cumsum([len(part[0]) for part in parts]))


def _stream_features(
    stream: Stream, transform: LogMel
) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.uint8]]:
    import torch

    config = transform.config
    padded = np.pad(stream.samples, (config.window // 2, config.window // 2))
    mel = transform(torch.from_numpy(padded)[None])[0].T.numpy()
    times = np.arange(len(mel)) / MEL_RATE_HZ
    index = np.clip(np.searchsorted(stream.phones.start_s, times, "right") - 1, 0, None)
    targets = articulation_curves(stream.phones, len(mel), MEL_RATE_HZ)
    return mel.astype(np.float16), targets.astype(np.float16), stream.phones.symbol[index].astype(np.uint8)


def is_recorded(path: Path) -> bool:
    """Whether a feature file was made from recordings."""
    return path.stem.startswith(f"{RECORDED_PREFIX}-")


def is_unseen(path: Path) -> bool:
    """Whether a feature file is of a voice in :data:`UNSEEN_VOICES`, which are used for evaluation only."""
    return path.stem.rsplit("-", 2)[0] in UNSEEN_VOICES


def split_streams(features: Features) -> list[Features]:
    """Return the features of each stream."""
    starts = [0, *features.ends[:-1].tolist()]
    cuts = [slice(a, int(b)) for a, b in zip(starts, features.ends, strict=True)]
    return [
        Features(features.log_mel[cut], features.curves[cut], features.symbols[cut], np.array([cut.stop - cut.start]))
        for cut in cuts
    ]


def slice_padded(log_mel: NDArray[np.float16], start: int, count: int) -> Float32Array:
    """Return ``count`` rows from ``start``, which may be negative; rows outside of ``log_mel`` are silence."""
    from sadtalker_ext.models.speech_to_expression import SILENCE_LOG_POWER

    piece = np.full((count, log_mel.shape[1]), SILENCE_LOG_POWER, np.float32)
    low, high = max(0, start), min(len(log_mel), start + count)
    piece[low - start : high - start] = log_mel[low:high]
    return piece
