"""The synthesisers that make the corpus: flite, festival and espeak-ng of Debian, with the times of their phones."""

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

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 16000


@dataclass(frozen=True)
class Voice:
    """One speaker of one synthesiser. ``package`` is the Debian package that brings it."""

    engine: str
    name: str
    language: str
    phone_set: str
    package: str
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Phone:
    """A symbol of phonemes.GESTURES and when it sounds."""

    symbol: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Utterance:
    """samples: (N,) float32 mono at 16 kHz, -1..1; phones in order, touching each other."""

    samples: NDArray[np.float32]
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
    """The voices made from recordings of people."""
    return _FLITE + _FESTIVAL


def espeak_voice(random: np.random.Generator) -> Voice:
    """One of the many combinations of language and variant of espeak-ng."""
    language = str(random.choice(list(_ESPEAK_LANGUAGES)))
    variant = str(random.choice(_ESPEAK_VARIANTS))
    name = f"{language}+{variant}" if variant else language
    return Voice("espeak", name, _ESPEAK_LANGUAGES[language], "ipa", "espeak-ng")


def speak(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Utterance]:
    """Each text read by ``voice`` at a random rate (and pitch, where it has one)."""
    makers: dict[str, Callable[[Voice, Sequence[str], np.random.Generator], Iterator[Utterance]]]
    makers = {"flite": _speak_flite, "festival": _speak_festival, "espeak": _speak_espeak}
    return makers[voice.engine](voice, texts, random)


def require_voices(voices: Sequence[Voice]) -> None:
    """Refuse, naming the Debian packages, where a synthesiser or a festival voice is missing."""
    missing = set()
    for voice in voices:
        if voice.engine == "espeak":
            from sadtalker_ext.training.corpus.espeak import library_is_there

            there = library_is_there()
        elif voice.engine == "flite":
            there = shutil.which("flite") is not None
        else:
            folders = Path("/usr/share/festival/voices").glob(f"*/{voice.name}")
            there = shutil.which("festival") is not None and any(folders)
        if not there:
            missing |= {voice.package, *(["festival"] if voice.engine == "festival" else [])}
    if missing:
        raise MissingPackageError(
            "the corpus needs speech synthesisers that are not installed; run: apt-get install "
            + " ".join(sorted(missing))
        )


def _speak_flite(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Utterance]:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "speech.wav")
        for text in texts:
            stretch = f"duration_stretch={random.uniform(0.8, 1.3):.3f}"
            command = ["flite", "-voice", voice.name, "--setf", stretch, "-t", text, "-o", str(target), "-psdur"]
            words = _run(command, "").split()
            yield _utterance(target.read_bytes(), [_timed(*word.rsplit(":", 1)) for word in words], voice)


def _timed(name: str, end: str) -> tuple[str, float]:
    return name, float(end)


_FESTIVAL_SCRIPT: Final = """
(voice_{name})
(define (dump text wav lab)
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt wav 'riff)
    (utt.save.segs utt lab)))
"""


def _speak_festival(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Utterance]:
    """One process for all texts; a text that festival cannot read ends it, and the rest starts anew."""
    left = list(texts)
    while left:
        with tempfile.TemporaryDirectory() as folder:
            script = _FESTIVAL_SCRIPT.format(name=voice.name)
            for index, text in enumerate(left):
                plain = text.replace("\\", " ").replace('"', " ")
                script += f"(Parameter.set 'Duration_Stretch {random.uniform(0.8, 1.3):.3f})\n"
                script += f'(dump "{plain}" "{folder}/{index}.wav" "{folder}/{index}.lab")\n'
            path = Path(folder, "speak.scm")
            path.write_bytes(script.encode(voice.encoding, "ignore"))
            command = ["festival", "-b", str(path)]
            subprocess.run(command, capture_output=True, check=False)
            done = 0
            while Path(folder, f"{done}.lab").exists():
                lines = Path(folder, f"{done}.lab").read_text("latin-1").splitlines()[1:]
                phones = [(line.split()[2], float(line.split()[0])) for line in lines if len(line.split()) >= 3]
                yield _utterance(Path(folder, f"{done}.wav").read_bytes(), phones, voice)
                done += 1
            left = left[done + 1 :]


def _speak_espeak(voice: Voice, texts: Sequence[str], random: np.random.Generator) -> Iterator[Utterance]:
    from sadtalker_ext.training.corpus.espeak import EspeakSettings, synthesise

    for text in texts:
        rate, pitch, pitch_range = (int(random.integers(*span)) for span in ((120, 230), (20, 80), (30, 90)))
        settings = EspeakSettings(rate, pitch, pitch_range)
        samples, rate_hz, names = synthesise(voice.name, text, settings)
        yield Utterance(_to_16k(samples, rate_hz), _phones(names, voice.phone_set))


def _run(command: Sequence[str], text: str) -> str:
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if result.returncode:
        raise MediaError(f"{command[0]} failed on {command}: {result.stderr.strip()[-300:]}")
    return result.stdout


def _utterance(wav: bytes, ends: Sequence[tuple[str, float]], voice: Voice) -> Utterance:
    with wave.open(io.BytesIO(wav)) as file:
        rate_hz = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    return Utterance(_to_16k(samples, rate_hz), _phones(ends, voice.phone_set))


def _phones(ends: Sequence[tuple[str, float]], phone_set: str) -> tuple[Phone, ...]:
    """Phones from (name, end in seconds); one that stands for several symbols is cut into equal parts.

    A "pause" below 30 ms is a mark between words: its time goes to the phone after it.
    """
    phones, start = [], 0.0
    for name, end in ends:
        symbols = to_symbols(name, phone_set)
        if symbols == (SILENCE,) and end - start < 0.03:
            continue
        cuts = np.linspace(start, end, len(symbols) + 1)
        phones += [Phone(symbol, float(a), float(b)) for symbol, a, b in zip(symbols, cuts[:-1], cuts[1:], strict=True)]
        start = end if symbols else start
    return tuple(phones)


def _to_16k(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    if rate_hz == SAMPLE_RATE_HZ:
        return samples
    from scipy.signal import resample_poly

    divisor = int(np.gcd(rate_hz, SAMPLE_RATE_HZ))
    return np.asarray(resample_poly(samples, SAMPLE_RATE_HZ // divisor, rate_hz // divisor), np.float32)
