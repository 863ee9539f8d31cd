"""Liveliness of a finished video: THEval's measures of lips, head and brows, and their closeness to real people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.metrics import liveliness
from sadtalker_ext.metrics.liveliness import HUMAN_STATISTICS, closeness
from sadtalker_ext.metrics.report import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float64Array, Frame

MEANINGS: Final = {
    "lip_dynamics": ("px", "standard deviation of the distances between lip points, frame squeezed to 256 x 256"),
    "head_motion": ("px", "spread of the head's place and angles; grows with the size of the picture"),
    "eyebrows": ("", "mean change of the brows' height per frame, relative to the distance of the eyes"),
    "silent_lips": ("", "median deviation of the lips' gap in silence, relative to the distance of the eyes"),
}
"""Unit and meaning of each field of :class:`~sadtalker_ext.metrics.liveliness.HumanStatistics`."""


class LivelinessTrack:
    """What the measures need of each frame with a face, collected frame by frame."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        """Follow the largest face through ``frames``, as THEval's tracker does."""
        from sadtalker_ext.engines.sadtalker.puppet_coefficients import portrait_rotation
        from sadtalker_ext.faces.find import FaceFollower

        follower = FaceFollower()
        self.frames = 0
        self.at: list[int] = []
        shapes, heights, gaps, angles, centres = [], [], [], [], []
        for frame in frames:
            face = follower.update(frame)
            self.frames += 1
            if face is None:
                continue
            size_px = (frame.shape[1], frame.shape[0])
            self.at.append(self.frames - 1)
            shapes.append(liveliness.lip_shape(face.mesh, size_px).astype(np.float32))
            heights.append(liveliness.brow_heights(face.mesh))
            gaps.append(liveliness.lip_gap(face.mesh, size_px))
            angles.append(np.rad2deg(portrait_rotation(face.mesh)))
            centres.append((face.box.x + face.box.width / 2, face.box.y + face.box.height / 2))
        self.shapes, self.heights, self.gaps = np.array(shapes), np.array(heights), np.array(gaps)
        self.angles_deg, self.centres_px = np.array(angles, np.float64), np.array(centres)

    def silent_gaps(self, silent: NDArray[np.bool_]) -> Float64Array:
        """Return the lip gaps of the frames of which ``silent`` (frames,) is true."""
        gaps: Float64Array = self.gaps[silent[self.at]]
        return gaps


def liveliness_metrics(path: Path) -> list[Metric]:
    """Return the four measures of a video and their closeness to real people.

    Lips in silence are not measured without sound, without a pause, or without the package silero-vad.
    """
    from sadtalker_ext.audio.speech import open_speech
    from sadtalker_ext.pipeline.evaluate_speech_activity import is_installed, speech_stretches
    from sadtalker_ext.video.read import probe, read_frames

    info = probe(path)
    track = LivelinessTrack(read_frames(path))
    if len(track.at) < 2:
        return measured_metrics(dict.fromkeys(MEANINGS))
    values: dict[str, float | None] = {
        "lip_dynamics": liveliness.lip_dynamics(track.shapes),
        "head_motion": liveliness.head_motion_dynamics(track.angles_deg, track.centres_px),
        "eyebrows": liveliness.eyebrow_dynamics(track.heights),
        "silent_lips": None,
    }
    if info.has_audio and is_installed():
        silent = liveliness.silent_frames(speech_stretches(open_speech(path)), info.rate_hz, track.frames)
        values["silent_lips"] = liveliness.silent_lip_stability(track.silent_gaps(silent))
    return measured_metrics(values)


def measured_metrics(values: dict[str, float | None]) -> list[Metric]:
    """Return each value and its closeness to real people as metrics."""
    metrics = []
    for name, (unit, meaning) in MEANINGS.items():
        value, real = values[name], getattr(HUMAN_STATISTICS, name)
        near = None if value is None else closeness(value, real)
        metrics.append(Metric(name, value, unit, "", f"{meaning} (THEval; real people {real:.4g})"))
        metrics.append(Metric(f"{name}_closeness", near, "", "higher", "closeness to real people, at most 1 (THEval)"))
    return metrics
