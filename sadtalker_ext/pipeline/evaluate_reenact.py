"""Self-reenactment: the first frame of a video is the portrait, the motion of the others drives it.

Two passes over the video, so that memory does not grow with pictures: the first reads the motion, the second renders it
and compares each frame with the real one. The portrait itself, unchanged, is compared too: a renderer is useful only
where it is better.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import tee
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import EngineError, FaceError, FileRef
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.quarter_turns import turn_picture
from sadtalker_ext.metrics.reenactment import AgreementSum, compare_frames
from sadtalker_ext.metrics.report import Metric
from sadtalker_ext.pipeline.inputs import ALL
from sadtalker_ext.pipeline.reference import collect, join_motion, read_motion

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.arrays import Float32Array, Frame
    from sadtalker_ext.engines.protocol import Engine
    from sadtalker_ext.geometry.landmarks import Landmarks
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.pipeline.progress import Watcher
    from sadtalker_ext.settings import Settings

    TrackedFrame = tuple[Frame, Landmarks | None]

UNCHANGED: Final = "_unchanged"
"""End of the names of the metrics of the unchanged portrait."""
TRACK, COMPARE = "motion", "frames"
"""Stages of the work."""


@runtime_checkable
class MeshMotion(Protocol):
    """Part of engines that read motion from tracked meshes, relative to the portrait."""

    def mesh_motion(self, portrait: Portrait, meshes: Float32Array) -> Motion:
        """Return the motion (T) of meshes (T, 478, 3) in pixels of the portrait."""
        ...


class Reenactment(NamedTuple):
    """A portrait, its motion, and the motion of every frame of the video it is from.

    quarter_turns: counterclockwise turns from the frames of the video to the portrait.
    """

    path: Path
    portrait: Portrait
    source: Motion
    motion: Motion
    quarter_turns: int = 0


def reenactment_metrics(path: Path, engine: Engine, settings: Settings, watcher: Watcher) -> list[Metric]:
    """Return the agreement of a reenacted video with the real one, and that of the unchanged portrait.

    The video is read at 25 frames per second; its first frame, the portrait, is not compared. Raises FaceError if the
    face is visible in fewer than half of the frames, EngineError if the engine cannot copy the motion of a video or
    changes its size.
    """
    task = read_reenactment(path, engine, settings, watcher)
    rendered, unchanged = AgreementSum(), AgreementSum()
    portrait_mesh = None
    for (real, face), (frame, drawn) in _frame_pairs(task, engine, watcher):
        if frame.shape != real.shape:
            raise EngineError(
                f"The engine {engine.spec.name} renders {frame.shape[1]} x {frame.shape[0]} pixels, but the video has "
                f"{real.shape[1]} x {real.shape[0]}; choose settings that keep the size of the portrait"
            )
        if face is None:
            continue
        if portrait_mesh is None:
            portrait_mesh = face.mesh
            continue
        rendered.add(compare_frames(frame, None if drawn is None else drawn.mesh, real, face.mesh))
        unchanged.add(compare_frames(task.portrait.picture, portrait_mesh, real, face.mesh))
    if rendered.frames == 0:
        raise FaceError("There is only one frame with a face in the ", FileRef("video", path), "; choose a longer one")
    share = 100.0 * rendered.found / rendered.frames
    return [
        *rendered.metrics("", "the rendered frame"),
        *unchanged.metrics(UNCHANGED, "the unchanged portrait"),
        Metric("face_seen", share, "%", "higher", "share of the rendered frames in which the tracker finds the face"),
    ]


def read_reenactment(path: Path, engine: Engine, settings: Settings, watcher: Watcher) -> Reenactment:
    """Read the portrait in the first frame, and the motion of every frame."""
    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.pipeline.portrait import read_portrait

    watcher.stage("portrait")
    prepared = read_portrait(path, settings)
    source = engine.read_face(prepared.portrait)
    pictures, tracked = tee(watcher.watch(_read(path, prepared.quarter_turns), TRACK, _frame_count(path)))
    detected = zip(pictures, track_faces(tracked), strict=True)
    if isinstance(engine, MeshMotion):
        motion = join_motion(collect(detected, MeshReader(engine, prepared.portrait), path))
    elif ALL in engine.spec.references:
        motion = read_motion(detected, path, engine)
    else:
        raise EngineError(
            f"The engine {engine.spec.name} cannot copy the motion of a video; choose another engine for a reenactment"
        )
    return Reenactment(path, prepared.portrait, source, motion, prepared.quarter_turns)


class MeshReader:
    """Reads the motion (T = 1) of tracked frames, the first of which is the portrait.

    The portrait's landmarks are a mean over several measurements. Their distance from the tracker's landmarks of the
    same picture is no motion, so it is subtracted.
    """

    def __init__(self, engine: MeshMotion, portrait: Portrait) -> None:
        self._engine = engine
        self._portrait = portrait
        self._offset: Float32Array | None = None

    def __call__(self, _: Frame, face: Landmarks) -> Motion:
        """Return the motion of a frame with this face."""
        if self._offset is None:
            self._offset = face.mesh - self._portrait.landmarks.mesh
        return self._engine.mesh_motion(self._portrait, (face.mesh - self._offset)[None])


def _frame_pairs(task: Reenactment, engine: Engine, watcher: Watcher) -> Iterator[tuple[TrackedFrame, TrackedFrame]]:
    """Yield each real frame and its reenactment, both with the face that the tracker finds in them."""
    drawn = engine.render(task.portrait, task.source, task.motion)
    real = watcher.watch(_read(task.path, task.quarter_turns), COMPARE, len(task.motion))
    return zip(_tracked(real), _tracked(drawn), strict=True)


def _tracked(frames: Iterator[Frame]) -> Iterator[TrackedFrame]:
    from sadtalker_ext.faces.find import track_faces

    pictures, tracked = tee(frames)
    return zip(pictures, track_faces(tracked), strict=True)


def _read(path: Path, quarter_turns: int) -> Iterator[Frame]:
    from sadtalker_ext.video.read import read_frames

    for frame in read_frames(path, FRAME_RATE_HZ):
        yield turn_picture(frame, quarter_turns) if quarter_turns else frame


def _frame_count(path: Path) -> int:
    from sadtalker_ext.video.read import probe

    return max(1, round((probe(path).duration_s or 0.0) * FRAME_RATE_HZ))
