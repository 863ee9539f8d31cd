"""Recordings of real people for the corpus: English speech whose phones pocketsphinx finds.

Synthetic voices teach what the lips do; real voices teach what people sound like. A folder of recordings holds sound
files and what is said in them, in the first of these forms that is there: ``NAME.txt`` beside ``NAME.wav``;
``metadata.csv`` with ``NAME|text|normalised text`` (the layout of LJ Speech); ``sentences.txt``, lines such as people
may have said, from which a bigram language model guides the recogniser. Without any the recogniser is on its own.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.errors import MediaError, MissingPackageError
from sadtalker_ext.ffmpeg import Ffmpeg, container_error, file_input, require_media
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.training.corpus.build import RECORDED, SHARD_S, pack
from sadtalker_ext.training.corpus.phonemes import SILENCE, to_symbols
from sadtalker_ext.training.corpus.voices import SAMPLE_RATE_HZ, Phone, Utterance

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

ENDINGS: Final = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".g722")
_SHORTEST_S, _LONGEST_S = 0.7, 25.0
_MODEL_FRAMES_HZ: Final = 100
_DISCOUNT: Final = 0.5
_NO_PHONE: Final = re.compile(r"^[<\[+].*|^SIL$")


@dataclass(frozen=True)
class Recording:
    """A sound file and, where it is known, what is said in it (words in lower case)."""

    path: Path
    words: str | None = None


def find_recordings(folder: Path) -> list[Recording]:
    """The sound files below ``folder`` in the order of their names; MediaError where there is none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not paths:
        raise MediaError(f"{folder} holds no recordings; put sound files there, with what is said in NAME.txt beside")
    table = folder / "metadata.csv"
    lines = table.read_text("utf-8").splitlines() if table.is_file() else []
    texts = {fields[0]: fields[-1] for fields in (line.split("|") for line in lines) if len(fields) > 1}
    return [Recording(path, _text_of(path, texts)) for path in paths]


def _text_of(path: Path, texts: dict[str, str]) -> str | None:
    beside = path.with_suffix(".txt")
    text = beside.read_text("utf-8") if beside.is_file() else texts.get(path.stem)
    return None if text is None else " ".join(words_of(text))


def words_of(text: str) -> list[str]:
    """Words as the recogniser's dictionary spells them."""
    return re.findall(r"[a-z']+", text.lower())


def bigram_model(sentences: Sequence[Sequence[str]]) -> str:
    """An ARPA language model of words that follow each other in ``sentences``, with absolute discounting.

    Source: Ney, Essen and Kneser, "On structuring probabilistic dependences in stochastic language modelling" (1994).
    """
    framed = [["<s>", *sentence, "</s>"] for sentence in sentences]
    single = Counter(word for sentence in framed for word in sentence)
    pairs = Counter(pair for sentence in framed for pair in pairwise(sentence))
    after = Counter(first for first, _ in pairs.elements())
    kinds = Counter(first for first, _ in pairs)
    total = sum(single.values())
    lines = ["\\data\\", f"ngram 1={len(single)}", f"ngram 2={len(pairs)}", "", "\\1-grams:"]
    for word in sorted(single):
        chance = -99.0 if word == "<s>" else log10(single[word] / total)
        backoff = log10(_DISCOUNT * kinds[word] / after[word]) if after[word] else 0.0
        lines.append(f"{chance:.4f}\t{word}\t{backoff:.4f}")
    lines += ["", "\\2-grams:"]
    lines += [f"{log10((count - _DISCOUNT) / after[a]):.4f}\t{a} {b}" for (a, b), count in sorted(pairs.items())]
    return "\n".join([*lines, "", "\\end\\", ""])


class Aligner:
    """The recogniser with its English model; sentences: what may be said, where no recording has a text."""

    def __init__(self, sentences: Sequence[str] = ()) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise MissingPackageError(
                "recordings need the package pocketsphinx; install it with: pip install pocketsphinx"
            ) from error
        options: dict[str, Any] = {"samprate": float(SAMPLE_RATE_HZ), "loglevel": "FATAL"}
        spoken = [words for words in map(words_of, sentences) if words]
        with tempfile.TemporaryDirectory() as folder:
            if spoken:
                model = Path(folder, "sentences.lm")
                model.write_text(bigram_model(spoken), "utf-8")
                options["lm"] = str(model)
            self._decoder = Decoder(**options)

    def phones(self, samples: NDArray[np.float32], words: str | None) -> tuple[Phone, ...] | None:
        """Phones of (N,) samples at 16 kHz that touch each other; None where nothing, or not the words, was heard."""
        loud = max(float(np.abs(samples).max()), 1e-6)
        sound = (0.9 * 32767 / loud * samples).astype(np.int16).tobytes()
        known = words if words and all(self._decoder.lookup_word(word) for word in words.split()) else None
        try:
            if known:
                self._decoder.set_align_text(known)
            else:
                self._decoder.activate_search("_default")
            self._hear(sound)
            if self._decoder.hyp() is None or not self._decoder.hyp().hypstr:
                return None
            self._decoder.set_alignment()
            self._hear(sound)
            found = [(part.name, part.start, part.duration) for word in self._decoder.get_alignment() for part in word]
        except RuntimeError as error:  # pocketsphinx has no other word for "this does not fit"
            log.debug("no alignment: %s", error)
            return None
        return tuple(_phones(found))

    def _hear(self, sound: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(sound, full_utt=True)
        self._decoder.end_utt()


def _phones(found: Sequence[tuple[str, int, int]]) -> Iterator[Phone]:
    """From (name, first model frame, frames); a phone that stands for several symbols is cut into equal parts."""
    for name, first, frames in found:
        symbols = (SILENCE,) if _NO_PHONE.match(name) else to_symbols(name.lower(), "arpabet")
        cuts = np.linspace(first, first + frames, len(symbols) + 1) / _MODEL_FRAMES_HZ
        for symbol, start_s, end_s in zip(symbols, cuts[:-1], cuts[1:], strict=True):
            yield Phone(symbol, float(start_s), float(end_s))


def build_recordings(source: Path, folder: Path, processes: int = 1) -> None:
    """Shards ``recorded-NNN.npz`` of about ten minutes in ``folder`` from the recordings in ``source``.

    What the recogniser cannot read is left out, and counted in the log.
    """
    recordings = find_recordings(source)
    listed = source / "sentences.txt"
    sentences = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    folder.mkdir(parents=True, exist_ok=True)
    jobs: list[_Job] = []
    for number, part in enumerate(_portions(recordings)):
        path = folder / f"{RECORDED}-{number:03d}.npz"
        if not path.exists():
            jobs.append((path, part, sentences))
    run_jobs(_build, jobs, processes)


_Job = tuple[Path, list[Recording], list[str]]


def _portions(recordings: Sequence[Recording]) -> Iterator[list[Recording]]:
    """Recordings for one shard each, by the size of their files: exact lengths do not matter."""
    part: list[Recording] = []
    size = 0
    for recording in recordings:
        part.append(recording)
        size += recording.path.stat().st_size
        if size >= SHARD_S * SAMPLE_RATE_HZ * 2:
            yield part
            part, size = [], 0
    if part:
        yield part


def _build(job: _Job, _attempt: int) -> None:
    path, recordings, sentences = job
    aligner = Aligner(sentences)
    utterances = []
    for recording in recordings:
        samples = _read(recording.path)
        if not _SHORTEST_S <= len(samples) / SAMPLE_RATE_HZ <= _LONGEST_S:
            continue
        phones = aligner.phones(samples, recording.words)
        if phones is not None and sum(phone.symbol != SILENCE for phone in phones) >= 3:
            utterances.append(Utterance(samples, phones))
    log.info("%s: %d of %d recordings", path.name, len(utterances), len(recordings))
    if utterances:
        pack(utterances).save(path)


def _read(path: Path) -> NDArray[np.float32]:
    """(N,) float32 mono at 16 kHz."""
    wanted = ["-vn", "-ac", "1", "-ar", str(SAMPLE_RATE_HZ), "-f", "f32le", "-"]
    source = file_input(require_media(path, "recording"))
    with Ffmpeg(["-v", "error", *source, *wanted], f"Reading the recording {path}") as process:
        data = process.stdout.read()
        if process.finish() != 0:
            if process.refused_container():
                raise container_error(path)
            raise MediaError(f"The recording {path} cannot be read ({process.words()}): export it again, as WAV or MP3")
    return np.frombuffer(data, np.float32)
