"""What ``sadtalker train check`` measures in the pictures of a video."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.training.clips.check_motion import repeated_share
from sadtalker_ext.training.clips.prepare_tracking import MAX_OUTSIDE_SHARE, has_similar_face

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sadtalker_ext.arrays import Float32Array, Float64Array, Frame

REDUCED: Final = 4
"""Every fourth pixel is compared from frame to frame."""
FACE_SEARCH_INTERVAL_FRAMES: Final = 75
"""Other faces are searched for at this interval."""


@dataclass
class VideoTrack:
    """The largest face in the first seconds of a video, at 25 Hz.

    lips: (T, 3) opening and width of the mouth and height of the face in pixels, interpolated where there is no face.
    seen: share of the frames with a face. cut: share of them in which the border cuts the face. similar_faces: share of
    the searched frames with another face of similar size. steps: mean difference of consecutive pictures in grey
    levels. brightness: mean grey level of each picture.
    """

    lips: Float64Array
    seen: float = 0.0
    cut: float = 0.0
    similar_faces: float = 0.0
    steps: Float32Array = field(default_factory=lambda: np.zeros(0, np.float32))
    brightness: Float32Array = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def repeated(self) -> float:
        """Share of frames that repeat the one before."""
        return repeated_share(self.steps)


def track_video(path: Path, seconds: float) -> VideoTrack:
    """Track the largest face in the first seconds of a video."""
    from sadtalker_ext.faces.face_crop import ImagePyramid
    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.geometry.landmarks import outside_share
    from sadtalker_ext.geometry.measures import mouth_opening, mouth_width
    from sadtalker_ext.video.read import read_frames

    frames = islice(read_frames(path, FRAME_RATE_HZ), round(seconds * FRAME_RATE_HZ))
    steps: list[float] = []
    levels: list[float] = []
    read: deque[Frame] = deque()  # the tracker reads some frames ahead
    rows, cut, similar_faces = [], [], []
    for number, face in enumerate(track_faces(_compared(frames, steps, levels, read))):
        picture = read.popleft()
        if face is None:
            rows.append((np.nan, np.nan, np.nan))
            continue
        rows.append((mouth_opening(face), mouth_width(face), face.box.height))
        cut.append(outside_share(face, picture.shape[1], picture.shape[0]) > MAX_OUTSIDE_SHARE)
        if number % FACE_SEARCH_INTERVAL_FRAMES == 0:
            similar_faces.append(has_similar_face(ImagePyramid(picture), face.mesh))
    if not cut:
        return VideoTrack(np.zeros((0, 3)))
    shares = (len(cut) / len(rows), float(np.mean(cut)), float(np.mean(similar_faces or [False])))
    pictures = np.array(steps, np.float32), np.array(levels, np.float32)
    return VideoTrack(_interpolated(np.array(rows, np.float64)), *shares, *pictures)


def _compared(frames: Iterable[Frame], steps: list[float], levels: list[float], read: deque[Frame]) -> Iterator[Frame]:
    """Yield the frames; add each to ``read``, its mean to ``levels`` and the difference from the last to ``steps``."""
    last: Float32Array | None = None
    for frame in frames:
        grey = frame[::REDUCED, ::REDUCED].mean(axis=2, dtype=np.float32)
        if last is not None:
            steps.append(float(np.abs(grey - last).mean()))
        last = grey
        levels.append(float(grey.mean()))
        read.append(frame)
        yield frame


def _interpolated(rows: Float64Array) -> Float64Array:
    """Return rows (T, D) in which nan is interpolated; at least one row has none."""
    at = np.flatnonzero(np.isfinite(rows[:, 0]))
    return np.stack([np.interp(np.arange(len(rows)), at, column[at]) for column in rows.T], axis=1)
