"""A video to take after: its eyes, its head movement, both, or everything; always at 25 frames per second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from sadtalker_ext.errors import FaceError
from sadtalker_ext.geometry.motion import FRAME_RATE_HZ, Motion
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.pipeline.inputs import ALL, EYES, POSE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.engines.protocol import Engine, Frame, MotionStyle
    from sadtalker_ext.geometry.landmarks import Landmarks

    Rows = NDArray[np.float32]

T = TypeVar("T")
LEAST_SEEN = 0.5
"""A face must be found in this share of the frames."""
OPEN_QUANTILE = 0.8
"""Eyes are open in most frames of any clip; this quantile of the gap between the lids is the open eye."""
CLOSED_PART = 0.35
"""Lids are closed when the gap is this part of the open eye's."""
OPEN_PART = 0.8


class Reference(Protocol):
    """What was seen in a video, one row per frame at 25 Hz; a shorter one is repeated."""

    def style(self, style: MotionStyle) -> MotionStyle:
        """The style with what the motion predictor must know of the reference."""
        ...

    def apply(self, motion: Motion, source: Motion) -> Motion:
        """Predicted motion (T, 25 Hz) with what is taken from the reference. source: the portrait's own (T = 1)."""
        ...


@dataclass(frozen=True)
class TrackedReference:
    """Eyes and head as landmarks show them.

    lids: (N,) how far the eyes are closed, 0 to 1. rotation: (N, 3) radians since the first frame, as in Motion.
    shift: (N, 3) of the head since the first frame, in face heights, as in Motion.
    """

    use: str
    lids: Rows
    rotation: Rows
    shift: Rows

    def style(self, style: MotionStyle) -> MotionStyle:
        """The style with the reference's eyes, where those are wanted."""
        return replace(style, lids=self.lids) if EYES in self.use else style

    def apply(self, motion: Motion, source: Motion) -> Motion:
        """The head moves as the reference's does, from where the portrait's head is."""
        if POSE not in self.use:
            return motion
        at = np.arange(len(motion)) % len(self.lids)
        return motion.replace(
            rotation=source.rotation[:1] + self.rotation[at], translation=source.translation[:1] + self.shift[at]
        )


@dataclass(frozen=True)
class CopiedReference:
    """The whole of the motion that the engine reads, (N, ...), in place of the predicted one."""

    motion: Motion

    def style(self, style: MotionStyle) -> MotionStyle:
        """Nothing of it is left to the predictor."""
        return style

    def apply(self, motion: Motion, source: Motion) -> Motion:
        """The reference's motion."""
        return _repeated(self.motion, len(motion))


@dataclass(frozen=True)
class OfficialReference:
    """Eyes and head as the official code takes them from the motion that the engine reads, (N, ...)."""

    use: str
    motion: Motion

    def style(self, style: MotionStyle) -> MotionStyle:
        """For the eyes the predictor starts from the reference's whole expression, and adds no blinks."""
        if EYES not in self.use:
            return style
        return replace(style, expression=self.motion.expression, lids=np.zeros(1, np.float32))

    def apply(self, motion: Motion, source: Motion) -> Motion:
        """The reference's movement since its first frame comes on top of the predicted one."""
        if POSE not in self.use:
            return motion
        moves = _repeated(self.motion, len(motion))
        return motion.replace(
            rotation=motion.rotation + moves.rotation - self.motion.rotation[:1],
            translation=motion.translation + moves.translation - self.motion.translation[:1],
        )


def read_reference(
    path: Path, use: str, engine: Engine, watched: Callable[[Iterator[Frame]], Iterator[Frame]]
) -> Reference:
    """Watch a video, its frames resampled to 25 per second.

    use: see :data:`~sadtalker_ext.pipeline.inputs.USES`. engine: reads the frames where landmarks are not enough.
    watched: passes the frames on, for progress and an earlier end.
    """
    from itertools import tee

    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.video.read import read_frames

    frames, seen = tee(watched(read_frames(path, FRAME_RATE_HZ)))
    found = zip(frames, track_faces(seen), strict=True)
    if engine.spec.parity or use == ALL:
        return copy_motion(found, use, str(path), engine)
    return follow(found, use, str(path))


def follow(found: Iterable[tuple[Frame, Landmarks | None]], use: str, name: str) -> TrackedReference:
    """Eyes and head of frames and the face in each."""
    faces = bridge(found, lambda _, face: face, name)
    return TrackedReference(use, lid_closing(faces), *head_path(faces))


def copy_motion(found: Iterable[tuple[Frame, Landmarks | None]], use: str, name: str, engine: Engine) -> Reference:
    """What the engine reads in frames and the face in each: everything, or the parts that the official code takes."""
    parts = bridge(found, lambda frame, face: engine.read_face(Portrait(frame, face)), name)
    names = ("expression", "rotation", "translation")
    motion = Motion(*(np.concatenate([getattr(part, part_name) for part in parts]) for part_name in names))
    return CopiedReference(motion) if use == ALL else OfficialReference(use, motion)


def bridge(
    found: Iterable[tuple[Frame, Landmarks | None]], take: Callable[[Frame, Landmarks], T], name: str
) -> list[T]:
    """What ``take`` makes of each frame; where there is no face the last one holds. Frames are not kept."""
    taken: list[T] = []
    missed = total = 0
    for frame, face in found:
        total += 1
        if face is None:
            missed += 1
            taken += taken[-1:]
        else:
            taken += [take(frame, face)] * (1 if taken else total)
    if not taken or missed > (1 - LEAST_SEEN) * total:
        raise FaceError(f"A face shows in {total - missed} of {total} frames of {name}; give a video with one in view")
    return taken


def lid_closing(faces: Sequence[Landmarks]) -> Rows:
    """(N,) in [0, 1]: both eyes' gap against this face's own open eye."""
    from sadtalker_ext.geometry.measures import eye_opening

    gaps = np.array([(eye_opening(face, "left") + eye_opening(face, "right")) / 2 for face in faces])
    part = gaps / max(float(np.quantile(gaps, OPEN_QUANTILE)), 1e-6)
    return np.clip((OPEN_PART - part) / (OPEN_PART - CLOSED_PART), 0, 1).astype(np.float32)


def head_path(faces: Sequence[Landmarks]) -> tuple[Rows, Rows]:
    """Rotation (N, 3) in radians and shift (N, 3) in face heights since the first frame."""
    from sadtalker_ext.geometry.measures import head_pose

    first = faces[0]
    rotation = np.array([head_pose(face, first) for face in faces], np.float32)
    centres = np.array([face.mesh[:, :2].mean(axis=0) for face in faces], np.float32)
    shift = np.zeros((len(faces), 3), np.float32)
    shift[:, :2] = (centres - centres[0]) / max(first.box.height, 1e-6)
    return rotation, shift


def _repeated(motion: Motion, frames: int) -> Motion:
    at = np.arange(frames) % len(motion)
    return motion.map_parts(lambda part: part[at])
