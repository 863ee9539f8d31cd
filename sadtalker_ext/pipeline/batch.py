"""Batches: sort input files, name the results, and continue after a failure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sadtalker_ext.engines.session import EngineCache, EngineSource
from sadtalker_ext.errors import Cancelled, FileRef, MediaError, SadTalkerError
from sadtalker_ext.pipeline.animate import Result, make_video
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.output import free_name, short_stem
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.write import SUFFIX

STEM_CHARACTERS: Final = 40
"""Characters of a text that the name of its video shows."""


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


PICTURES = _suffixes(
    "apng avif bmp dib gif heic heif j2k jfif jp2 jpe jpeg jpg jxl pbm pgm png pnm ppm tga tif tiff webp"
)
AUDIO_FILES = _suffixes(
    "aac ac3 aif aifc aiff alac amr ape au caf flac m4a m4b mka mp2 mp3 oga ogg opus ra snd spx wav wave weba wma"
)
VIDEOS = _suffixes("3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts webm wmv")
"""File name suffixes that classify the files of a folder and three or more inputs; a file given alone may have any."""


@dataclass(frozen=True)
class BatchJob:
    """One video to make."""

    inputs: Inputs
    output: Path

    @property
    def name(self) -> str:
        """Description of the inputs."""
        inputs = self.inputs
        if inputs.idle_s is not None:
            return f"{inputs.portrait} idle for {inputs.idle_s:g} s"
        return f"{inputs.portrait} + {inputs.voice or 'text'}"


@dataclass(frozen=True)
class Outcome:
    """The result of a job, or the error that ended it."""

    job: BatchJob
    result: Result | None
    error: SadTalkerError | None


def sort_inputs(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the portraits and the voices among two or more paths, portraits first; a folder stands for its files.

    The first path is a portrait and the last one a voice. Of the paths between, the first audio file, or folder without
    pictures, starts the voices; a video counts as a portrait before it and as a voice after it.
    """
    if len(paths) < 2:
        raise MediaError("A portrait and a voice are needed, in this order")
    turn = next((index for index in range(1, len(paths) - 1) if _is_voice(paths[index])), len(paths) - 1)
    late = [path for path in paths[turn:] if path.suffix.lower() in PICTURES]
    if late:
        raise MediaError(
            "The ", FileRef("picture", late[0]), " comes after a voice; give all portraits first, then all voices"
        )
    portraits = [file for path in paths[:turn] for file in _files(path, PICTURES, "pictures")]
    voices = [file for path in paths[turn:] for file in _files(path, AUDIO_FILES | VIDEOS, "audio files or videos")]
    return portraits, voices


def portraits_only(paths: Sequence[Path], instead: str) -> list[Path]:
    """Return portraits that need no voice, from one file or one folder; MediaError for more paths.

    instead: what replaces the voice, at the start of a sentence.
    """
    if len(paths) != 1:
        raise MediaError(
            f"{instead} needs one portrait, or a folder of portraits, and no voice; omit {paths[-1]}, or give voices "
            "only"
        )
    return _files(paths[0], PICTURES, "pictures")


def plan(inputs: Iterable[Inputs], folder: Path, suffix: str = SUFFIX) -> list[BatchJob]:
    """Return a job for each result, named after its files in ``folder``; no name is repeated, no result replaced."""
    jobs: list[BatchJob] = []
    taken: set[Path] = set()
    for one in inputs:
        voice = short_stem(one.voice.stem) if one.voice else "idle" if one.text is None else text_stem(one.text)
        taken.add(path := free_name(folder, f"{short_stem(one.portrait.stem)}_{voice}", taken, suffix))
        jobs.append(BatchJob(one, path))
    return jobs


def text_stem(text: str) -> str:
    """Return a file name stem for a text: its first letters and digits, joined by underscores."""
    words = re.findall(r"[^\W_]+", text)
    return short_stem("_".join(words)[:STEM_CHARACTERS].strip("_")) or "text"


def run(jobs: Sequence[BatchJob], settings: Settings, runtime: Runtime, watcher: Watcher) -> Iterator[Outcome]:
    """Make the videos one after another with one open engine; failures are reported and the batch continues.

    Each portrait is read once for consecutive jobs. Cancellation ends the whole batch.
    """
    with EngineCache() as engines:
        for job in jobs:
            yield _attempt(job, (settings, runtime, watcher), engines)


def _attempt(job: BatchJob, options: tuple[Settings, Runtime, Watcher], engines: EngineSource) -> Outcome:
    try:
        return Outcome(job, make_video(job.inputs, job.output, *options, engine=engines), None)
    except Cancelled:
        raise
    except SadTalkerError as error:
        return Outcome(job, None, error)


def _is_voice(path: Path) -> bool:
    if path.is_dir():
        return not any(file.suffix.lower() in PICTURES for file in path.iterdir())
    return path.suffix.lower() in AUDIO_FILES


def _files(path: Path, suffixes: frozenset[str], kind: str) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith("."))
    if not files:
        raise MediaError(f"The folder {path} contains no {kind}; name a file, or another folder")
    return files
