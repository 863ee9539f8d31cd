"""The story from a portrait and a voice to a video.

From Python::

    from sadtalker_ext.pipeline.animate import animate
    from sadtalker_ext.settings import Settings

    result = animate("me.png", "voice.mp3", "talking.mp4", Settings(still=True))
    print(result.path, result.realtime_factor)

Without a voice, or with a video to take after, the same story is told by :func:`make_video`::

    from pathlib import Path
    from sadtalker_ext.pipeline.inputs import Inputs

    make_video(Inputs(Path("me.png"), idle_s=8), "waiting.mp4")
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import interruptible
from sadtalker_ext.pipeline.edit import Clock, check_knobs, edit_motion, motion_style, video_clock
from sadtalker_ext.pipeline.frames import Restorer, Watcher, open_finishers
from sadtalker_ext.pipeline.inputs import Inputs, check_reference
from sadtalker_ext.pipeline.output import check_output, output_folder
from sadtalker_ext.pipeline.record import Record
from sadtalker_ext.pipeline.stages import SideBySide, Stopwatch
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.engine import Engine, Frame, MotionStyle
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.pipeline.reference import Reference

STAGES = ("engine", "portrait", "voice", "motion", "frames")
"""Opening the engine, reading the portrait and reading the voice happen side by side; the others follow in turn."""

REFERENCE_STAGE = "reference"
"""Watching a reference, where there is one; between the voice and the motion."""

SILENT_PEAK = 1e-4
"""A sound that never gets louder than this part of full scale (-80 dB) is silence with dither."""


@dataclass(frozen=True)
class Result:
    """What came out.

    size: (width, height) of the video in pixels.
    stage_s: seconds spent in each of :data:`STAGES`, and in a reference; the first three overlap.
    first_frame_s: seconds from the call to the first frame handed to the encoder.
    notes: what the person should know, such as a picture that was shrunk; sentences.
    """

    path: Path
    frames: int
    duration_s: float
    size: tuple[int, int]
    stage_s: dict[str, float]
    first_frame_s: float
    total_s: float
    notes: tuple[str, ...] = ()

    @property
    def realtime_factor(self) -> float:
        """Seconds of video per second of work; above 1 is faster than the clip plays."""
        return self.duration_s / self.total_s

    def to_mapping(self) -> dict[str, object]:
        """The same as JSON values."""
        return {
            "path": str(self.path),
            "frames": self.frames,
            "duration_s": self.duration_s,
            "width": self.size[0],
            "height": self.size[1],
            "stage_s": {stage: round(seconds, 4) for stage, seconds in self.stage_s.items()},
            "first_frame_s": round(self.first_frame_s, 4),
            "total_s": round(self.total_s, 4),
            "realtime_factor": round(self.realtime_factor, 3),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Task:
    """What is to be done, who watches it, and how long it has taken."""

    inputs: Inputs
    settings: Settings
    runtime: Runtime
    watcher: Watcher
    stopwatch: Stopwatch


class Cast(NamedTuple):
    """Everything that is read before the first frame."""

    engine: Engine
    style: MotionStyle
    portrait: Portrait
    speech: Speech
    notes: tuple[str, ...]
    reference: Reference | None = None


def animate(
    portrait_path: str | Path,
    voice_path: str | Path,
    out_path: str | Path,
    settings: Settings = Settings(),  # noqa: B008 - frozen
    runtime: Runtime = Runtime(),  # noqa: B008 - frozen
    watcher: Watcher = Watcher(),  # noqa: B008 - a silent one, without state
) -> Result:
    """Make the portrait speak and write the video; on any error or cancel nothing is left at ``out_path``.

    portrait_path: a picture, or a video whose first frame is used. voice_path: any sound, or a video with sound.
    out_path: ends in .mp4; an existing file is replaced. watcher: reports progress and stops the work.
    """
    return make_video(Inputs(Path(portrait_path), Path(voice_path)), out_path, settings, runtime, watcher)


def make_video(
    inputs: Inputs,
    out_path: str | Path,
    settings: Settings = Settings(),  # noqa: B008 - frozen
    runtime: Runtime = Runtime(),  # noqa: B008 - frozen
    watcher: Watcher = Watcher(),  # noqa: B008 - a silent one, without state
) -> Result:
    """Like :func:`animate`, also for a portrait that is idle and for one that takes after a reference."""
    path = Path(out_path)
    task = Task(inputs.located(), settings, runtime, watcher, Stopwatch())
    with interruptible(watcher.check):
        check_output(path, task.inputs.files)
        finishers = open_finishers(settings, runtime)
        cast = gather(task)
        clock = video_clock(cast.speech.duration_s, settings)
        motion = move(task, cast, clock)
        with closing(render(task, cast, motion, finishers)) as frames, output_folder(path):
            size = write(frames, path, task, clock)
    watch = task.stopwatch
    return Result(
        path=path, frames=clock.frames, duration_s=clock.frames / clock.rate_hz, size=size, stage_s=watch.stage_s,
        first_frame_s=watch.first_frame_s, total_s=watch.now_s, notes=cast.notes,
    )  # fmt: skip


def gather(task: Task) -> Cast:
    """Open the engine and read portrait and voice side by side; wishes that the engine refuses are refused first."""
    from sadtalker_ext.engines.shelf import opener
    from sadtalker_ext.geometry.worker_link import start_worker
    from sadtalker_ext.pipeline.portrait import read_portrait

    settings, inputs = task.settings, task.inputs
    start_worker()
    with SideBySide(task.watcher, task.stopwatch) as stages:
        opening = stages.begin("engine", opener(), settings.engine, task.runtime, settings)
        portrait = stages.begin("portrait", read_portrait, inputs.portrait, settings)
        speech = stages.begin("voice", hear, inputs)
        engine = stages.result(opening)
        check_knobs(engine.spec, settings)
        check_reference(engine.spec, inputs)
        style = motion_style(engine.spec, settings)
        prepared, heard = stages.result(portrait), stages.result(speech)
    reference = watch_reference(task, engine, heard.frames)
    if reference is not None:
        style = reference.style(style)
    return Cast(engine, style, prepared.portrait, heard, prepared.notes, reference)


def hear(inputs: Inputs) -> Speech:
    """The voice, or silence as long as the idle clip; a voice in which nothing is heard is a MediaError."""
    from sadtalker_ext.audio.speech import open_speech, silence

    if inputs.voice is None:
        return silence(inputs.idle_s or 0.0)
    speech = open_speech(inputs.voice)
    if speech.peak < SILENT_PEAK:
        raise MediaError(f"The voice {inputs.voice} is silent: nothing would move; choose another file")
    return speech


def watch_reference(task: Task, engine: Engine, frames: int) -> Reference | None:
    """What the reference, if there is one, does in as many frames at 25 Hz as the motion has."""
    from sadtalker_ext.pipeline.reference import read_reference

    inputs = task.inputs
    if inputs.reference is None:
        return None

    def watched(shown: Iterator[Frame]) -> Iterator[Frame]:
        return task.watcher.watch(islice(shown, frames), REFERENCE_STAGE, frames)

    with task.stopwatch.stage(REFERENCE_STAGE):
        return read_reference(inputs.reference, inputs.use, engine, watched)


class Movement(NamedTuple):
    """The source face (T = 1) and what it does, one row per frame of the video."""

    source: Motion
    motion: Motion


def move(task: Task, cast: Cast, clock: Clock) -> Movement:
    """Predict how the face moves, then edit it as the person wishes; a wish to stop is seen at each second of sound."""

    def moved() -> Movement:
        source = cast.engine.read_face(cast.portrait)
        motion = cast.engine.predict_motion(cast.speech.attended(task.watcher.check), source, cast.style)
        if cast.reference is not None:
            motion = cast.reference.apply(motion, source)
        return Movement(source, edit_motion(motion, source, task.settings, cast.engine.spec, clock))

    with SideBySide(task.watcher, task.stopwatch) as stages:
        return stages.result(stages.begin("motion", moved))


def render(
    task: Task, cast: Cast, movement: Movement, finishers: Sequence[Restorer] = ()
) -> Generator[Frame, None, None]:
    """Every frame of the video, one at a time."""
    frames = cast.engine.render(cast.portrait, movement.source, movement.motion)
    for finisher in finishers:
        frames = finisher.restore(frames, cast.portrait)
    yield from task.stopwatch.note_first(task.watcher.watch(frames, "frames", len(movement.motion)))


def write(frames: Iterator[Frame], path: Path, task: Task, clock: Clock) -> tuple[int, int]:
    """Write the video with the voice's own sound, or none, and the record of what made it; its width and height."""
    from sadtalker_ext.video.write import VideoSpec, write_video

    spec = VideoSpec(
        rate_hz=clock.rate_hz, frame_count=clock.frames, sound=task.inputs.voice, quality=task.settings.quality,
        metadata=Record(task.settings).tags(),
    )  # fmt: skip
    with task.stopwatch.stage("frames"):
        report = write_video(frames, path, spec)
    return report.width, report.height
