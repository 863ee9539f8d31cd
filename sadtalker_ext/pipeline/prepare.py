"""Preparation of a video: open the engine and read portrait, voice and reference before the first frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import ceil
from threading import Event
from typing import TYPE_CHECKING, Final, NamedTuple

from sadtalker_ext.constants import FRAME_RATE_HZ, SILENT_PEAK
from sadtalker_ext.engines.motion_editing import motion_style, video_timing
from sadtalker_ext.engines.protocol import SpeechReadingEngine, VideoTiming
from sadtalker_ext.errors import Cancelled, FileRef, MediaError, SadTalkerError
from sadtalker_ext.pipeline.inputs import Inputs, check_reference
from sadtalker_ext.pipeline.stages import TEXT_STAGE, ParallelStages, Stopwatch

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.protocol import Engine, MotionReference, MotionStyle
    from sadtalker_ext.engines.session import EngineSource, OpenEngine
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.pipeline.progress import Watcher
    from sadtalker_ext.pipeline.spoken_text import SpokenText
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

MOTION_STAGE: Final = "motion"
STAGES: Final = ("engine", "portrait", "voice", MOTION_STAGE, "frames")
"""Stages of a video. The first three run in parallel, the others follow in turn."""

REFERENCE_STAGE: Final = "reference"
"""Stage that reads a reference video, if there is one, between voice and motion."""
REFERENCE_RESERVE: Final = 1.5
"""How much of a reference is read for a text, relative to the length that is expected after its first section. If the
text becomes longer, the reference is repeated earlier."""


@dataclass(frozen=True)
class Task:
    """One video to make: inputs, settings, and the objects that watch the work.

    spoken: a text that is read aloud in sections, or None.
    """

    inputs: Inputs
    settings: Settings
    runtime: Runtime
    watcher: Watcher
    source: EngineSource
    stopwatch: Stopwatch
    spoken: SpokenText | None = None


class PreparedInputs(NamedTuple):
    """Everything that is read before the first frame.

    speech: of a text that is read meanwhile, its first section. notes: sentences for the user, such as that a picture
    was scaled down. quarter_turns: see
    :class:`~sadtalker_ext.pipeline.portrait.PreparedPortrait`. reading: what the engine still computes from the speech
    alone.
    """

    opened: OpenEngine
    style: MotionStyle
    portrait: Portrait
    speech: Speech
    notes: tuple[str, ...]
    reference: MotionReference | None = None
    quarter_turns: int = 0
    reading: Future[None] | None = None

    @property
    def engine(self) -> Engine:
        """The engine that makes the video."""
        return self.opened.engine


@contextmanager
def prepare_inputs(task: Task) -> Iterator[PreparedInputs]:
    """Open the engine and read portrait and voice in parallel; the engine is released at the end of the block."""
    prepared = _read_inputs(task)
    try:
        yield prepared
    finally:
        task.source.release(prepared.opened)


def _read_inputs(task: Task) -> PreparedInputs:
    """Return the inputs and the engine; if that fails, the engine is released."""
    from sadtalker_ext.pipeline.portrait import read_portrait

    settings, inputs, stop = task.settings, task.inputs, _StopSignal(task.watcher)
    with ParallelStages(task.watcher, task.stopwatch) as stages:
        opening = stages.begin("engine", task.source.acquire, settings, task.runtime)
        try:
            cover = _mouth_cover(task)
            portrait = stages.begin("portrait", read_portrait, inputs.portrait, settings, task.source.portraits, cover)
            voice = _begin_voice(stages, task)
            opened = stages.result(opening)
            check_reference(opened.engine.spec, inputs)
            style = motion_style(opened.engine.spec, settings)
            try:
                speech = stages.result(voice)
            except SadTalkerError:
                stages.result(portrait)  # if neither can be used, the error is that of the portrait
                raise
            reading = _begin_reading(stages, task, opened.engine, speech.with_check(stop.check))
            prepared = stages.result(portrait)
            reference = load_reference(task, opened.engine, _reference_frames(task, speech))
        except BaseException:
            stop.set()
            stages.when_done(opening, task.source.release)
            raise
    if reference is not None:
        style = reference.style(style)
    return PreparedInputs(
        opened, style, prepared.portrait, speech, (*prepared.notes, *speech_notes(speech)), reference,
        prepared.quarter_turns, reading,
    )  # fmt: skip


def _mouth_cover(task: Task) -> Path | None:
    """Return the file of the user's network that finds covers of the mouth, if the settings name one."""
    from sadtalker_ext.engines.starter.entry import options
    from sadtalker_ext.weights.files import search_folders
    from sadtalker_ext.weights.trained import find_trained_weights

    names = options(task.settings)
    return find_trained_weights(names, search_folders(task.runtime.folders)).mouth_cover if names else None


class _StopSignal:
    """Ends the work that runs in parallel to the stages if the user cancels, or if a stage fails."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher, self._event = watcher, Event()

    def set(self) -> None:
        self._event.set()

    def check(self) -> None:
        self._watcher.check()
        if self._event.is_set():
            raise Cancelled("Stopped, because the portrait cannot be used")


def _begin_reading(stages: ParallelStages, task: Task, engine: Engine, speech: Speech) -> Future[None] | None:
    """Start what the engine computes from the speech alone; the sections of a text are not known yet."""
    if task.spoken is not None or not isinstance(engine, SpeechReadingEngine):
        return None
    counted = task.watcher.counter(MOTION_STAGE, speech.frames)
    return stages.in_background(engine.read_speech, speech.with_check(speech.check, counted))


def _begin_voice(stages: ParallelStages, task: Task) -> Future[Speech]:
    spoken = task.spoken
    if spoken is not None:
        return stages.begin(TEXT_STAGE, lambda: spoken.first().speech())
    return stages.begin("voice", load_speech, task.inputs, task.settings)


def timing_of(task: Task, prepared: PreparedInputs) -> VideoTiming:
    """Return the timing of the video; while a text is read aloud, the number of frames is an estimate."""
    if task.spoken is not None:
        return VideoTiming(task.spoken.frames_expected(), task.spoken.rate_hz)
    return video_timing(prepared.speech.duration_s, task.settings)


def speech_notes(speech: Speech) -> tuple[str, ...]:
    """Return sentences for the user about the sound that is used, and about samples that were replaced."""
    if not speech.repaired:
        return speech.notes
    return (
        *speech.notes,
        "The voice has samples that are not numbers, or are far beyond full scale; they were replaced by silence. "
        "Export it again if you hear gaps",
    )


def load_speech(inputs: Inputs, settings: Settings | None = None) -> Speech:
    """Return the voice, or silence for an idle clip; MediaError if the voice is silent.

    settings: choose the audio track.
    """
    from sadtalker_ext.audio.speech import open_speech, silence

    if inputs.voice is None:
        return silence(inputs.idle_s or 0.0)
    speech = open_speech(inputs.voice, "voice", 0 if settings is None else settings.track)
    if speech.repaired and speech.peak < SILENT_PEAK:
        raise MediaError(
            "The ", FileRef("voice", inputs.voice), " contains no sound: its samples are not numbers, or are far "
            "beyond full scale; export it again, for example as WAV",
        )  # fmt: skip
    if speech.peak < SILENT_PEAK:
        raise MediaError("The ", FileRef("voice", inputs.voice), " is silent; choose another file")
    return speech


def _reference_frames(task: Task, speech: Speech) -> int:
    """Return the largest number of frames of a reference video that is read, at 25 Hz.

    The length of a text that is still being read is estimated from its first section, so that it is always the same.
    """
    if task.spoken is None:
        return speech.frames
    return ceil(REFERENCE_RESERVE * task.spoken.first().expected / task.spoken.rate_hz * FRAME_RATE_HZ)


def load_reference(task: Task, engine: Engine, frames: int) -> MotionReference | None:
    """Return the motion of the reference video for up to ``frames`` frames at 25 Hz; None without a reference."""
    from sadtalker_ext.pipeline.reference import read_reference

    inputs = task.inputs
    if inputs.reference is None:
        return None

    def watch(video: Iterator[Frame]) -> Iterator[Frame]:
        return task.watcher.watch(islice(video, frames), REFERENCE_STAGE, frames)

    with task.stopwatch.stage(REFERENCE_STAGE):
        return read_reference(inputs.reference, inputs.use, engine, watch)


def whole_text(task: Task, prepared: PreparedInputs) -> PreparedInputs:
    """Return the inputs with the speech of the whole text, which has been read by now, or as they are without one."""
    from sadtalker_ext.audio.speech import open_speech

    if task.spoken is None:
        return prepared
    return prepared._replace(speech=open_speech(task.spoken.path, "speech of the text"))
