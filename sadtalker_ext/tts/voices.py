"""The voices of all providers: to add a provider, name it in :data:`PROVIDERS`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import MissingPackageError, SettingsError
from sadtalker_ext.tts.espeak_provider import NAME as ESPEAK
from sadtalker_ext.tts.espeak_provider import EspeakProvider
from sadtalker_ext.tts.piper_provider import PiperProvider
from sadtalker_ext.tts.writing_systems import LATIN_LANGUAGES, SYSTEMS, base_language, reads, writing_system

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.tts.provider import Reader, SpeechProvider, Voice

PROVIDERS: Final[tuple[SpeechProvider, ...]] = (PiperProvider(), EspeakProvider())
"""In the order in which they are listed and in which the default voice is chosen."""
NO_VOICE: Final = (
    "No voice that reads text aloud is installed; run: pip install piper-tts espeakng-loader, or put the files of a "
    "Piper voice (.onnx and .onnx.json) into a checkpoint folder"
)


def list_voices(folders: Sequence[Path]) -> list[Voice]:
    """Return all voices that can be used now; the first one is the default."""
    return [voice for provider in PROVIDERS for voice in provider.voices(folders)]


def find_voice(name: str, folders: Sequence[Path], text: str = "") -> Voice:
    """Return the voice of this name, or for an empty name the first one that reads the writing system of ``text``.

    SettingsError if there is none of this name, or if it cannot read the text; MissingPackageError if there is no voice
    at all.
    """
    voices = list_voices(folders)
    if not voices:
        raise MissingPackageError(NO_VOICE)
    system = writing_system(text)
    suitable = [voice for voice in voices if reads(voice.language, system)]
    if not name and suitable:
        return suitable[0]
    voice = _named_voice(name, voices) if name else voices[0]
    if system and (not name or base_language(voice.language) in LATIN_LANGUAGES):
        hint = f"choose the voice {suitable[0].name}" if suitable else "install a voice of its language"
        raise SettingsError(
            f"The text is written in {SYSTEMS[system][0]} letters, which the voice {voice.name} does not read; {hint}"
        )
    return voice


def _named_voice(name: str, voices: Sequence[Voice]) -> Voice:
    wanted = name.lower().removesuffix(".onnx")
    for voice in voices:
        language = wanted.partition("+")[0] if voice.provider == ESPEAK else wanted
        if language == voice.name.lower():
            return voice if language == wanted else _with_variant(voice, wanted)
    names = [voice.name for voice in voices]
    parts = [one for one in names if wanted in re.split(r"[-_+.]", one.lower())]
    nearest = parts or get_close_matches(wanted, names, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else "the command sadtalker voices lists all"
    raise SettingsError(f"There is no voice named {name!r}; {hint}")


def open_voice(voice: Voice, rate: float = 1.0) -> Reader:
    """Open a voice of any provider; ``rate`` is its speed, 1 is normal."""
    provider = next(provider for provider in PROVIDERS if provider.name == voice.provider)
    return provider.open(voice, rate)


def _with_variant(voice: Voice, name: str) -> Voice:
    """Return a voice of espeak-ng with a variant, such as ``en-us+f2``."""
    from dataclasses import replace

    return replace(voice, name=name)
