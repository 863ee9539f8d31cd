"""Prediction of the motion of a video from prepared inputs, at once or section by section of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.engines.motion_editing import without_turns
from sadtalker_ext.engines.motion_joining import KEPT_ROWS, continue_motion, join, section_style
from sadtalker_ext.engines.protocol import VideoTiming
from sadtalker_ext.pipeline.prepare import MOTION_STAGE, timing_of
from sadtalker_ext.pipeline.stages import ParallelStages

if TYPE_CHECKING:
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.pipeline.prepare import PreparedInputs, Task
    from sadtalker_ext.pipeline.spoken_text import SpokenText


class SourceAndMotion(NamedTuple):
    """Motion of the portrait itself (T = 1), and of the video, one row per frame."""

    source: Motion
    motion: Motion


class SectionMotion(NamedTuple):
    """Motion of a section of a text, one row per frame, and its place in the video."""

    motion: Motion
    timing: VideoTiming


def predict(task: Task, prepared: PreparedInputs) -> SourceAndMotion:
    """Predict and edit the motion; after each second of audio progress is reported and cancellation is checked."""

    def compute() -> SourceAndMotion:
        source = prepared.engine.read_face(prepared.portrait)
        if prepared.reading is not None:
            prepared.reading.result()  # ends by itself if the user cancels
        if task.spoken is not None:
            sections = section_motions(task, prepared, source, _section_counter(task, task.spoken))
            return SourceAndMotion(source, join([section.motion for section in sections]))
        timing = timing_of(task, prepared)
        counted = task.watcher.counter(MOTION_STAGE, prepared.speech.frames)
        speech = prepared.speech.with_check(task.watcher.check, counted)
        predicted = _predicted(prepared._replace(speech=speech), source)
        return SourceAndMotion(source, prepared.engine.editor.edit(predicted, source, task.settings, timing))

    with ParallelStages(task.watcher, task.stopwatch) as stages:
        return stages.result(stages.begin(MOTION_STAGE, compute))


def _section_counter(task: Task, spoken: SpokenText) -> Callable[[int], None]:
    """Return a function that reports the number of finished frames at 25 Hz, of as many as are expected by now."""
    report = task.watcher.part_counter(MOTION_STAGE)

    def counted(done: int) -> None:
        report(done, max(done, round(spoken.frames_expected() * FRAME_RATE_HZ / spoken.rate_hz)))

    return counted


def predict_sections(task: Task, prepared: PreparedInputs) -> tuple[Motion, Iterator[SectionMotion]]:
    """Return the motion of the portrait, and that of each section of a text that is read meanwhile."""

    def compute() -> tuple[Motion, Iterator[SectionMotion]]:
        source = prepared.engine.read_face(prepared.portrait)
        counted, frames = task.watcher.counter(MOTION_STAGE, prepared.speech.frames), prepared.speech.frames

        def report(done: int) -> None:
            if done <= frames:  # the others are predicted between frames, which are reported themselves
                counted(done)

        motions = section_motions(task, prepared, source, report)
        return source, chain([next(motions)], motions)

    with ParallelStages(task.watcher, task.stopwatch) as stages:
        return stages.result(stages.begin(MOTION_STAGE, compute))


def section_motions(
    task: Task, prepared: PreparedInputs, source: Motion, report: Callable[[int], None]
) -> Iterator[SectionMotion]:
    """Yield the motion of each section of a text as soon as the section has been read.

    source: motion of the portrait itself. report: called with the number of frames that are done at 25 Hz.
    """
    assert task.spoken is not None  # noqa: S101 - called for such texts only
    before: Motion | None = None
    expected: tuple[tuple[int, int], ...] = ()
    done = first = 0
    editor, still = prepared.engine.editor, without_turns(task.settings)
    for section in task.spoken.sections(task.watcher.check):
        style, reference = section_style(prepared.style, section.number), prepared.reference
        if reference is not None:
            reference = reference.later(round(first / task.spoken.rate_hz * FRAME_RATE_HZ))
            style = reference.style(style)
        expected = (*expected, (first, section.expected))
        timing = VideoTiming(section.frames, task.spoken.rate_hz, first, expected)
        speech = section.speech().with_check(task.watcher.check, partial(_report_after, report, done))
        one = prepared._replace(speech=speech, style=style, reference=reference)
        predicted = _predicted(one, source)
        section.path.unlink()
        continued = continue_motion(editor.edit(predicted, source, still, timing), before, timing.rate_hz)
        yield SectionMotion(editor.turn(continued, task.settings, timing), timing)
        before, done, first = continued[-KEPT_ROWS:], done + speech.frames, first + section.frames


def _report_after(report: Callable[[int], None], earlier: int, done: int) -> None:
    report(earlier + done)


def _predicted(prepared: PreparedInputs, source: Motion) -> Motion:
    """Return the predicted motion of ``prepared.speech`` at 25 Hz."""
    motion = prepared.engine.predict_motion(prepared.speech, source, prepared.style)
    return motion if prepared.reference is None else prepared.reference.apply(motion, source)
