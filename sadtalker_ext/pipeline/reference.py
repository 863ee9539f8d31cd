"""A video to take after: its eyes, its head movement, both, or everything; always at 25 frames per second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.errors import FaceError, SettingsError
from sadtalker_ext.geometry.motion import FRAME_RATE_HZ, Motion
from sadtalker_ext.geometry.portrait import Portrait

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.engines.engine import Engine, Frame, MotionStyle
    from sadtalker_ext.geometry.landmarks import Landmarks

    Rows = NDArray[np.float32]

USES = ("eyes", "pose", "eyes and pose", "all")
LEAST_SEEN = 0.5
"""A face must be found in this share of the frames."""
OPEN_QUANTILE = 0.8
"""Eyes are open in most frames of any clip; this quantile of the gap between the lids is the open eye."""
CLOSED_PART = 0.35
"""Lids are closed when the gap is this part of the open eye's."""
OPEN_PART = 0.8


@dataclass(frozen=True)
class Reference:
    """What was seen in a video, one row per frame at 25 Hz.

    lids: (N,) how far the eyes are closed, 0 to 1. rotation: (N, 3) radians since the first frame, as in Motion.
    shift: (N, 3) of the head since the first frame, in face heights, as in Motion.
    motion: what the engine itself reads, for "all"; None for the other uses.
    """

    use: str
    lids: Rows
    rotation: Rows
    shift: Rows
    motion: Motion | None = None

    def style(self, style: MotionStyle) -> MotionStyle:
        """The style with the reference's eyes, where those are wanted."""
        return replace(style, lids=self.lids) if "eyes" in self.use else style

    def apply(self, motion: Motion, source: Motion) -> Motion:
        """Predicted motion (T, 25 Hz) with what the reference does in its place; a shorter reference is repeated.

        The head moves as the reference's does, from where the portrait's head is.
        """
        at = np.arange(len(motion)) % len(self.lids)
        if self.motion is not None:
            return self.motion.map_parts(lambda part: part[at])
        if "pose" not in self.use:
            return motion
        return motion.replace(
            rotation=source.rotation[:1] + self.rotation[at], translation=source.translation[:1] + self.shift[at]
        )


def read_reference(path: Path, use: str, engine: Engine | None = None) -> Reference:
    """Watch a video; its frames are resampled to 25 per second. ``engine`` reads the expression for "all"."""
    from itertools import tee

    from sadtalker_ext.geometry.faces import track_faces
    from sadtalker_ext.video.read import read_frames

    if use not in USES:
        raise SettingsError(f"A reference can be used for {', '.join(USES)}, not {use!r}")
    frames, seen = tee(read_frames(path, FRAME_RATE_HZ))
    return follow(zip(frames, track_faces(seen), strict=True), use, str(path), engine)


def follow(found: Iterable[tuple[Frame, Landmarks | None]], use: str, name: str, engine: Engine | None) -> Reference:
    """The reference of frames and the face in each; between found faces the last one holds. Frames are not kept."""
    faces: list[Landmarks] = []
    parts: list[Motion] = []
    missed = total = 0
    for frame, face in found:
        total += 1
        if face is None:
            missed += 1
            if not faces:
                continue
            faces.append(faces[-1])
            parts.extend(parts[-1:])
            continue
        faces += [face] * (1 if faces else total)
        if use == "all" and engine is not None:
            parts += [engine.read_face(Portrait(frame, face))] * (1 if parts else total)
    if not faces or missed > (1 - LEAST_SEEN) * total:
        raise FaceError(f"A face shows in {total - missed} of {total} frames of {name}; give a video with one in view")
    return Reference(use, lid_closing(faces), *head_path(faces), _joined(parts))


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


def _joined(parts: Sequence[Motion]) -> Motion | None:
    if not parts:
        return None
    names = ("expression", "rotation", "translation")
    return Motion(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
