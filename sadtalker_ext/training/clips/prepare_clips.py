"""From a video to clips: one steady box each, pictures, landmarks, coefficients, lids, sound and mel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.audio.mel import mel_spectrogram
from sadtalker_ext.audio.speech import SAMPLE_RATE_HZ, open_speech
from sadtalker_ext.engines.sadtalker.framing import MODES, frame_portrait
from sadtalker_ext.errors import FaceError, MediaError
from sadtalker_ext.geometry.five_point_alignment import align_transform, flip_y
from sadtalker_ext.geometry.landmarks import Landmarks, subset_68
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.training.clips.dataset import Clip, encode_picture
from sadtalker_ext.training.clips.prepare_motion import Shown, read_motion
from sadtalker_ext.training.clips.prepare_sources import held_out
from sadtalker_ext.training.clips.prepare_tracking import (
    LEAVES,
    SHORT,
    cut_clips,
    lost_frames,
    stretches,
    track_video,
)
from sadtalker_ext.training.clips.puppet_fit import PuppetReader, find_neutral
from sadtalker_ext.video.read import probe, read_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.geometry.crop import Box
    from sadtalker_ext.training.clips.prepare_sources import Video
    from sadtalker_ext.training.clips.prepare_tracking import FaceTrack

    Floats = NDArray[np.float32]
    Picture = NDArray[np.uint8]

RATE_HZ: Final = 25
NO_SOUND: Final = "the sound ends before the picture"
SILENT_PEAK: Final = 0.003
MOST_OUTSIDE: Final = 0.02
"""Part of a clip's landmarks that may lie outside its box."""
NEUTRAL_FRAMES: Final = 500
"""A neutral face is looked for in about so many frames, evenly spread."""
MISSING_S: Final = 0.1


@dataclass(frozen=True)
class PreparePlan:
    """size_px: side of the pictures. shortest_s, longest_s: of a clip. coefficients: "bfm" or "puppet".
    folders: where the checkpoint of FaceRecon is. wav2lip: the file that renders lips anew, or None for measured ones.
    """

    size_px: int = 256
    shortest_s: float = 2.0
    longest_s: float = 4.0
    coefficients: str = "puppet"
    folders: tuple[Path, ...] = ()
    wav2lip: Path | None = None


@dataclass
class VideoReport:
    """What became of a video. lost_s: seconds that cannot be used, by reason. error: why nothing could be read."""

    path: str
    identity: str
    seconds: float = 0.0
    clips: int = 0
    used_s: float = 0.0
    lost_s: dict[str, float] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    error: str = ""

    def lose(self, reason: str, frames: int) -> None:
        """Count frames that cannot be used."""
        if frames:
            self.lost_s[reason] = round(self.lost_s.get(reason, 0.0) + frames / RATE_HZ, 2)


@dataclass(frozen=True)
class Span:
    """One clip to cut. landmarks68: (T, 68, 2) in the square; crop: (3,), see clips.Clip; box in the frames."""

    start: int
    end: int
    box: Box
    landmarks68: Floats
    crop: Floats

    @property
    def sound(self) -> slice:
        """Its samples."""
        return slice(self.start * SAMPLE_RATE_HZ // RATE_HZ, self.end * SAMPLE_RATE_HZ // RATE_HZ)


def clips_of(video: Video, plan: PreparePlan, report: VideoReport) -> Iterator[tuple[Clip, bool]]:
    """The clips of a video and whether each is held out; the report is filled on the way.

    MediaError or FaceError where the video cannot be used at all.
    """
    sound = _sound(video.path)
    with closing(read_frames(video.path, RATE_HZ)) as frames:
        track = track_video(frames, plan.size_px)
    report.seconds = round(len(track) / RATE_HZ, 2)
    for reason, count in lost_frames(track).items():
        report.lose(reason, count)
    for reason in track.breaks.values():
        report.cuts[reason] = report.cuts.get(reason, 0) + 1
    spans = find_spans(track, plan, len(sound), report)
    if not spans:
        return
    meshes = np.stack([mesh for span in spans for mesh in _meshes(track, span)])
    reader = PuppetReader(find_neutral(meshes[:: max(1, len(meshes) // NEUTRAL_FRAMES)]))
    cut = _cut_pictures(video.path, spans, plan.size_px)
    for number, (span, pictures) in enumerate(zip(spans, cut, strict=True)):
        name = f"{video.identity}-{video.number:06d}-{number:04d}"
        heard = sound[span.sound]
        mel = np.ascontiguousarray(mel_spectrogram(heard / np.float32(32768)).T)
        shown = Shown(pictures, np.stack(_meshes(track, span)), span.landmarks68, span.crop, mel)
        coefficients, lips, lids = read_motion(shown, reader, plan)
        report.clips, report.used_s = report.clips + 1, round(report.used_s + len(pictures) / RATE_HZ, 2)
        clip = Clip(
            name, video.identity, tuple(map(encode_picture, pictures)), coefficients, lips, lids, span.landmarks68, mel,
            heard, f"{video.path.name} from {span.start / RATE_HZ:.2f} s",
        )  # fmt: skip
        yield clip, held_out(video, number, len(spans))


def find_spans(track: FaceTrack, plan: PreparePlan, samples: int, report: VideoReport) -> list[Span]:
    """The clips that a tracked video gives; what is left out is reported."""
    spans = []
    shortest, longest = round(plan.shortest_s * RATE_HZ), round(plan.longest_s * RATE_HZ)
    for first, last in stretches(track):
        parts = cut_clips(first, last, shortest, longest)
        report.lose(SHORT, last - first - sum(end - start for start, end in parts))
        for start, end in parts:
            span = frame_span(track, start, end, plan.size_px)
            outside = np.any((span.landmarks68 < 0) | (span.landmarks68 > plan.size_px), axis=2)
            if np.mean(outside) > MOST_OUTSIDE:
                report.lose(LEAVES, end - start)
            elif samples < span.sound.stop - MISSING_S * SAMPLE_RATE_HZ:
                report.lose(NO_SOUND, end - start)
            else:
                spans.append(span)
    return spans


def frame_span(track: FaceTrack, start: int, end: int, size_px: int) -> Span:
    """The box of a clip, the engine's own for the median of its landmarks, and the landmarks in it."""
    meshes = np.stack(track.meshes[start:end])  # type: ignore[arg-type]  # there is a face in every frame
    typical = Landmarks.from_mesh(np.median(meshes, axis=0), "track")
    empty = np.broadcast_to(np.uint8(0), (*track.shape, 3))
    framing = frame_portrait(Portrait(empty, typical), MODES["full"], size_px)
    box = framing.box
    scale = np.array([size_px / box.width, size_px / box.height])
    points = np.stack([(subset_68(mesh) - [box.left, box.top]) * scale for mesh in meshes]).astype(np.float32)
    transform = align_transform(flip_y(framing.landmarks68, size_px), size_px, size_px)
    crop = np.array([transform.scale, transform.x_px, transform.y_px], np.float32)
    return Span(start, end, box, points, crop)


def _sound(path: Path) -> NDArray[np.int16]:
    """The whole sound, (N,) at 16 kHz; MediaError where there is none or nothing is heard."""
    if not probe(path).has_audio:
        raise MediaError(f"{path} has no sound in it: nothing can be learnt from its lips")
    speech = open_speech(path)
    if speech.peak < SILENT_PEAK:
        raise MediaError(f"The sound of {path} is silent: nothing can be learnt from its lips")
    parts = [np.round(np.clip(block, -1, 1) * 32767).astype(np.int16) for block in speech.blocks()]
    return np.concatenate(parts)


def _meshes(track: FaceTrack, span: Span) -> list[Floats]:
    return [mesh for mesh in track.meshes[span.start : span.end] if mesh is not None]


def _cut_pictures(path: Path, spans: list[Span], size_px: int) -> Iterator[list[Picture]]:
    """The pictures of each clip; the video is decoded once more, and one clip is held at a time."""
    import cv2

    with closing(read_frames(path, RATE_HZ)) as frames:
        numbered = enumerate(frames)
        for span in spans:
            box, pictures = span.box, []
            how = cv2.INTER_AREA if min(box.width, box.height) > size_px else cv2.INTER_LINEAR
            for number, frame in numbered:
                if number >= span.start:
                    cut = frame[box.top : box.bottom, box.left : box.right]
                    pictures.append(np.asarray(cv2.resize(cut, (size_px, size_px), interpolation=how), np.uint8))
                if number == span.end - 1:
                    break
            if len(pictures) != span.end - span.start:
                raise MediaError(f"{path} gave other frames when it was read again: convert it to MP4")
            yield pictures


def read_video(video: Video, plan: PreparePlan) -> Iterator[tuple[Clip, bool] | VideoReport]:
    """The clips of a video and, last, its report; a video that cannot be used gives only the report."""
    report = VideoReport(str(video.path), video.identity)
    try:
        yield from clips_of(video, plan, report)
    except (MediaError, FaceError) as error:
        report.error = str(error)
    yield report
