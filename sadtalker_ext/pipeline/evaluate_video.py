"""Metrics of lips, head motion and pictures, from a finished video or from predicted curves.

Faces are tracked with FaceMesh. No engine renders with it, so it also notices a mouth that the renderer does not move,
or moves late. The tracker itself adds noise and bias: for a still head it reports a diversity of about half a
degree, jitter, and a pitch that follows the jaw a little. Compare such metrics only between videos.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import FaceError, FileRef, MediaError
from sadtalker_ext.metrics import image, motion, sync
from sadtalker_ext.metrics.report import Metric

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.arrays import Float32Array, Float64Array, Frame
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.geometry.landmarks import Landmarks

MIN_DETECTED_SHARE: Final = 0.5
"""A face must be found in this share of the frames."""
PICTURE_INTERVAL: Final = 12
"""Picture metrics are computed for every twelfth frame by default."""


@dataclass(frozen=True)
class LipClip:
    """Lips of a speaker, measured in a video: opening and width (T,) in any unit; nan where they were not found."""

    rate_hz: float
    opening: Float64Array
    width: Float64Array


@dataclass(frozen=True)
class FaceTrack:
    """Tracked face of a video, one row per frame; frames without a face are interpolated.

    rotation: (T, 3) radians relative to the first frame, signs as in Motion.
    opening, width: (T,) of the mouth, divided by the distance of the outer eye corners.
    detected_share: share of frames with a face.
    """

    rate_hz: float
    rotation: Float32Array
    opening: Float64Array
    width: Float64Array
    detected_share: float


def read_lip_clips(path: Path) -> dict[str, LipClip]:
    """Return the clips of a lips file: JSON of name -> {"fps", "openness": [...], "width": [...]}; null is nan."""
    try:
        content = json.loads(path.read_text("utf-8"))
        return {
            name: LipClip(float(one["fps"]), _to_array(one["openness"]), _to_array(one["width"]))
            for name, one in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(
            "The ", FileRef("lips file", path), f" cannot be read ({reason}); it must be JSON of name -> fps, "
            "openness, width",
        ) from error  # fmt: skip


def choose_clip(clips: Mapping[str, LipClip], name: str) -> LipClip:
    """Return the clip with this name; MediaError if there is none."""
    if name not in clips:
        raise MediaError(f"The lips file has no clip {name!r}; choose from {', '.join(clips)}")
    return clips[name]


def track_video(path: Path) -> FaceTrack:
    """Track the largest face through a video at its own frame rate."""
    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.video.read import probe, read_frames

    return measure_track(list(track_faces(read_frames(path))), probe(path).rate_hz, path)


def measure_track(found: Sequence[Landmarks | None], rate_hz: float, path: Path) -> FaceTrack:
    """Return the track of the face detected in each frame; FaceError if there are too few. path: for the error."""
    from sadtalker_ext.geometry.measures import mouth_opening, mouth_width
    from sadtalker_ext.geometry.planar_pose import rotation_between

    faces = [face for face in found if face is not None]
    share = len(faces) / max(1, len(found))
    if share < MIN_DETECTED_SHARE or len(faces) < 2:
        raise FaceError(
            f"A face was found in only {len(faces)} of {len(found)} frames of the ", FileRef("video", path),
            "; choose a video that shows the face most of the time",
        )  # fmt: skip
    at = np.flatnonzero([face is not None for face in found])
    frames = np.arange(len(found))

    def interpolate(values: Sequence[float]) -> Float64Array:
        return np.interp(frames, at, np.asarray(values, np.float64))

    first = faces[0].mesh
    angles = [rotation_between(face.mesh, first) for face in faces]
    rotation = np.stack([interpolate(column) for column in zip(*angles, strict=True)], axis=1).astype(np.float32)
    opening = interpolate([mouth_opening(face) for face in faces])
    width = interpolate([mouth_width(face) for face in faces])
    return FaceTrack(rate_hz, rotation, opening, width, share)


def lip_metrics(opening: Float64Array, width: Float64Array, rate_hz: float, clip: LipClip) -> list[Metric]:
    """Return the agreement of predicted or tracked lips (T,) with a measured speaker; both start at the same time."""
    opening_r, lag_s = sync.best_lag(opening, rate_hz, _fill_gaps(clip.opening), clip.rate_hz)
    width_r, _ = sync.best_lag(width, rate_hz, _fill_gaps(clip.width), clip.rate_hz)
    closure = sync.closure_accuracy(opening, rate_hz, _fill_gaps(clip.opening), clip.rate_hz, lag_s)
    return [
        Metric("opening_r", opening_r, "", "higher", "Pearson r of the mouth opening with the speaker's, at its lag"),
        Metric("opening_lag", 1000.0 * lag_s, "ms", "", "delay of the mouth; median of the clips", "median"),
        Metric("width_r", width_r, "", "higher", "Pearson r of the mouth width with the speaker's, at its best lag"),
        Metric("closures", 100.0 * closure, "%", "higher", "share of the speaker's lip closures that are reproduced"),
    ]


def motion_metrics(rotation: Float32Array, rate_hz: float, speech: Speech | None) -> list[Metric]:
    """Return diversity, jitter and, with speech, beat alignment of the head rotation (T, 3) in radians."""
    at_25 = _resample(rotation, rate_hz, FRAME_RATE_HZ)
    alignment = None
    if speech is not None:
        from sadtalker_ext.audio.prosody import measure_prosody

        beats = motion.speech_beats(measure_prosody(speech.blocks(), len(at_25)).emphasis)
        alignment = motion.beat_alignment(beats, motion.kinematic_beats(at_25))
    return [
        Metric("head_diversity", motion.diversity_deg(at_25), "deg", "higher", "standard deviation of the head angles"),
        Metric("head_beats", alignment, "", "higher", "beat align score of head and stressed syllables, 0 to 1"),
        Metric("head_jitter", motion.jitter_deg_per_s3(at_25), "deg/s3", "lower", "root mean square of the jerk"),
        Metric("head_fast", 100 * motion.fast_share(at_25), "%", "lower", "share of head movement above 5 Hz"),
    ]


def picture_metrics(path: Path, reference: Path | None = None, every: int = PICTURE_INTERVAL) -> list[Metric]:
    """Return the sharpness of a video and its similarity to a reference of the same size and timing, if given.

    every: interval of the measured frames.
    """
    from sadtalker_ext.video.read import probe, read_frames

    rate_hz = probe(path).rate_hz
    others: Iterator[Frame | None] = iter(()) if reference is None else read_frames(reference, rate_hz, "reference")
    rows: list[tuple[float, float, float]] = []
    for index, (frame, other) in enumerate(zip_longest(read_frames(path), others)):
        if frame is None:
            break
        if index % every == 0:
            similarity = (image.psnr_db(frame, other), image.ssim(frame, other)) if other is not None else (np.nan,) * 2
            rows.append((image.cpbd(frame), *similarity))
    sharpness, psnr, ssim = (np.array(column) for column in zip(*rows, strict=True))
    metrics = [Metric("cpbd", float(sharpness.mean()), "", "higher", "sharpness (Narvekar and Karam 2011), 0 to 1")]
    if reference is not None:
        metrics.append(Metric("psnr", float(np.nanmean(psnr)), "dB", "higher", "similarity to the reference"))
        metrics.append(Metric("ssim", float(np.nanmean(ssim)), "", "higher", "similarity to the reference, up to 1"))
    return metrics


def video_metrics(
    path: Path, reference: Path | None = None, clip: LipClip | None = None, every: int = PICTURE_INTERVAL
) -> list[Metric]:
    """Return all metrics that need no further network: lips of a measured speaker, head motion, pictures."""
    from sadtalker_ext.audio.speech import open_speech
    from sadtalker_ext.pipeline.evaluate_liveliness import liveliness_metrics
    from sadtalker_ext.video.read import probe

    track = track_video(path)
    metrics = [] if clip is None else lip_metrics(track.opening, track.width, track.rate_hz, clip)
    speech = open_speech(path) if probe(path).has_audio else None
    metrics += motion_metrics(track.rotation, track.rate_hz, speech)
    share = 100.0 * track.detected_share
    metrics.append(Metric("face_seen", share, "%", "higher", "share of frames in which the tracker finds the face"))
    return metrics + liveliness_metrics(path) + picture_metrics(path, reference, every)


def _resample(values: Float32Array, rate_hz: float, target_hz: float) -> Float32Array:
    """Interpolate the rows of ``values`` (T, D) linearly at another frame rate."""
    if rate_hz == target_hz:
        return values
    at = np.arange(int(len(values) * target_hz / rate_hz)) * rate_hz / target_hz
    columns = [np.interp(at, np.arange(len(values)), column) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _to_array(values: Sequence[float | None]) -> Float64Array:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _fill_gaps(curve: Float64Array) -> Float64Array:
    """Interpolate the values (T,) that are not finite; all zeros if no value is."""
    good = np.flatnonzero(np.isfinite(curve))
    if len(good) == 0:
        return np.zeros(len(curve))
    return np.interp(np.arange(len(curve)), good, curve[good])
