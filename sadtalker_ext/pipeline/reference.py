"""Motion of a reference video at 25 frames per second: eyelids, head pose, or everything the engine reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import FaceError, FileRef
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.pipeline.inputs import EYES, POSE

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.arrays import Float32Array, Frame
    from sadtalker_ext.engines.protocol import Engine, MotionReference, MotionStyle
    from sadtalker_ext.geometry.landmarks import Landmarks

    DetectedFrames = Iterable[tuple[Frame, Landmarks | None]]

T = TypeVar("T")
MIN_DETECTED_SHARE: Final = 0.5
"""A face must be found in this share of the frames."""
OPEN_EYE_QUANTILE: Final = 0.8
"""Eyes are open in most frames of any clip; this quantile of the eyelid gap is the gap of the open eye."""
CLOSED_GAP: Final = 0.35
"""Gap of closed eyelids, as a share of the gap of the open eye."""
OPEN_GAP: Final = 0.8
"""Gap from which the eye counts as fully open, as a share of the gap of the open eye."""


@dataclass(frozen=True)
class TrackedReference:
    """Eyelids and head pose measured with face landmarks.

    lids: (N,) eyelid closure, 0 open to 1 closed. rotation: (N, 3) radians relative to the first frame, as in Motion.
    translation: (N, 3) of the head relative to the first frame, in face heights, as in Motion.
    """

    use: str
    lids: Float32Array
    rotation: Float32Array
    translation: Float32Array

    def later(self, rows: int) -> TrackedReference:
        """Return the reference that begins ``rows`` rows later; its motion is still relative to the first frame."""
        parts = (np.roll(part, -rows, axis=0) for part in (self.lids, self.rotation, self.translation))
        return TrackedReference(self.use, *parts)

    def style(self, style: MotionStyle) -> MotionStyle:
        """Return ``style`` with the eyelids of the reference, if the eyes are to be copied."""
        return replace(style, lids=self.lids) if EYES in self.use else style

    def apply(self, motion: Motion, source: Motion) -> Motion:
        """Replace the head motion by that of the reference, starting from the pose of the portrait."""
        if POSE not in self.use:
            return motion
        at = np.arange(len(motion)) % len(self.lids)
        return motion.replace(
            rotation=source.rotation[:1] + self.rotation[at],
            translation=source.translation[:1] + self.translation[at],
        )


def read_reference(
    path: Path, use: str, engine: Engine, watch: Callable[[Iterator[Frame]], Iterator[Frame]]
) -> MotionReference:
    """Read the motion of a video, resampled to 25 frames per second.

    use: one of :data:`~sadtalker_ext.pipeline.inputs.USES`. engine: reads the frames if its editor asks for it.
    watch: passes the frames on; reports progress and may end the video early.

    Raises FaceError if a face is visible in fewer than half of the frames.
    """
    from itertools import tee

    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.video.read import read_frames

    frames, tracked = tee(watch(read_frames(path, FRAME_RATE_HZ, "reference")))
    detected = zip(frames, track_faces(tracked), strict=True)
    if engine.editor.reads_frames(use):
        return engine.editor.reference(use, read_motion(detected, path, engine))
    return track_reference(detected, use, path)


def track_reference(detected: DetectedFrames, use: str, path: Path) -> TrackedReference:
    """Measure eyelids and head pose in frames and the face detected in each."""
    faces = collect(detected, lambda _, face: face, path)
    return TrackedReference(use, lid_closure(faces), *head_motion(faces))


def read_motion(detected: DetectedFrames, path: Path, engine: Engine) -> Motion:
    """Return the motion (N, ...) that the engine reads in frames and the face detected in each."""
    return join_motion(collect(detected, lambda frame, face: engine.read_face(Portrait(frame, face)), path))


def join_motion(parts: Sequence[Motion]) -> Motion:
    """Return one motion that consists of parts in temporal order."""
    names = ("expression", "rotation", "translation")
    return Motion(*(np.concatenate([getattr(part, part_name) for part in parts]) for part_name in names))


def collect(detected: DetectedFrames, measure: Callable[[Frame, Landmarks], T], path: Path) -> list[T]:
    """Return ``measure`` of each frame; a frame without a face repeats the value before it. Frames are not kept."""
    values: list[T] = []
    missed = total = 0
    for frame, face in detected:
        total += 1
        if face is None:
            missed += 1
            values += values[-1:]
        else:
            values += [measure(frame, face)] * (1 if values else total)
    if not values or missed > (1 - MIN_DETECTED_SHARE) * total:
        raise FaceError(
            f"A face is visible in only {total - missed} of {total} frames of the ", FileRef("reference", path),
            "; choose a video that shows the face most of the time",
        )  # fmt: skip
    return values


def lid_closure(faces: Sequence[Landmarks]) -> Float32Array:
    """Return the eyelid closure (N,) in [0, 1], measured against the open eye of the same face."""
    from sadtalker_ext.geometry.measures import eye_opening

    gaps = np.array([(eye_opening(face, "left") + eye_opening(face, "right")) / 2 for face in faces])
    share = gaps / max(float(np.quantile(gaps, OPEN_EYE_QUANTILE)), 1e-6)
    return np.clip((OPEN_GAP - share) / (OPEN_GAP - CLOSED_GAP), 0, 1).astype(np.float32)


def head_motion(faces: Sequence[Landmarks]) -> tuple[Float32Array, Float32Array]:
    """Return rotation (N, 3) in radians and translation (N, 3) in face heights, relative to the first frame."""
    from sadtalker_ext.geometry.measures import head_pose

    first = faces[0]
    rotation = np.array([head_pose(face, first) for face in faces], np.float32)
    centres = np.array([face.mesh[:, :2].mean(axis=0) for face in faces], np.float32)
    translation = np.zeros((len(faces), 3), np.float32)
    translation[:, :2] = (centres - centres[0]) / max(first.box.height, 1e-6)
    return rotation, translation
