"""Several portraits and voices: which file is which, what the results are called, going on after a bad one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sadtalker_ext.errors import Cancelled, MediaError, SadTalkerError
from sadtalker_ext.pipeline.animate import Result, make_video
from sadtalker_ext.pipeline.frames import Watcher
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.output import free_name, short_stem
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings


def _endings(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


PICTURES = _endings(
    "apng avif bmp dib gif heic heif j2k jfif jp2 jpe jpeg jpg jxl pbm pgm png pnm ppm tga tif tiff webp"
)
SOUNDS = _endings(
    "aac ac3 aif aifc aiff alac amr ape au caf flac m4a m4b mka mp2 mp3 oga ogg opus ra snd spx wav wave weba wma"
)
VIDEOS = _endings("3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts webm wmv")
"""Endings that sort a folder's files and tell three or more inputs apart; a file named alone may have any."""


@dataclass(frozen=True)
class Job:
    """One video to make."""

    inputs: Inputs
    output: Path

    @property
    def name(self) -> str:
        """What it is made from, in words."""
        voice = f"+ {self.inputs.voice}" if self.inputs.voice else f"idle for {self.inputs.idle_s:g} s"
        return f"{self.inputs.portrait} {voice}"


@dataclass(frozen=True)
class Outcome:
    """What became of a job: a result, or the error that ended it."""

    job: Job
    result: Result | None
    error: SadTalkerError | None


def sort_inputs(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Portraits and voices among two or more paths, portraits first; folders stand for the files in them.

    The first path is always a portrait and the last always a voice. Between them the first sound, or folder without
    pictures, begins the voices; a video there is a portrait before it and a voice after it.
    """
    if len(paths) < 2:
        raise MediaError("A portrait and a voice are needed, in this order")
    turn = next((index for index in range(1, len(paths) - 1) if _is_voice(paths[index])), len(paths) - 1)
    late = [path for path in paths[turn:] if path.suffix.lower() in PICTURES]
    if late:
        raise MediaError(f"The picture {late[0]} comes after a voice; give all portraits first, then all voices")
    portraits = [file for path in paths[:turn] for file in _files(path, PICTURES, "pictures")]
    voices = [file for path in paths[turn:] for file in _files(path, SOUNDS | VIDEOS, "sounds or videos")]
    return portraits, voices


def idle_portraits(paths: Sequence[Path]) -> list[Path]:
    """The portraits of idle clips: one file, or those in one folder; more paths are refused, a voice among them."""
    if len(paths) != 1:
        raise MediaError(
            f"An idle clip takes one portrait, or a folder of them, and no voice; leave out {paths[-1]}, or do not "
            "ask for an idle clip"
        )
    return _files(paths[0], PICTURES, "pictures")


def plan(wanted: Iterable[Inputs], folder: Path) -> list[Job]:
    """A job for each, named after its files in ``folder``; no name is used twice and no earlier result replaced."""
    jobs: list[Job] = []
    taken: set[Path] = set()
    for inputs in wanted:
        voice = short_stem(inputs.voice.stem) if inputs.voice else "idle"
        taken.add(path := free_name(folder, f"{short_stem(inputs.portrait.stem)}_{voice}", taken))
        jobs.append(Job(inputs, path))
    return jobs


def run(jobs: Sequence[Job], settings: Settings, runtime: Runtime, watcher: Watcher) -> Iterator[Outcome]:
    """Do one job after the other; one that fails is told as it is and the next begins. A cancel ends all."""
    for job in jobs:
        yield _attempt(job, settings, runtime, watcher)


def _attempt(job: Job, settings: Settings, runtime: Runtime, watcher: Watcher) -> Outcome:
    try:
        return Outcome(job, make_video(job.inputs, job.output, settings, runtime, watcher), None)
    except Cancelled:
        raise
    except SadTalkerError as error:
        return Outcome(job, None, error)


def _is_voice(path: Path) -> bool:
    if path.is_dir():
        return not any(file.suffix.lower() in PICTURES for file in path.iterdir())
    return path.suffix.lower() in SOUNDS


def _files(path: Path, endings: frozenset[str], what: str) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in endings and not file.name.startswith("."))
    if not files:
        raise MediaError(f"The folder {path} holds no {what}; name a file, or another folder")
    return files
