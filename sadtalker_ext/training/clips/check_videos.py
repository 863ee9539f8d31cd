"""Check of videos before they are prepared: readable, frame rate, sound, lengths, sound and picture apart, motion."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.constants import SAMPLES_PER_FRAME
from sadtalker_ext.errors import FaceError, MediaError
from sadtalker_ext.training.clips.check_duplicates import VideoCopies
from sadtalker_ext.training.clips.check_lips import check_lips, gap_finding, sound_gap
from sadtalker_ext.training.clips.check_motion import (
    DEAD_OPENING,
    MAX_REPEATED_SHARE,
    MIN_ACTIVE_SHARE,
    OPENING_LIMITS,
    ROUGHNESS,
    active_share,
    check_brightness,
    flicker,
    no_motion,
    repeated_finding,
    roughness,
    silent,
)
from sadtalker_ext.training.clips.check_report import CheckReport, Finding, merge
from sadtalker_ext.training.clips.check_speakers import check_speakers
from sadtalker_ext.training.clips.check_sync import MIN_FRAMES, LipPair
from sadtalker_ext.training.clips.check_tracking import track_video
from sadtalker_ext.training.clips.prepare_sources import find_videos
from sadtalker_ext.video.read import probe
from sadtalker_ext.video.stream_start import align_sound, sound_delay_s

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.arrays import Float64Array, Samples
    from sadtalker_ext.engines.starter.lip_curves import LipCurves
    from sadtalker_ext.training.clips.check_tracking import VideoTrack
    from sadtalker_ext.training.clips.prepare_sources import Video

log = logging.getLogger(__name__)

SECONDS: Final = 10.0
"""Length from the start of each video that is checked."""
MIN_RATE_HZ: Final = 23.9
"""Slower videos would have repeated frames; faster ones are converted without harm."""
MAX_LENGTH_GAP_S: Final = 0.5
"""Difference of the lengths of sound and picture of a file; encoders add up to 0.1 s."""
MIN_DETECTED_SHARE: Final = 0.5
LARGE_FACE_PX: Final = 110.0
LARGE_FACE_ROUGHNESS: Final = 1.4
LARGE_FACE_OPENING: Final = 0.05
"""Height of a face whose lips are tracked so well that less than :data:`~.check_motion.ROUGHNESS` and
:data:`~.check_motion.OPENING_LIMITS` counts: frames in a wrong order have 1.4 to 2, tracked lips of speakers 1.0."""


def check_videos(folder: Path, sample: int) -> CheckReport:
    """Check the videos of a folder as ``train prepare`` would read them. sample: number of videos; 0 checks all."""
    from sadtalker_ext.engines.starter.lip_curves import open_lip_curves

    videos = find_videos([folder])
    chosen = videos[:: 1 if sample == 0 else max(1, len(videos) // sample)]
    findings: list[Finding] = []
    pairs: list[LipPair] = []
    check = _VideoCheck(open_lip_curves())
    for video in chosen:
        name = str(video.path.relative_to(folder))
        try:
            found, pair = check.run(name, video)
        except (MediaError, FaceError) as error:
            found, pair = [unusable(name, str(error))], None
        findings += found
        pairs += [pair] if pair is not None else []
        log.info("%s: %s", name, ", ".join(finding.check for finding in found) or "good")
    frames: dict[str, int] = {}
    for video in videos:
        frames[video.identity] = frames.get(video.identity, 0) + 1
    findings += [*check_lips(pairs), *check_speakers(frames, "videos")]
    summary = {"videos": len(videos), "speakers": len(frames), "checked": len(chosen), "compared": len(pairs)}
    return CheckReport(summary, tuple(merge(findings)))


def unusable(place: str, reason: str) -> Finding:
    """Return the finding for a video that cannot be read."""
    return Finding(
        "damaged", "videos cannot be used", "convert these videos to MP4 again from the originals, or remove them",
        {place: reason},
    )  # fmt: skip


def faceless(place: str, share: float) -> Finding:
    """Return the finding for a video in which a face is seen in too small a share of the frames."""
    return Finding(
        "framing", "no face is seen, or too rarely",
        "use videos that show one face from the front most of the time",
        {place: f"a face is seen in {100 * share:.0f} % of the frames"},
    )  # fmt: skip


@dataclass
class _VideoCheck:
    """Checks of single videos. copies: the videos so far."""

    curves: LipCurves
    copies: VideoCopies = field(default_factory=VideoCopies)

    def run(self, name: str, video: Video) -> tuple[list[Finding], LipPair | None]:
        """Return the problems of a video, and its lips if they can be compared with the sound."""
        info = probe(video.path)
        found = []
        if info.rate_hz < MIN_RATE_HZ:
            found.append(slow(name, info.rate_hz))
        if not info.has_audio:
            return [*found, silent(name, "no sound")], None
        speech = open_speech(video.path, "video")
        if info.duration_s is not None and abs(info.duration_s - speech.duration_s) > MAX_LENGTH_GAP_S:
            found.append(damaged_length(name, info.duration_s, speech.duration_s))
        samples = align_sound(next(speech.blocks(SECONDS)), sound_delay_s(video.path))
        track = track_video(video.path, SECONDS)
        if track.seen < MIN_DETECTED_SHARE or len(track.lips) < MIN_FRAMES:
            return [*found, faceless(name, track.seen)], None
        found += self.copies.add(name, samples, track.lips[:, 0])
        found += [*check_framing(name, track), *check_brightness(name, track.brightness)]
        if info.rate_hz >= MIN_RATE_HZ and track.repeated > MAX_REPEATED_SHARE:
            found.append(repeated_finding(name, track.repeated))
        active = active_share(samples)
        if active < MIN_ACTIVE_SHARE:
            return [*found, silent(name, f"sound in {100 * active:.0f} % of the frames")], None
        motion = _check_lip_motion(name, track.lips)
        gap = "" if motion else sound_gap(samples, track.lips[:, 0])
        found += [*motion, *([gap_finding(name, gap)] if gap else [])]
        return found, None if motion or gap else _pair(name, track.lips[:, :2], samples, self.curves)


def _check_lip_motion(name: str, lips: Float64Array) -> list[Finding]:
    """Return the finding for lips (T, 3) that do not move or flicker."""
    if lips[:, 0].std() < DEAD_OPENING:
        return [no_motion(name, f"the lip gap varies by {lips[:, 0].std():.4f} eye distances")]
    rough = flickering_lips(lips)
    return [flicker(name, f"lip gap: {rough}")] if rough else []


def check_framing(name: str, track: VideoTrack) -> list[Finding]:
    """Return the findings for faces that the border cuts, and for several faces."""
    found = []
    if track.cut > MIN_DETECTED_SHARE:
        found.append(badly_framed(name, f"the border cuts the face in {100 * track.cut:.0f} % of the frames"))
    if track.similar_faces > MIN_DETECTED_SHARE:
        found.append(badly_framed(name, "two faces of about the same size"))
    return found


def badly_framed(place: str, measured: str) -> Finding:
    """Return the finding for a video that does not show one whole face."""
    return Finding(
        "framing", "the picture does not show one whole face",
        "cut the picture so that it shows the whole face of the speaker and no other; train prepare leaves such frames "
        "out",
        {place: measured},
    )  # fmt: skip


def flickering_lips(lips: Float64Array) -> str:
    """Return how the lips (T, 3) of :func:`_lips` flicker; empty if they do not."""
    rough, size = roughness(lips[:, :1])
    large = float(np.median(lips[:, 2])) >= LARGE_FACE_PX
    limit, least = (LARGE_FACE_ROUGHNESS, LARGE_FACE_OPENING) if large else (ROUGHNESS, OPENING_LIMITS[0])
    flickers = size > OPENING_LIMITS[1] or (rough > limit and size > least)
    return f"roughness {rough:.1f}, {size:.2f} from frame to frame" if flickers else ""


def slow(place: str, rate_hz: float) -> Finding:
    """Return the finding for a video with fewer frames than needed."""
    return Finding(
        "frame_rate", "the frame rate is below 24, so prepared clips would have repeated frames",
        "use recordings of 25 frames per second or more; interpolated frames do not help",
        {place: f"{rate_hz:.4g} per second"},
    )  # fmt: skip


def damaged_length(place: str, picture_s: float, sound_s: float) -> Finding:
    """Return the finding for a video whose sound and picture have different lengths."""
    return Finding(
        "sync", "sound and picture have different lengths",
        "cut the videos again from the originals with both streams (ffmpeg -ss START -i ORIGINAL -t SECONDS, without "
        "-c copy), so that they start and end together",
        {place: f"file {picture_s:.2f} s, sound {sound_s:.2f} s"},
    )  # fmt: skip


def _pair(name: str, lips: Float64Array, samples: Samples, curves: LipCurves) -> LipPair:
    frames = min(len(lips), len(samples) // SAMPLES_PER_FRAME)
    track = curves.predict(iter([samples]), frames)
    return LipPair(name, name, lips[:frames], track.lips.astype(np.float64), float((track.voice > 0).mean()))
