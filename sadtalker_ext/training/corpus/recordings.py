"""Corpus shards from recordings of English speech, with phone times from pocketsphinx.

Synthetic voices have exact phone times; recordings add the sound of real voices. A folder of recordings contains audio
files and their transcripts. The transcript of a file is taken from ``NAME.txt`` next to ``NAME.wav``, otherwise from
``metadata.csv`` with lines ``NAME|text|normalised text`` (the layout of LJ Speech). For files without a transcript, the
lines of ``sentences.txt`` (sentences that may occur) make a bigram language model for the recogniser; without that file
the recogniser uses its own language model.
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

from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.errors import MediaError, MissingPackageError
from sadtalker_ext.ffmpeg import Ffmpeg, container_error, file_input, require_media
from sadtalker_ext.system.path_problems import make_folder, require_folder
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.training.corpus.build import RECORDED_PREFIX, SHARD_S, pack_shard
from sadtalker_ext.training.corpus.phonemes import SILENCE, to_symbols
from sadtalker_ext.training.corpus.voices import Phone, Utterance

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Samples

log = logging.getLogger(__name__)

AUDIO_SUFFIXES: Final = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".g722")
_MIN_S, _MAX_S = 0.7, 25.0
"""Range of the length of a recording; others are skipped."""
_MIN_PHONES: Final = 3
_PEAK: Final = 0.9
"""Peak of the audio that the recogniser gets; 1 is full scale."""
_ALIGNMENT_RATE_HZ: Final = 100
"""Frames per second of the recogniser."""
_DISCOUNT: Final = 0.5
"""Subtracted from each bigram count, for bigrams that do not occur in the sentences."""
_NO_PHONE: Final = re.compile(r"^[<\[+].*|^SIL$")


@dataclass(frozen=True)
class Recording:
    """An audio file and its transcript in lower case, None if unknown."""

    path: Path
    transcript: str | None = None


def find_recordings(folder: Path) -> list[Recording]:
    """Return the audio files in ``folder`` and its subfolders, sorted by path. MediaError if there are none."""
    require_folder(folder, "use a folder of recordings with transcripts")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not paths:
        raise MediaError(f"The folder {folder} has no recordings; add audio files, with their transcripts in NAME.txt")
    table = folder / "metadata.csv"
    lines = table.read_text("utf-8").splitlines() if table.is_file() else []
    texts = {fields[0]: fields[-1] for fields in (line.split("|") for line in lines) if len(fields) > 1}
    return [Recording(path, _find_transcript(path, texts)) for path in paths]


def _find_transcript(path: Path, texts: dict[str, str]) -> str | None:
    file = path.with_suffix(".txt")
    text = file.read_text("utf-8") if file.is_file() else texts.get(path.stem)
    return None if text is None else " ".join(split_words(text))


def split_words(text: str) -> list[str]:
    """Return the words in the spelling of the recogniser's dictionary: lower case, with apostrophes."""
    return re.findall(r"[a-z']+", text.lower())


def build_bigram_model(sentences: Sequence[Sequence[str]]) -> str:
    """Return a bigram language model of ``sentences`` in ARPA format, with absolute discounting.

    Source: Ney, Essen and Kneser, "On structuring probabilistic dependences in stochastic language modelling" (1994).
    """
    marked = [["<s>", *sentence, "</s>"] for sentence in sentences]
    unigrams = Counter(word for sentence in marked for word in sentence)
    bigrams = Counter(pair for sentence in marked for pair in pairwise(sentence))
    followers = Counter(first for first, _ in bigrams.elements())
    distinct_followers = Counter(first for first, _ in bigrams)
    total = sum(unigrams.values())
    lines = ["\\data\\", f"ngram 1={len(unigrams)}", f"ngram 2={len(bigrams)}", "", "\\1-grams:"]
    for word in sorted(unigrams):
        log_p = -99.0 if word == "<s>" else log10(unigrams[word] / total)
        backoff = log10(_DISCOUNT * distinct_followers[word] / followers[word]) if followers[word] else 0.0
        lines.append(f"{log_p:.4f}\t{word}\t{backoff:.4f}")
    lines += ["", "\\2-grams:"]
    lines += [f"{log10((n - _DISCOUNT) / followers[a]):.4f}\t{a} {b}" for (a, b), n in sorted(bigrams.items())]
    return "\n".join([*lines, "", "\\end\\", ""])


class PhoneAligner:
    """The pocketsphinx recogniser with its English models.

    sentences: sentences that may occur in recordings without a transcript; they make its language model.
    """

    def __init__(self, sentences: Sequence[str] = ()) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise MissingPackageError(
                "Recordings need the package pocketsphinx; run: pip install pocketsphinx"
            ) from error
        options: dict[str, Any] = {"samprate": float(SAMPLE_RATE_HZ), "loglevel": "FATAL"}
        split = [words for words in map(split_words, sentences) if words]
        with tempfile.TemporaryDirectory() as folder:
            if split:
                model = Path(folder, "sentences.lm")
                model.write_text(build_bigram_model(split), "utf-8")
                options["lm"] = str(model)
            self._decoder = Decoder(**options)

    def align(self, samples: Samples, transcript: str | None) -> tuple[Phone, ...] | None:
        """Return the phones of (N,) samples without gaps; None if no speech or other words than these are recognised.

        A transcript with words that are not in the dictionary is ignored.
        """
        peak = max(float(np.abs(samples).max()), 1e-6)
        data = (_PEAK * 32767 / peak * samples).astype(np.int16).tobytes()
        words = transcript.split() if transcript else []
        try:
            if words and all(self._decoder.lookup_word(word) for word in words):
                self._decoder.set_align_text(transcript)
            else:
                self._decoder.activate_search("_default")
            self._decode(data)
            if self._decoder.hyp() is None or not self._decoder.hyp().hypstr:
                return None
            self._decoder.set_alignment()
            self._decode(data)
            found = [(part.name, part.start, part.duration) for word in self._decoder.get_alignment() for part in word]
        except RuntimeError as error:  # raised by pocketsphinx if the words do not match the audio
            log.debug("no alignment: %s", error)
            return None
        return tuple(_make_phones(found))

    def _decode(self, data: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(data, full_utt=True)
        self._decoder.end_utt()


def _make_phones(found: Sequence[tuple[str, int, int]]) -> Iterator[Phone]:
    """Yield phones for (name, first frame, frames); a phone of several symbols is split into equal parts."""
    for name, first, frames in found:
        symbols = (SILENCE,) if _NO_PHONE.match(name) else to_symbols(name.lower(), "arpabet")
        cuts = np.linspace(first, first + frames, len(symbols) + 1) / _ALIGNMENT_RATE_HZ
        for symbol, start_s, end_s in zip(symbols, cuts[:-1], cuts[1:], strict=True):
            yield Phone(symbol, float(start_s), float(end_s))


def build_recordings(source: Path, folder: Path, processes: int = 1) -> None:
    """Write shards ``recorded-NNN.npz`` of about ten minutes to ``folder`` from the recordings in ``source``.

    Recordings that cannot be aligned are skipped; the log has their number.
    """
    recordings = find_recordings(source)
    sentence_file = source / "sentences.txt"
    sentences = sentence_file.read_text("utf-8").splitlines() if sentence_file.is_file() else []
    make_folder(folder)
    jobs: list[_Job] = []
    for number, part in enumerate(_split_into_shards(recordings)):
        path = folder / f"{RECORDED_PREFIX}-{number:03d}.npz"
        if not path.exists():
            jobs.append((path, part, sentences))
    run_jobs(_build_shard, jobs, processes, lambda job: job[0].name)


_Job = tuple[Path, list[Recording], list[str]]


def _split_into_shards(recordings: Sequence[Recording]) -> Iterator[list[Recording]]:
    """Yield the recordings of each shard, grouped by file size: the exact length of a shard does not matter."""
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


def _build_shard(job: _Job, _attempt: int) -> None:
    path, recordings, sentences = job
    aligner = PhoneAligner(sentences)
    utterances = []
    for recording in recordings:
        samples = _read_samples(recording.path)
        if not _MIN_S <= len(samples) / SAMPLE_RATE_HZ <= _MAX_S:
            continue
        phones = aligner.align(samples, recording.transcript)
        if phones is not None and sum(phone.symbol != SILENCE for phone in phones) >= _MIN_PHONES:
            utterances.append(Utterance(samples, phones))
    log.info("%s: %d of %d recordings", path.name, len(utterances), len(recordings))
    if utterances:
        pack_shard(utterances).save(path)


def _read_samples(path: Path) -> Samples:
    """Return the mono samples (N,) of a file at 16 kHz, resampled by ffmpeg while it decodes."""
    # Not librosa.load, which cannot read .m4a and .g722; not open_speech, which refuses files below 0.2 s.
    output = ["-vn", "-ac", "1", "-ar", str(SAMPLE_RATE_HZ), "-f", "f32le", "-"]
    source = file_input(require_media(path, "recording"))
    with Ffmpeg(["-v", "error", *source, *output], f"Reading the recording {path}") as process:
        data = process.stdout.read()
        if process.finish() != 0:
            if process.refused_container():
                raise container_error(path, "recording")
            detail = process.last_message()
            raise MediaError(f"The recording {path} cannot be read ({detail}); convert it to WAV or remove it")
    return np.frombuffer(data, np.float32)
