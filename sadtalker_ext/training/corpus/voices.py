"""Speech synthesis with phone times by the Debian packages of flite, festival and espeak-ng."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.errors import MediaError, MissingPackageError
from sadtalker_ext.training.corpus.phonemes import SILENCE, to_symbols
from sadtalker_ext.training.corpus.resampling import resample_to_16k

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Samples

_DURATION_FACTORS: Final = (0.8, 1.3)
"""Range of the random duration factor of flite and festival."""
_RATE_WPM, _PITCH, _PITCH_RANGE = (120, 230), (20, 80), (30, 90)
"""Ranges of espeak-ng's random speaking rate, pitch and pitch range."""
_MIN_PAUSE_S: Final = 0.03
"""A shorter pause marks a word boundary and is no silence."""


@dataclass(frozen=True)
class Voice:
    """A voice of a synthesiser. engine: "flite", "festival" or "espeak". package: the Debian package with the voice."""

    engine: str
    name: str
    language: str
    phone_set: str
    package: str
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Phone:
    """A symbol of :data:`phonemes.GESTURES` and its time in seconds."""

    symbol: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Utterance:
    """Speech with its phones. samples: (N,) at 16 kHz. phones: in order, without gaps."""

    samples: Samples
    phones: tuple[Phone, ...]


def _festival(name: str, language: str, phone_set: str, package: str, encoding: str = "latin-1") -> Voice:
    return Voice("festival", name, language, phone_set, package, encoding)


_FLITE: Final = tuple(Voice("flite", name, "en", "arpabet", "flite") for name in ("kal16", "awb", "rms", "slt"))
_FESTIVAL: Final = (
    _festival("cmu_us_slt_arctic_hts", "en", "arpabet", "festvox-us-slt-hts"),
    _festival("kal_diphone", "en", "arpabet", "festvox-kallpc16k"),
    _festival("ked_diphone", "en", "arpabet", "festvox-kdlpc16k"),
    _festival("lp_diphone", "it", "romance", "festvox-italp16k"),
    _festival("pc_diphone", "it", "romance", "festvox-itapc16k"),
    _festival("hy_fi_mv_diphone", "fi", "finnish", "festvox-suopuhe-mv"),
    _festival("suo_fi_lj_diphone", "fi", "finnish", "festvox-suopuhe-lj"),
    _festival("czech_dita", "cs", "czech", "festvox-czech-dita", "iso-8859-2"),
    _festival("czech_krb", "cs", "czech", "festvox-czech-krb", "iso-8859-2"),
    _festival("czech_machac", "cs", "czech", "festvox-czech-machac", "iso-8859-2"),
    _festival("czech_ph", "cs", "czech", "festvox-czech-ph", "iso-8859-2"),
    _festival("msu_ru_nsh_clunits", "ru", "russian", "festvox-ru", "utf-8"),
)
_ESPEAK_LANGUAGES: Final = {
    "en-us": "en", "en-gb-x-rp": "en", "de": "de", "es": "es", "es-419": "es", "fr": "fr", "it": "it", "pt": "pt",
    "pt-br": "pt_BR", "pl": "pl", "ru": "ru", "nl": "nl", "sv": "sv", "tr": "tr", "ko": "ko", "hu": "hu", "el": "el",
    "ro": "ro", "uk": "uk", "da": "da", "vi": "vi", "cmn-latn-pinyin": "pinyin", "hi": "hi", "fi": "fi", "ca": "ca",
}  # fmt: skip
_ESPEAK_VARIANTS: Final = (
    "", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt", "klatt2", "klatt3",
    "klatt4", "adam", "Alex", "Andrea", "Annie", "Diogo", "Gene", "Jacky", "Lee", "Mario", "Michael", "Mike", "anika",
    "antonio", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "iven", "john", "linda", "marcelo",
    "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby",
    "steph", "travis", "victor", "grandma", "grandpa",
)  # fmt: skip


def natural_voices() -> tuple[Voice, ...]:
    """Return the voices that were made from recordings of people."""
    return _FLITE + _FESTIVAL


def random_espeak_voice(random: np.random.Generator) -> Voice:
    """Return an espeak-ng voice of a random language and variant."""
    language = str(random.choice(list(_ESPEAK_LANGUAGES)))
    variant = str(random.choice(_ESPEAK_VARIANTS))
    name = f"{language}+{variant}" if variant else language
    return Voice("espeak", name, _ESPEAK_LANGUAGES[language], "ipa", "espeak-ng")


def synthesise_speech(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Utterance]:
    """Yield the speech of each text at a random rate; espeak-ng voices also get a random pitch."""
    engines: dict[str, Callable[[Voice, Sequence[str], np.random.Generator], Iterator[Utterance]]]
    engines = {"flite": _run_flite, "festival": _run_festival, "espeak": _run_espeak}
    return engines[voice.engine](voice, texts, random)


def require_voices(voices: Sequence[Voice]) -> None:
    """Raise MissingPackageError with the Debian packages to install if a synthesiser or festival voice is missing."""
    missing = set()
    for voice in voices:
        if voice.engine == "espeak":
            from sadtalker_ext.tts.espeak_library import is_installed

            found = is_installed()
        elif voice.engine == "flite":
            found = shutil.which("flite") is not None
        else:
            folders = Path("/usr/share/festival/voices").glob(f"*/{voice.name}")
            found = shutil.which("festival") is not None and any(folders)
        if not found:
            missing |= {voice.package, *(["festival"] if voice.engine == "festival" else [])}
    if missing:
        raise MissingPackageError(
            "The corpus needs speech synthesisers that are not installed; run: apt-get install "
            + " ".join(sorted(missing))
        )


def _run_flite(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Utterance]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "speech.wav")
        for text in texts:
            stretch = f"duration_stretch={random.uniform(*_DURATION_FACTORS):.3f}"
            command = ["flite", "-voice", voice.name, "--setf", stretch, "-t", text, "-o", str(target), "-psdur"]
            fields = [field.rsplit(":", 1) for field in _run(command).split()]
            yield _read_utterance(target.read_bytes(), [(name, float(end)) for name, end in fields], voice)


_FESTIVAL_SCRIPT: Final = """
(voice_{name})
(define (dump text wav lab)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt wav 'riff)
    (utt.save.segs utt lab)))
"""


def _run_festival(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Utterance]:
    """Read all texts in one process. A text that festival cannot read ends the process; the rest gets a new one."""
    remaining = list(texts)
    while remaining:
        with tempfile.TemporaryDirectory() as folder:
            script = _FESTIVAL_SCRIPT.format(name=voice.name)
            for index, text in enumerate(remaining):
                plain = text.replace("\\", " ").replace('"', " ")
                script += f"(Parameter.set 'Duration_Stretch {random.uniform(*_DURATION_FACTORS):.3f})\n"
                script += f'(dump "{plain}" "{folder}/{index}.wav" "{folder}/{index}.lab")\n'
            path = Path(folder, "script.scm")
            path.write_bytes(script.encode(voice.encoding, "ignore"))
            command = ["festival", "-b", str(path)]
            subprocess.run(command, capture_output=True, check=False)
            done = 0
            while Path(folder, f"{done}.lab").exists():
                lines = Path(folder, f"{done}.lab").read_text("latin-1").splitlines()[1:]
                phones = [(line.split()[2], float(line.split()[0])) for line in lines if len(line.split()) >= 3]
                yield _read_utterance(Path(folder, f"{done}.wav").read_bytes(), phones, voice)
                done += 1
            remaining = remaining[done + 1 :]


def _run_espeak(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Utterance]:
    from sadtalker_ext.tts.espeak_library import EspeakSettings, synthesise

    for text in texts:
        rate, pitch, pitch_range = (int(random.integers(*span)) for span in (_RATE_WPM, _PITCH, _PITCH_RANGE))
        settings = EspeakSettings(rate, pitch, pitch_range)
        samples, rate_hz, ends = synthesise(voice.name, text, settings)
        yield Utterance(resample_to_16k(samples, rate_hz), _make_phones(ends, voice.phone_set))


def _run(command: Sequence[str]) -> str:
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode:
        detail = result.stderr.strip()[-300:]
        raise MediaError(f"{' '.join(command)} failed ({detail}); check the installation of {command[0]}")
    return result.stdout


def _read_utterance(wav: bytes, ends: Sequence[tuple[str, float]], voice: Voice) -> Utterance:
    with wave.open(io.BytesIO(wav)) as file:
        rate_hz = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    return Utterance(resample_to_16k(samples, rate_hz), _make_phones(ends, voice.phone_set))


def _make_phones(ends: Sequence[tuple[str, float]], phone_set: str) -> tuple[Phone, ...]:
    """Return phones for (name, end in seconds) pairs; a phone of several symbols is split into equal parts.

    A pause below 30 ms is a word boundary: its time is added to the next phone.
    """
    phones, start = [], 0.0
    for name, end in ends:
        symbols = to_symbols(name, phone_set)
        if symbols == (SILENCE,) and end - start < _MIN_PAUSE_S:
            continue
        cuts = np.linspace(start, end, len(symbols) + 1)
        phones += [Phone(symbol, float(a), float(b)) for symbol, a, b in zip(symbols, cuts[:-1], cuts[1:], strict=True)]
        start = end if symbols else start
    return tuple(phones)
