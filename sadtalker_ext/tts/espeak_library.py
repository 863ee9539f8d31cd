"""The espeak-ng library: speech synthesis, phoneme times (its command line does not report them) and its voices.

The library of the system is preferred; otherwise that of the package espeakng-loader, which brings its data along. The
library has one state per process, so that calls from several threads run one after another.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from sadtalker_ext.errors import MediaError, MissingPackageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Samples

_LIBRARIES: Final = ("libespeak-ng.so.1", "libespeak-ng.1.dylib", "libespeak-ng.dll")
_PACKAGE: Final = "espeakng_loader"
_SYNCHRONOUS: Final = 2
_PHONEME_EVENTS_IN_IPA_AND_NO_EXIT: Final = 0x8003
_UTF8_WITH_END_PAUSE: Final = 0x1001
"""The text is plain: neither SSML nor phoneme notation is interpreted."""
_PHONEME_EVENT: Final = 7
_RATE, _PITCH, _RANGE = 1, 3, 4
"""Constants of espeak-ng's speak_lib.h."""
NORMAL_RATE_WPM: Final = 175
RATE_LIMITS_WPM: Final = (80, 450)
_lock = threading.Lock()


class EspeakSettings(NamedTuple):
    """Speaking rate in words per minute (80 to 450), pitch and pitch range (0 to 99; 50 is normal)."""

    rate: int = NORMAL_RATE_WPM
    pitch: int = 50
    pitch_range: int = 50


class EspeakVoice(NamedTuple):
    """A voice: its name, such as ``English (America)``, and the code of its language, such as ``en-us``."""

    name: str
    language: str


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


class _Voice(ctypes.Structure):
    """``espeak_VOICE`` of speak_lib.h; ``languages`` is a priority byte and a language code, both repeated."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.POINTER(ctypes.c_char)),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class _Espeak:
    """The loaded library; its voice and its callback are global to the process."""

    def __init__(self, path: str, data: Path | None) -> None:
        self.library = ctypes.CDLL(path)
        folder = None if data is None else str(data).encode()
        flags = _PHONEME_EVENTS_IN_IPA_AND_NO_EXIT
        self.rate_hz = int(self.library.espeak_Initialize(_SYNCHRONOUS, 0, folder, flags))
        if self.rate_hz <= 0:
            raise MediaError("espeak-ng found no voice data; run: apt-get install espeak-ng-data")
        self.pieces: list[NDArray[np.int16]] = []
        self.starts: list[tuple[str, int]] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self.callback = kind(self._collect)
        self.library.espeak_SetSynthCallback(self.callback)
        self.library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))

    def _collect(self, samples: Any, count: int, events: Any) -> int:  # noqa: ANN401 - ctypes pointers
        if count > 0:
            self.pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        for event in itertools.takewhile(lambda event: event.type, (events[i] for i in itertools.count())):
            if event.type == _PHONEME_EVENT:
                self.starts.append((event.id.string.decode("utf-8", "ignore"), event.sample))
        return 0

    def speak(self, voice: str, text: str, settings: EspeakSettings) -> None:
        self.pieces.clear()
        self.starts.clear()
        if self.library.espeak_SetVoiceByName(voice.encode()):
            raise MediaError(f"espeak-ng has no voice {voice!r}; choose one that sadtalker voices lists")
        for parameter, value in zip((_RATE, _PITCH, _RANGE), settings, strict=True):
            self.library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8_WITH_END_PAUSE, None, None)
        self.library.espeak_Synchronize()

    def voices(self) -> Iterator[EspeakVoice]:
        pointers = self.library.espeak_ListVoices(None)
        for voice in itertools.takewhile(bool, (pointers[index] for index in itertools.count())):
            languages = ctypes.cast(voice.contents.languages, ctypes.c_char_p).value or b""
            yield EspeakVoice(voice.contents.name.decode("utf-8", "replace"), languages[1:].decode("ascii", "replace"))


def _locations() -> Iterator[tuple[str, Path | None]]:
    """Yield the path of each library to try, and the folder of its data; None is the folder of the system."""
    yield from ((name, None) for name in _LIBRARIES)
    package = find_spec(_PACKAGE)
    for folder in map(Path, package.submodule_search_locations or () if package else ()):
        data = folder / "espeak-ng-data"
        yield from ((str(file), data) for file in sorted(folder.glob("*espeak-ng*")) if file.is_file())


@cache
def _load_library() -> _Espeak:
    for path, data in _locations():
        try:
            return _Espeak(path, data)
        except OSError:  # not installed, or for another system
            continue
    raise MissingPackageError(
        "The library espeak-ng is not installed; run: pip install espeakng-loader, or apt-get install libespeak-ng1"
    )


def is_installed() -> bool:
    """Whether the library can be loaded."""
    try:
        _load_library()
    except (MissingPackageError, MediaError):
        return False
    return True


def library_rate_hz() -> int:
    """Return the sample rate of the speech; MissingPackageError if the library is not installed."""
    return _load_library().rate_hz


def list_voices() -> list[EspeakVoice]:
    """Return the voices of all languages; MissingPackageError if the library is not installed."""
    with _lock:
        return sorted(_load_library().voices(), key=lambda voice: voice.language)


def synthesise(voice: str, text: str, settings: EspeakSettings) -> tuple[Samples, int, list[tuple[str, float]]]:
    """Return mono samples (N,) in [-1, 1], their rate in Hz, and the IPA name and end in seconds of each phone.

    voice: code of a language, also with a variant, such as ``en-us+f2``. A pause has the name "". MissingPackageError
    if the library is not installed, MediaError if it has no such voice.
    """
    with _lock:
        espeak = _load_library()
        espeak.speak(voice, text, settings)
        pieces, found = list(espeak.pieces), list(espeak.starts)
    samples = np.concatenate([*pieces, np.zeros(1, np.int16)]).astype(np.float32) / 32768
    starts = [(name, at) for name, at in found if not name.startswith("(")]
    ends = [at for _, at in starts[1:]] + [len(samples)]
    timed = [("", starts[0][1] / espeak.rate_hz)] if starts else []
    timed += [(name, end / espeak.rate_hz) for (name, _), end in zip(starts, ends, strict=True)]
    return samples, espeak.rate_hz, timed
