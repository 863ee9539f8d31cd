"""Conversion of one video into clips: a fixed face box per clip, images, landmarks, coefficients, sound and mel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.audio.mel import mel_spectrogram
from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.constants import FRAME_RATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sadtalker_ext.engines.sadtalker.framing import MODES, frame_portrait
from sadtalker_ext.errors import FaceError, MediaError
from sadtalker_ext.geometry.five_point_alignment import align_transform, flip_y
from sadtalker_ext.geometry.landmarks import Landmarks, subset_68
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.training.clips.dataset import Clip, encode_image
from sadtalker_ext.training.clips.prepare_motion import ClipData, measure_motion
from sadtalker_ext.training.clips.prepare_report import VideoReport
from sadtalker_ext.training.clips.prepare_sources import held_out
from sadtalker_ext.training.clips.prepare_tracking import (
    LEAVES,
    SHORT,
    cut_clips,
    lost_frames,
    track_video,
    usable_intervals,
)
from sadtalker_ext.training.clips.puppet_fit import PuppetFitter, find_neutral
from sadtalker_ext.training.clips.sound_samples import from_int16, to_int16
from sadtalker_ext.video.read import probe, read_frames
from sadtalker_ext.video.stream_start import align_sound, sound_delay_s

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Image
    from sadtalker_ext.geometry.crop import Box
    from sadtalker_ext.training.clips.prepare_plan import PreparePlan
    from sadtalker_ext.training.clips.prepare_sources import Video
    from sadtalker_ext.training.clips.prepare_tracking import FaceTrack

NO_SOUND: Final = "the sound ends before the picture"
SILENT_PEAK: Final = 0.003
"""Sound with a lower peak (full scale 1) counts as silent."""
MAX_OUTSIDE_SHARE: Final = 0.02
"""Part of the landmarks of a clip that may be outside its box."""
NEUTRAL_FRAMES: Final = 500
"""The neutral face is searched for in about this many frames, evenly distributed."""
MAX_MISSING_SOUND_S: Final = 0.1


@dataclass(frozen=True)
class Span:
    """Position of one clip in a video.

    start, end: frames, end exclusive. box: face box in pixels of the video. landmarks68: (T, 68, 2) in pixels of the
    clip. crop: (3,) crop values of the coefficients.
    """

    start: int
    end: int
    box: Box
    landmarks68: Float32Array
    crop: Float32Array

    @property
    def sound(self) -> slice:
        """Samples of the clip in the sound of the video."""
        return slice(self.start * SAMPLES_PER_FRAME, self.end * SAMPLES_PER_FRAME)


def extract_clips(video: Video, plan: PreparePlan, report: VideoReport) -> Iterator[tuple[Clip, bool]]:
    """Yield the clips of a video and whether each is held out; ``report`` is updated meanwhile.

    Raises MediaError or FaceError if the video cannot be used at all.
    """
    sound = _read_sound(video.path)
    with closing(read_frames(video.path, FRAME_RATE_HZ)) as frames:
        track = track_video(frames, plan.size_px)
    report.seconds = round(len(track) / FRAME_RATE_HZ, 2)
    for reason, count in lost_frames(track).items():
        report.add_lost(reason, count)
    for reason in track.breaks.values():
        report.cuts[reason] = report.cuts.get(reason, 0) + 1
    spans = find_spans(track, plan, len(sound), report)
    if not spans:
        return
    meshes = np.stack([mesh for span in spans for mesh in _meshes(track, span)])
    fitter = PuppetFitter(find_neutral(meshes[:: max(1, len(meshes) // NEUTRAL_FRAMES)]))
    images_of_spans = _read_images(video.path, spans, plan.size_px)
    for number, (span, images) in enumerate(zip(spans, images_of_spans, strict=True)):
        name = f"{video.identity}-{video.number:06d}-{number:04d}"
        samples = sound[span.sound]
        mel = np.ascontiguousarray(mel_spectrogram(from_int16(samples)).T)
        data = ClipData(images, np.stack(_meshes(track, span)), span.landmarks68, span.crop, mel)
        coefficients, lips, lids = measure_motion(data, fitter, plan)
        report.clips, report.used_s = report.clips + 1, round(report.used_s + len(images) / FRAME_RATE_HZ, 2)
        clip = Clip(
            name, video.identity, tuple(map(encode_image, images)), coefficients, lips, lids, span.landmarks68, mel,
            samples, f"{video.path.name} from {span.start / FRAME_RATE_HZ:.2f} s",
        )  # fmt: skip
        yield clip, held_out(video, number, len(spans))


def find_spans(track: FaceTrack, plan: PreparePlan, samples: int, report: VideoReport) -> list[Span]:
    """Return the usable clips of a tracked video; excluded frames are added to the report.

    samples: number of samples of the sound.
    """
    spans = []
    shortest, longest = round(plan.shortest_s * FRAME_RATE_HZ), round(plan.longest_s * FRAME_RATE_HZ)
    for first, last in usable_intervals(track):
        parts = cut_clips(first, last, shortest, longest)
        report.add_lost(SHORT, last - first - sum(end - start for start, end in parts))
        for start, end in parts:
            span = frame_span(track, start, end, plan.size_px)
            outside = np.any((span.landmarks68 < 0) | (span.landmarks68 > plan.size_px), axis=2)
            if np.mean(outside) > MAX_OUTSIDE_SHARE:
                report.add_lost(LEAVES, end - start)
            elif samples < span.sound.stop - MAX_MISSING_SOUND_S * SAMPLE_RATE_HZ:
                report.add_lost(NO_SOUND, end - start)
            else:
                spans.append(span)
    return spans


def frame_span(track: FaceTrack, start: int, end: int, size_px: int) -> Span:
    """Return a clip with the face box that the engine selects for the median of its landmarks."""
    meshes = np.stack(track.meshes[start:end])  # type: ignore[arg-type]  # every frame of the interval has a face
    median = Landmarks.from_mesh(np.median(meshes, axis=0), "track")
    empty = np.broadcast_to(np.uint8(0), (*track.shape, 3))
    framing = frame_portrait(Portrait(empty, median), MODES["full"], size_px)
    box = framing.box
    scale = np.array([size_px / box.width, size_px / box.height])
    points = np.stack([(subset_68(mesh) - [box.left, box.top]) * scale for mesh in meshes]).astype(np.float32)
    transform = align_transform(flip_y(framing.landmarks68, size_px), size_px, size_px)
    crop = np.array([transform.scale, transform.x_px, transform.y_px], np.float32)
    return Span(start, end, box, points, crop)


def _read_sound(path: Path) -> NDArray[np.int16]:
    """Return the whole sound (N,) at 16 kHz from the first picture on, wherever the file says that it starts.

    Raises MediaError if there is none or if it is silent.
    """
    if not probe(path).has_audio:
        raise MediaError(f"{path} has no sound in it; only videos with speech are usable")
    speech = open_speech(path)
    if speech.peak < SILENT_PEAK:
        raise MediaError(f"The sound of {path} is silent; only videos with speech are usable")
    return align_sound(np.concatenate([to_int16(block) for block in speech.blocks()]), sound_delay_s(path))


def _meshes(track: FaceTrack, span: Span) -> list[Float32Array]:
    return [mesh for mesh in track.meshes[span.start : span.end] if mesh is not None]


def _read_images(path: Path, spans: list[Span], size_px: int) -> Iterator[list[Image]]:
    """Yield the images of each clip; the video is decoded a second time, and one clip at a time is in memory."""
    import cv2

    with closing(read_frames(path, FRAME_RATE_HZ)) as frames:
        numbered = enumerate(frames)
        for span in spans:
            box, images = span.box, []
            interpolation = cv2.INTER_AREA if min(box.width, box.height) > size_px else cv2.INTER_LINEAR
            for number, frame in numbered:
                if number >= span.start:
                    cut = frame[box.top : box.bottom, box.left : box.right]
                    resized = cv2.resize(cut, (size_px, size_px), interpolation=interpolation)
                    images.append(np.asarray(resized, np.uint8))
                if number == span.end - 1:
                    break
            if len(images) != span.end - span.start:
                raise MediaError(f"{path} has a different number of frames when it is read again. Convert it to MP4.")
            yield images


def convert_video(video: Video, plan: PreparePlan) -> Iterator[tuple[Clip, bool] | VideoReport]:
    """Yield the clips of a video and then its report; an unusable video yields only the report."""
    report = VideoReport(str(video.path), video.identity)
    try:
        yield from extract_clips(video, plan, report)
    except (MediaError, FaceError) as error:
        report.error = str(error)
    yield report
