"""Make a video from a portrait and a voice.

Example::

    from sadtalker_ext import Settings, animate

    result = animate("me.png", "voice.mp3", "talking.mp4", Settings(still=True))
    print(result.path, result.realtime_factor)

:func:`make_video` also makes idle clips without a voice and copies motion from a reference video::

    from pathlib import Path
    from sadtalker_ext import Inputs, make_video

    make_video(Inputs(Path("me.png"), idle_s=8), "waiting.mp4")

:func:`render_frames` yields the frames without writing a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.engines.motion_editing import named_view
from sadtalker_ext.engines.registry import check_settings
from sadtalker_ext.engines.session import EngineSource, OpenEngine, SingleUse
from sadtalker_ext.ffmpeg import interruptible
from sadtalker_ext.geometry.quarter_turns import turn_picture
from sadtalker_ext.pipeline.camera import view_notes, zoom_frames
from sadtalker_ext.pipeline.frame_stream import FrameStream
from sadtalker_ext.pipeline.mesh_files import MeshWriter, VideoOutputs, chosen_outputs
from sadtalker_ext.pipeline.output import check_output, output_folder
from sadtalker_ext.pipeline.prediction import SourceAndMotion, predict
from sadtalker_ext.pipeline.prepare import PreparedInputs, Task, prepare_inputs, timing_of
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.pipeline.restoration.files import open_restorer_file
from sadtalker_ext.pipeline.restoration.registry import open_restorers
from sadtalker_ext.pipeline.result_metadata import Record
from sadtalker_ext.pipeline.section_frames import RenderedFrames, section_frames
from sadtalker_ext.pipeline.stages import Stopwatch
from sadtalker_ext.pipeline.text_to_speech import with_voice
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.engines.protocol import VideoTiming
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.pipeline.restoration.registry import Restorer
    from sadtalker_ext.video.write import WriteReport


@dataclass(frozen=True)
class Result:
    """The finished video.

    size: (width, height) in pixels.
    stage_s: seconds spent in each of :data:`~sadtalker_ext.pipeline.prepare.STAGES`; the first three overlap.
    first_frame_s: seconds from the call to the first encoded frame.
    notes: sentences for the user, such as that the picture was scaled down. model: the 3D model, if one was written.
    """

    path: Path
    frames: int
    duration_s: float
    size: tuple[int, int]
    stage_s: dict[str, float]
    first_frame_s: float
    total_s: float
    notes: tuple[str, ...] = ()
    model: Path | None = None

    @property
    def realtime_factor(self) -> float:
        """Seconds of video per second of work; above 1 is faster than real time."""
        return self.duration_s / self.total_s

    def to_mapping(self) -> dict[str, object]:
        """Return the result as JSON values."""
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
            **({} if self.model is None else {"model": str(self.model)}),
        }


def animate(  # noqa: PLR0913 - the public function: three files, and what may be left out
    portrait_path: str | Path,
    voice_path: str | Path,
    out_path: str | Path,
    settings: Settings | None = None,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    *,
    engine: EngineSource | None = None,
) -> Result:
    """Make the portrait speak and write an mp4 file; on any error or cancellation no file is left.

    portrait_path: a picture, or a video of which one frame is used.
    voice_path: an audio file, or a video with sound; 0.2 s to 2 h.
    out_path: ends in .mp4; an existing file is replaced.
    settings: of the result; the default animates with the starter engine.
    runtime: device, threads and folders; it never changes the result beyond rounding.
    watcher: receives progress and may cancel the work.
    engine: an engine opened with :func:`sadtalker_ext.open_engine`, used instead of opening one for this video.

    Raises :class:`~sadtalker_ext.errors.SadTalkerError` if a file, a setting or the machine does not allow it.
    """
    from sadtalker_ext.pipeline.inputs import Inputs

    inputs = Inputs(Path(portrait_path), Path(voice_path))
    return make_video(inputs, out_path, settings, runtime, watcher, engine=engine)


def make_video(
    inputs: Inputs,
    out_path: str | Path | VideoOutputs,
    settings: Settings | None = None,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    *,
    engine: EngineSource | None = None,
) -> Result:
    """Like :func:`animate`, also for idle clips without a voice and with a reference video; see :class:`Inputs`.

    out_path: the video; or the video and the files of its 3D model, which is written as well.
    """
    task = prepare_task(inputs, (settings, runtime, watcher), engine)
    path, model = chosen_outputs(out_path, task.settings)
    with interruptible(task.watcher.check):
        check_output(path, task.inputs.files)
        if model is not None:
            model.check((*task.inputs.files, path), sound=task.inputs.idle_s is None)
        with (
            with_voice(task) as task, output_folder(path), MeshWriter(model) as mesh,
            closing(_open_stream(task, mesh)) as stream,
        ):  # fmt: skip
            report = _write(stream, path, task)
    watch = task.stopwatch
    return Result(
        path=path, frames=report.frames, duration_s=report.duration_s, size=(report.width, report.height),
        stage_s=watch.stage_s, first_frame_s=watch.first_frame_s, total_s=watch.now_s, notes=stream.notes,
        model=None if model is None else model.glb,
    )  # fmt: skip


def render_frames(
    inputs: Inputs,
    settings: Settings | None = None,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    *,
    engine: EngineSource | None = None,
) -> FrameStream:
    """Return the frames of a video, computed while they are read; nothing is written.

    A long text is read aloud meanwhile; :class:`~sadtalker_ext.pipeline.frame_stream.FrameStream` says what waits for
    its end.

    Example::

        with closing(render_frames(Inputs(Path("me.png"), Path("voice.mp3")))) as stream:
            for frame in stream:  # (H, W, 3) uint8 RGB
                show(frame)
    """
    with ExitStack() as stack:
        task = stack.enter_context(with_voice(prepare_task(inputs, (settings, runtime, watcher), engine)))
        stream = _open_stream(task)
        stream.when_closed(stack.pop_all().close)
        return stream


def prepare_task(
    inputs: Inputs, options: tuple[Settings | None, Runtime | None, Watcher | None], engine: EngineSource | None
) -> Task:
    """Return the work on inputs that exist, with settings that the engine accepts."""
    settings, runtime, watcher = options
    settings = settings or Settings()
    if isinstance(engine, OpenEngine):
        settings = replace(settings, engine=engine.name)
    check_settings(settings)
    return Task(
        inputs.located(), settings, runtime or Runtime(), watcher or Watcher(), engine or SingleUse(), Stopwatch()
    )


def _open_stream(task: Task, mesh: MeshWriter | None = None) -> FrameStream:
    """Prepare everything up to the first frame; the engine is released when the stream ends or is closed.

    mesh: writes the 3D model: before the first frame, or after the last one if the motion is predicted in sections.
    """
    restorers = open_restorers(task.settings, task.runtime, open_restorer_file)
    with ExitStack() as stack:
        prepared = stack.enter_context(prepare_inputs(task))
        timing = timing_of(task, prepared)
        if task.spoken is not None:
            notes = list(prepared.notes)
            rendered = section_frames(task, prepared, mesh, notes)
        else:
            source, whole = predict(task, prepared)
            model_notes = () if mesh is None else mesh.write(task, prepared, SourceAndMotion(source, whole), timing)
            notes = [*prepared.notes, *view_notes(whole, prepared.engine.spec), *model_notes]
            rendered = RenderedFrames(prepared.engine.render(prepared.portrait, source, whole), _zoom(task, timing))
        finished = _finish(task, prepared, rendered, restorers, timing)
        sound = prepared.speech.source if task.spoken is None else task.spoken
        return FrameStream(finished, timing, notes, stack.pop_all().close, sound)


def _zoom(task: Task, timing: VideoTiming) -> Iterator[float] | None:
    view = named_view(task.settings, timing)
    return None if view is None else iter(view.zoom)


def _finish(
    task: Task, prepared: PreparedInputs, rendered: RenderedFrames, restorers: Sequence[Restorer], timing: VideoTiming
) -> Iterator[Frame]:
    """Yield every frame of the video, made of those that the engine has rendered."""
    frames = rendered.frames
    for restorer in restorers:
        frames = restorer.restore(frames, prepared.portrait)
    if rendered.zoom is not None:
        frames = zoom_frames(frames, rendered.zoom, prepared.portrait)
    if prepared.quarter_turns:
        frames = (turn_picture(frame, -prepared.quarter_turns) for frame in frames)
    total = timing.frames if task.spoken is None else task.spoken.frames_expected
    yield from task.stopwatch.note_first(task.watcher.watch(frames, "frames", total))


def _write(stream: FrameStream, path: Path, task: Task) -> WriteReport:
    """Write the video with the sound of the voice and the record of its settings."""
    from sadtalker_ext.video.write import VideoSpec, write_video

    spec = VideoSpec(stream.rate_hz, quality=task.settings.quality, metadata=Record(task.settings).tags())
    if task.spoken is None:
        spec = replace(spec, frame_count=stream.frame_count, audio=stream.sound)
    else:  # how long the sound is becomes known while it is read
        spec = replace(spec, late_audio=task.spoken.path)
    with task.stopwatch.stage("frames"):
        return write_video(stream, path, spec)
