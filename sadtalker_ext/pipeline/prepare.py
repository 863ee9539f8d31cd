"""Preparation of a video: open the engine and read portrait, voice and reference before the first frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from sadtalker_ext.constants import SILENT_PEAK
from sadtalker_ext.engines.motion_editing import motion_style
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.pipeline.inputs import Inputs, check_reference
from sadtalker_ext.pipeline.stages import ParallelStages, Stopwatch

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.protocol import Engine, MotionReference, MotionStyle, VideoTiming
    from sadtalker_ext.engines.session import EngineSource, OpenEngine
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.pipeline.progress import Watcher
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

MOTION_STAGE: Final = "motion"
STAGES: Final = ("engine", "portrait", "voice", MOTION_STAGE, "frames")
"""Stages of a video. The first three run in parallel, the others follow in turn."""

REFERENCE_STAGE: Final = "reference"
"""Stage that reads a reference video, if there is one, between voice and motion."""


@dataclass(frozen=True)
class Task:
    """One video to make: inputs, settings, and the objects that watch the work."""

    inputs: Inputs
    settings: Settings
    runtime: Runtime
    watcher: Watcher
    source: EngineSource
    stopwatch: Stopwatch


class PreparedInputs(NamedTuple):
    """Everything that is read before the first frame.

    notes: sentences for the user, such as that a picture was scaled down. quarter_turns: see
    :class:`~sadtalker_ext.pipeline.portrait.PreparedPortrait`.
    """

    opened: OpenEngine
    style: MotionStyle
    portrait: Portrait
    speech: Speech
    notes: tuple[str, ...]
    reference: MotionReference | None = None
    quarter_turns: int = 0

    @property
    def engine(self) -> Engine:
        """The engine that makes the video."""
        return self.opened.engine


class SourceAndMotion(NamedTuple):
    """Motion of the portrait itself (T = 1), and of the video, one row per frame."""

    source: Motion
    motion: Motion


def prepare_inputs(task: Task) -> PreparedInputs:
    """Open the engine and read portrait and voice in parallel; if that fails, the engine is released."""
    from sadtalker_ext.pipeline.portrait import read_portrait

    settings, inputs = task.settings, task.inputs
    with ParallelStages(task.watcher, task.stopwatch) as stages:
        opening = stages.begin("engine", task.source.acquire, settings, task.runtime)
        try:
            portrait = stages.begin("portrait", read_portrait, inputs.portrait, settings, task.source.portraits)
            voice = stages.begin("voice", load_speech, inputs, settings)
            opened = stages.result(opening)
            check_reference(opened.engine.spec, inputs)
            style = motion_style(opened.engine.spec, settings)
            prepared, speech = stages.result(portrait), stages.result(voice)
            reference = load_reference(task, opened.engine, speech.frames)
        except BaseException:
            stages.when_done(opening, task.source.release)
            raise
    if reference is not None:
        style = reference.style(style)
    return PreparedInputs(
        opened, style, prepared.portrait, speech, (*prepared.notes, *speech_notes(speech)), reference,
        prepared.quarter_turns,
    )  # fmt: skip


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
    if speech.peak < SILENT_PEAK:
        raise MediaError("The ", FileRef("voice", inputs.voice), " is silent; choose another file")
    return speech


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


def predict(task: Task, prepared: PreparedInputs, timing: VideoTiming) -> SourceAndMotion:
    """Predict and edit the motion; after each second of audio progress is reported and cancellation is checked."""

    def compute() -> SourceAndMotion:
        engine = prepared.engine
        source = engine.read_face(prepared.portrait)
        counted = task.watcher.counter(MOTION_STAGE, prepared.speech.frames)
        speech = prepared.speech.with_check(task.watcher.check, counted)
        motion = engine.predict_motion(speech, source, prepared.style)
        if prepared.reference is not None:
            motion = prepared.reference.apply(motion, source)
        return SourceAndMotion(source, engine.editor.edit(motion, source, task.settings, timing))

    with ParallelStages(task.watcher, task.stopwatch) as stages:
        return stages.result(stages.begin(MOTION_STAGE, compute))
