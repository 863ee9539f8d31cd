"""Measure a result: what a tracker sees in the finished video, and what was predicted before it was drawn.

The tracker (MediaPipe) has no part in making the picture, so a mouth that the renderer does not move, or moves late,
is seen as such. It has its own tremble and its own bias: for a head that does not move it reports a diversity of about
half a degree, jitter, and a pitch that follows the jaw a little; compare such figures between videos only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import FaceError, MediaError
from sadtalker_ext.metrics import image, motion, sync
from sadtalker_ext.metrics.report import Metric

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.geometry.landmarks import Landmarks

    Curve = NDArray[np.float64]

LEAST_SEEN = 0.5
"""A face must be found in this share of the frames for its motion to mean anything."""
PICTURE_EVERY = 12
"""Sharpness and likeness are measured on every twelfth frame."""


@dataclass(frozen=True)
class LipClip:
    """A speaker's lips, measured from video: opening and width per frame, any unit; nan where not seen."""

    rate_hz: float
    opening: Curve
    width: Curve


@dataclass(frozen=True)
class FaceTrack:
    """What a tracker sees of a video, per frame; frames without a face are bridged.

    rotation: (T, 3) radians since the first frame, signs as in Motion. opening, width: (T,) of the mouth over the
    distance of the outer eye corners. seen: share of frames with a face.
    """

    rate_hz: float
    rotation: NDArray[np.float32]
    opening: Curve
    width: Curve
    seen: float


def read_lip_clips(path: Path) -> dict[str, LipClip]:
    """Clips of a lips file: JSON of name -> {"fps", "openness": [...], "width": [...]}; null is not measured."""
    try:
        content = json.loads(path.read_text("utf-8"))
        return {
            name: LipClip(float(one["fps"]), _numbers(one["openness"]), _numbers(one["width"]))
            for name, one in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MediaError(
            f"the lips file {path} cannot be read ({error}); it must hold name -> fps, openness, width as JSON"
        ) from error


def choose_clip(clips: Mapping[str, LipClip], name: str) -> LipClip:
    """One clip by its name."""
    if name not in clips:
        raise MediaError(f"the lips file has no clip {name!r}; it has {', '.join(clips)}")
    return clips[name]


def track_video(path: Path) -> FaceTrack:
    """Track the largest face through a video at its own frame rate."""
    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.video.read import probe, read_frames

    return follow_face(list(track_faces(read_frames(path))), probe(path).rate_hz, str(path))


def follow_face(found: Sequence[Landmarks | None], rate_hz: float, name: str) -> FaceTrack:
    """Curves of a face from its landmarks in each frame; ``name`` is for the error when there are too few."""
    from sadtalker_ext.geometry.measures import mouth_opening, mouth_width
    from sadtalker_ext.geometry.planar_pose import rotation_between

    faces = [face for face in found if face is not None]
    seen = len(faces) / max(1, len(found))
    if seen < LEAST_SEEN or len(faces) < 2:
        raise FaceError(
            f"a face is found in {len(faces)} of {len(found)} frames of {name}; evaluate a video in which one face "
            "is in view"
        )
    at = np.flatnonzero([face is not None for face in found])
    start = faces[0].mesh
    rows = [(*rotation_between(face.mesh, start), mouth_opening(face), mouth_width(face)) for face in faces]
    table = np.array(rows)
    frames = np.arange(len(found))
    columns = np.stack([np.interp(frames, at, table[:, column]) for column in range(5)], axis=1)
    return FaceTrack(rate_hz, columns[:, :3].astype(np.float32), columns[:, 3], columns[:, 4], seen)


def lip_figures(opening: Curve, width: Curve, rate_hz: float, clip: LipClip) -> list[Metric]:
    """Agreement of predicted or tracked lips with a measured speaker; both start at the same moment."""
    opening_r, lag_s = sync.best_lag(opening, rate_hz, _bridged(clip.opening), clip.rate_hz)
    width_r, _ = sync.best_lag(width, rate_hz, _bridged(clip.width), clip.rate_hz)
    closure = sync.closure_accuracy(opening, rate_hz, _bridged(clip.opening), clip.rate_hz, lag_s)
    return [
        Metric("opening_r", opening_r, "", "higher", "Pearson r of the mouth opening with the speaker's, at its lag"),
        Metric("opening_lag", 1000.0 * lag_s, "ms", "", "how late the mouth is; median of clips", "median"),
        Metric("width_r", width_r, "", "higher", "Pearson r of the mouth width with the speaker's, at its best lag"),
        Metric("closures", 100.0 * closure, "%", "higher", "of the speaker's closed lips, how many are closed"),
    ]


def motion_figures(rotation: NDArray[np.float32], rate_hz: float, speech: Speech | None) -> list[Metric]:
    """Diversity, beat alignment and jitter of head rotation (T, 3) in radians, against the sound where there is one."""
    at_25 = _at_rate(rotation, rate_hz, FRAME_RATE_HZ)
    alignment = None
    if speech is not None:
        from sadtalker_ext.audio.prosody import read_prosody

        beats = motion.speech_beats(read_prosody(speech.blocks(), len(at_25)).emphasis)
        alignment = motion.beat_alignment(beats, motion.kinematic_beats(at_25))
    return [
        Metric("head_diversity", motion.diversity_deg(at_25), "deg", "higher", "standard deviation of the head angles"),
        Metric("head_beats", alignment, "", "higher", "beat align score of head and stressed syllables, 0 to 1"),
        Metric("head_jitter", motion.jitter_deg_per_s3(at_25), "deg/s3", "lower", "root mean square of the jerk"),
        Metric("head_fast", 100 * motion.fast_share(at_25), "%", "lower", "share of head movement above 5 Hz"),
    ]


def picture_figures(path: Path, reference: Path | None = None) -> list[Metric]:
    """Sharpness of a video and, with a reference of the same size and timing, its likeness to that."""
    from sadtalker_ext.video.read import probe, read_frames

    rate_hz = probe(path).rate_hz
    others: Iterator[Frame | None] = iter(()) if reference is None else read_frames(reference, rate_hz)
    rows: list[tuple[float, float, float]] = []
    for index, (frame, other) in enumerate(zip_longest(read_frames(path), others)):
        if frame is None:
            break
        if index % PICTURE_EVERY == 0:
            likeness = (image.psnr_db(frame, other), image.ssim(frame, other)) if other is not None else (np.nan,) * 2
            rows.append((image.cpbd(frame), *likeness))
    sharpness, psnr, ssim = (np.array(column) for column in zip(*rows, strict=True))
    figures = [Metric("cpbd", float(sharpness.mean()), "", "higher", "sharpness (Narvekar and Karam 2011), 0 to 1")]
    if reference is not None:
        figures.append(Metric("psnr", float(np.nanmean(psnr)), "dB", "higher", "likeness to the reference"))
        figures.append(Metric("ssim", float(np.nanmean(ssim)), "", "higher", "likeness to the reference, up to 1"))
    return figures


def network_figures(path: Path, reference: Path, fid_network: Path | None, csim_network: Path | None) -> list[Metric]:
    """FID and CSIM of a video against a reference, with the networks that the user names; refuses missing files."""
    from sadtalker_ext.video.read import read_frames

    figures = []
    if fid_network is not None:
        network = image.open_network(fid_network, "FID")
        found = [image.network_features(network, read_frames(one), 299, 0.0) for one in (path, reference)]
        distance = image.frechet_distance(*found)
        figures.append(Metric("fid", distance, "", "lower", "Frechet distance of the user's Inception features"))
    if csim_network is not None:
        network = image.open_network(csim_network, "CSIM")
        found = [image.network_features(network, _faces_of(one), 112, -1.0) for one in (path, reference)]
        likeness = image.cosine_similarity(*found)
        figures.append(Metric("csim", likeness, "", "higher", "cosine of the user's identity features"))
    return figures


def video_figures(path: Path, reference: Path | None = None, clip: LipClip | None = None) -> list[Metric]:
    """Everything that needs no further network: lips against a measured speaker, head motion, pictures."""
    from sadtalker_ext.audio.speech import open_speech
    from sadtalker_ext.video.read import probe

    track = track_video(path)
    figures = [] if clip is None else lip_figures(track.opening, track.width, track.rate_hz, clip)
    speech = open_speech(path) if probe(path).has_audio else None
    figures += motion_figures(track.rotation, track.rate_hz, speech)
    figures.append(Metric("face_seen", 100.0 * track.seen, "%", "higher", "frames in which the tracker finds the face"))
    return figures + picture_figures(path, reference)


def _faces_of(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Upright squares around the face of every twelfth frame that shows one."""
    from sadtalker_ext.faces.find import track_faces
    from sadtalker_ext.video.read import read_frames

    frames = [frame for index, frame in enumerate(read_frames(path)) if index % PICTURE_EVERY == 0]
    for frame, face in zip(frames, track_faces(frames), strict=True):
        if face is not None:
            box = face.box
            side = round(1.2 * max(box.width, box.height))
            left, top = (round(box.x + (box.width - side) / 2), round(box.y + (box.height - side) / 2))
            yield np.ascontiguousarray(frame[max(0, top) : top + side, max(0, left) : left + side])


def _at_rate(values: NDArray[np.float32], rate_hz: float, wanted_hz: float) -> NDArray[np.float32]:
    if rate_hz == wanted_hz:
        return values
    at = np.arange(int(len(values) * wanted_hz / rate_hz)) * rate_hz / wanted_hz
    columns = [np.interp(at, np.arange(len(values)), column) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _numbers(values: Sequence[float | None]) -> Curve:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _bridged(curve: Curve) -> Curve:
    good = np.flatnonzero(np.isfinite(curve))
    if len(good) == 0:
        return np.zeros(len(curve))
    return np.interp(np.arange(len(curve)), good, curve[good])
