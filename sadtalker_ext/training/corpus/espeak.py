"""Speech synthesis by the espeak-ng library, which reports phoneme times (its command line does not)."""

from __future__ import annotations

import ctypes
import itertools
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from sadtalker_ext.errors import MediaError, MissingPackageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Samples

_LIBRARY: Final = "libespeak-ng.so.1"
_SYNCHRONOUS: Final = 2
_PHONEME_EVENTS_IN_IPA_AND_NO_EXIT: Final = 0x8003
_UTF8_WITH_END_PAUSE: Final = 0x1001
_PHONEME_EVENT: Final = 7
_RATE, _PITCH, _RANGE = 1, 3, 4
"""Constants of espeak-ng's speak_lib.h."""


class EspeakSettings(NamedTuple):
    """Speaking rate in words per minute (80 to 450), pitch and pitch range (0 to 99; 50 is normal)."""

    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50


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


class _Espeak:
    """The loaded library; its voice and its callback are global to the process."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(_LIBRARY)
        self.rate_hz = int(self.library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IN_IPA_AND_NO_EXIT))
        if self.rate_hz <= 0:
            raise MediaError("espeak-ng found no voice data; run: apt-get install espeak-ng-data")
        self.pieces: list[NDArray[np.int16]] = []
        self.starts: list[tuple[str, int]] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self.callback = kind(self._collect)
        self.library.espeak_SetSynthCallback(self.callback)

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
            raise MediaError(f"espeak-ng has no voice {voice!r}; list the voices with: espeak-ng --voices")
        for parameter, value in zip((_RATE, _PITCH, _RANGE), settings, strict=True):
            self.library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8_WITH_END_PAUSE, None, None)
        self.library.espeak_Synchronize()


@cache
def _load_library() -> _Espeak:
    try:
        return _Espeak()
    except OSError as error:
        raise MissingPackageError(f"{_LIBRARY} is not installed; run: apt-get install libespeak-ng1") from error


def is_installed() -> bool:
    """Whether the dynamic linker finds the espeak-ng library."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return True


def synthesise(voice: str, text: str, settings: EspeakSettings) -> tuple[Samples, int, list[tuple[str, float]]]:
    """Return mono samples (N,) in [-1, 1], their rate in Hz, and the IPA name and end in seconds of each phone.

    A pause has the name "". MissingPackageError if the library is not installed.
    """
    espeak = _load_library()
    espeak.speak(voice, text, settings)
    samples = np.concatenate([*espeak.pieces, np.zeros(1, np.int16)]).astype(np.float32) / 32768
    starts = [(name, at) for name, at in espeak.starts if not name.startswith("(")]
    ends = [at for _, at in starts[1:]] + [len(samples)]
    timed = [("", starts[0][1] / espeak.rate_hz)] if starts else []
    timed += [(name, end / espeak.rate_hz) for (name, _), end in zip(starts, ends, strict=True)]
    return samples, espeak.rate_hz, timed
