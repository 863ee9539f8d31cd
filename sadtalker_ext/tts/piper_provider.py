"""Voices of Piper: neural networks (VITS, Kim et al. 2021) in ONNX files, read by the package piper-tts.

A voice is a file ``NAME.onnx`` with its description ``NAME.onnx.json`` beside it, in a checkpoint folder or in an
installed package whose name ends in ``_piper_voice``.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import FileRef, WeightsError
from sadtalker_ext.system.optional_package import require_package
from sadtalker_ext.tts.provider import Voice

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Samples

NAME: Final = "Piper"
PACKAGE_SUFFIX: Final = "_piper_voice"
MAX_DESCRIPTION_BYTES: Final = 1 << 20
"""Largest description that is read; those of published voices have 5 to 60 kB."""
NOISE_SEED: Final = 0
"""Seed of the noise that varies melody and durations; it is fixed, so that a text always sounds the same."""
SENTENCE_PAUSE_S: Final = 0.3
"""Silence after a sentence; the network itself ends with the last sound."""


class PiperProvider:
    """Voices are named by their files without ``.onnx``."""

    name = NAME

    def voices(self, folders: Sequence[Path]) -> list[Voice]:
        """Return the voices in ``folders``, then those of installed packages; none if piper-tts is not installed."""
        if not _is_installed():
            return []
        found: dict[str, Voice] = {}
        for folder in (*folders, *_package_folders()):
            for path in sorted(folder.glob("*.onnx")) if folder.is_dir() else ():
                if _description_path(path).is_file():
                    found.setdefault(path.stem, _describe(path))
        return list(found.values())

    def open(self, voice: Voice, rate: float) -> PiperReader:
        """Open a voice, which takes about a second; WeightsError if the file is not a voice of Piper."""
        require_package("piper", "piper-tts", f"The voice {voice.name}")
        return PiperReader(voice, rate)


class PiperReader:
    """Reads with one voice. The network draws random numbers from :data:`NOISE_SEED` on, so a reader reads one text."""

    def __init__(self, voice: Voice, rate: float) -> None:
        from piper import PiperVoice, SynthesisConfig

        path = voice.path
        if path is None:
            raise ValueError(f"the voice {voice.name} has no file")
        _set_seed(NOISE_SEED)
        try:
            self._voice: Any = PiperVoice.load(path, _description_path(path))
            self.rate_hz = int(self._voice.config.sample_rate)
        except Exception as e:
            raise _voice_error(path, str(e).partition("\n")[0][:200]) from e
        self._path = path
        self._delivery = SynthesisConfig(length_scale=self._voice.config.length_scale / rate)

    def read(self, text: str) -> Iterator[Samples]:
        """Yield the speech of each sentence with a pause after it."""
        import numpy as np

        pause = np.zeros(round(SENTENCE_PAUSE_S * self.rate_hz), np.float32)
        try:
            for chunk in self._voice.synthesize(text, self._delivery):
                yield np.concatenate([chunk.audio_float_array.reshape(-1).astype(np.float32), pause])
        except Exception as e:
            raise _voice_error(self._path, str(e).partition("\n")[0][:200]) from e


def _set_seed(seed: int) -> None:
    """Seed the random numbers of networks that are opened afterwards."""
    import onnxruntime

    onnxruntime.set_seed(seed)


def _is_installed() -> bool:
    try:
        distribution("piper-tts")
    except PackageNotFoundError:
        return False
    return True


def _package_folders() -> Iterator[Path]:
    """Yield the folders with the voices of installed packages, without importing them."""
    for module in sorted(pkgutil.iter_modules(), key=lambda module: module.name):
        if module.ispkg and module.name.endswith(PACKAGE_SUFFIX):
            spec = find_spec(module.name)
            for folder in map(Path, spec.submodule_search_locations or () if spec else ()):
                yield from (folder, folder / "data")


def _description_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _describe(path: Path) -> Voice:
    """Return the voice of a file; a damaged description only loses the language and is reported on opening."""
    language, quality = "", ""
    try:
        with _description_path(path).open("rb") as file:
            content = json.loads(file.read(MAX_DESCRIPTION_BYTES))
        language = str(content["espeak"]["voice"])
        quality = str(content["audio"]["quality"])
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        pass
    return Voice(path.stem, NAME, language, f"neural{f', {quality} quality' if quality else ''}", path)


def _voice_error(path: Path, reason: str) -> WeightsError:
    return WeightsError("The ", FileRef("voice file", path), f" cannot be used ({reason}); download it again")
