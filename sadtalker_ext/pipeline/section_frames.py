"""Frames of a text that is read meanwhile, and what is known only when all of its motion has been predicted."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sadtalker_ext.engines.motion_editing import named_view, turns_far
from sadtalker_ext.engines.motion_joining import join
from sadtalker_ext.engines.protocol import SectionRenderingEngine
from sadtalker_ext.pipeline.camera import view_notes
from sadtalker_ext.pipeline.prediction import SourceAndMotion, predict_sections
from sadtalker_ext.pipeline.prepare import timing_of, whole_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.pipeline.mesh_files import MeshWriter
    from sadtalker_ext.pipeline.prepare import PreparedInputs, Task


class RenderedFrames(NamedTuple):
    """Frames of an engine, and the magnification of each by the camera, or None if no camera path is named."""

    frames: Iterator[Frame]
    zoom: Iterator[float] | None


def section_frames(task: Task, prepared: PreparedInputs, mesh: MeshWriter | None, notes: list[str]) -> RenderedFrames:
    """Predict the first section, and return the frames of all; each is rendered as soon as it has been read.

    mesh: writes the 3D model after the last frame. notes: gets sentences about the whole motion then.
    """
    source, sections = predict_sections(task, prepared)
    predicted: list[Motion] = []
    zoom: deque[float] = deque()

    def kept() -> Iterator[Motion]:
        for motion, timing in sections:
            predicted.append(motion)
            view = named_view(task.settings, timing)
            zoom.extend(np.ones(timing.frames) if view is None else view.zoom)
            yield motion

    def frames() -> Iterator[Frame]:
        yield from _render(task, prepared, source, kept())
        whole = join(predicted)
        notes.extend(view_notes(whole, prepared.engine.spec))
        if mesh is not None:
            notes.extend(_write_model(task, prepared, mesh, SourceAndMotion(source, whole)))

    return RenderedFrames(frames(), _taken(zoom))


def _taken(values: deque[float]) -> Iterator[float]:
    while values:
        yield values.popleft()


def _render(task: Task, prepared: PreparedInputs, source: Motion, motions: Iterator[Motion]) -> Iterator[Frame]:
    engine, portrait = prepared.engine, prepared.portrait
    if isinstance(engine, SectionRenderingEngine):
        return engine.render_sections(portrait, source, motions, turns_far=turns_far(task.settings))
    return chain.from_iterable(engine.render(portrait, source, motion) for motion in motions)


def _write_model(task: Task, prepared: PreparedInputs, mesh: MeshWriter, motion: SourceAndMotion) -> tuple[str, ...]:
    """Write the 3D model with the sound of the whole text, which has been read by now; return sentences."""
    whole = whole_text(task, prepared)
    return mesh.write(task, whole, motion, timing_of(task, whole))
