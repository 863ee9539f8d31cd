"""Frames of a text that is read meanwhile, and what is known only when all of its motion has been predicted."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from sadtalker_ext.engines.motion_editing import turns_far
from sadtalker_ext.engines.motion_joining import join
from sadtalker_ext.engines.protocol import SectionRenderingEngine, VideoTiming
from sadtalker_ext.pipeline.camera import view_notes
from sadtalker_ext.pipeline.prepare import SourceAndMotion, predict_sections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.pipeline.mesh_files import MeshWriter
    from sadtalker_ext.pipeline.prepare import PreparedInputs, Task


def section_frames(task: Task, prepared: PreparedInputs, mesh: MeshWriter | None, notes: list[str]) -> Iterator[Frame]:
    """Predict the first section, and return the frames of all; each is rendered as soon as it has been read.

    mesh: writes the 3D model after the last frame. notes: gets sentences about the whole motion then.
    """
    source, motions = predict_sections(task, prepared)
    predicted: list[Motion] = []

    def kept() -> Iterator[Motion]:
        for motion in motions:
            predicted.append(motion)
            yield motion

    def frames() -> Iterator[Frame]:
        yield from _render(task, prepared, source, kept())
        whole = join(predicted)
        notes.extend(view_notes(whole, prepared.engine.spec))
        if mesh is not None:
            notes.extend(_write_model(task, prepared, mesh, SourceAndMotion(source, whole)))

    return frames()


def _render(task: Task, prepared: PreparedInputs, source: Motion, motions: Iterator[Motion]) -> Iterator[Frame]:
    engine, portrait = prepared.engine, prepared.portrait
    if isinstance(engine, SectionRenderingEngine):
        return engine.render_sections(portrait, source, motions, turns_far=turns_far(task.settings))
    return chain.from_iterable(engine.render(portrait, source, motion) for motion in motions)


def _write_model(task: Task, prepared: PreparedInputs, mesh: MeshWriter, motion: SourceAndMotion) -> tuple[str, ...]:
    """Write the 3D model with the sound of the whole text, which has been read by now; return sentences."""
    from sadtalker_ext.audio.speech import open_speech

    assert task.spoken is not None  # noqa: S101 - called for such texts only
    timing = VideoTiming(len(motion.motion), task.spoken.rate_hz)
    whole = prepared._replace(speech=open_speech(task.spoken.path, "speech of the text"))
    return mesh.write(task, whole, motion, timing)
