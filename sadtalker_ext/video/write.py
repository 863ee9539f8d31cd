"""Writing of MP4 files: one ffmpeg process reads converted frames from a pipe and audio from its file.

The video is H.264 yuv420p with BT.709 colours and AAC audio. The index is at the start, so browsers play the file while
it loads. The file is written under a temporary name (:mod:`~sadtalker_ext.system.atomic_output`) and renamed when it is
complete; nothing remains after an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path

from sadtalker_ext.arrays import Frame
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, file_argument, file_input
from sadtalker_ext.sound_source import SoundSource
from sadtalker_ext.system.atomic_output import AtomicOutput, write_failure
from sadtalker_ext.video.audio_track import AudioTrack, open_audio_track
from sadtalker_ext.video.metadata import metadata_arguments, needs_custom_tags
from sadtalker_ext.video.yuv_frames import YuvFrames

SUFFIX = ".mp4"
QUALITIES: Mapping[str, tuple[str, str]] = {
    "small": ("veryfast", "25"),
    "good": ("veryfast", "18"),
    "best": ("medium", "13"),
}
"""Preset and constant rate factor of x264 (lower is better; 18 is considered visually lossless)."""
COLOURS = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "color_range": "tv"}
"""What the file says about the colours of :class:`~sadtalker_ext.video.yuv_frames.YuvFrames`; without it, players would
shift them."""


@dataclass(frozen=True)
class VideoSpec:
    """Parameters of a video.

    rate_hz: frame rate. frame_count: number of frames; required with ``audio``, which is cut or padded to this length.
    audio: file, or sound of a file, that is included with its sample rate and channels; None for a silent video.
    late_audio: file of the sound in place of ``audio``, which is complete only when the last frame has been given; the
        video is encoded first, and joined with the sound in a second file.
    quality: "small", "good" or "best". metadata: text tags. threads: encoder threads; 0 is one per core.
    """

    rate_hz: float = 25.0
    frame_count: int | None = None
    audio: Path | SoundSource | None = None
    late_audio: Path | None = None
    quality: str = "good"
    metadata: Mapping[str, str] = field(default_factory=dict)
    threads: int = 0


@dataclass(frozen=True)
class WriteReport:
    """The finished video: path, width and height in pixels (even), number of frames, duration and file size."""

    path: Path
    width: int
    height: int
    frames: int
    duration_s: float
    size_bytes: int


def write_video(frames: Iterable[Frame], path: str | Path, spec: VideoSpec) -> WriteReport:
    """Write frames (H, W, 3) uint8 RGB of one size to ``path``, which must end in .mp4; creates its folder.

    Odd sizes are made even by repeating the last row or column, as yuv420p requires. MediaError if the path or the
    audio is unusable or the disk is full; errors of ``frames`` are passed on.
    """
    if spec.quality not in QUALITIES:
        raise MediaError(f"The video quality {spec.quality!r} is unknown: choose one of {', '.join(QUALITIES)}")
    target = Path(path)
    sound = SoundSource(spec.audio) if isinstance(spec.audio, Path) else spec.audio
    check_output_path(target, () if sound is None else (sound.path,))
    audio = _audio_track(sound, spec)
    _make_folder(target)
    ref = FileRef("output", target)
    with AtomicOutput(target) as output:
        source = iter(frames)
        first = next(source, None)
        if first is None:
            raise MediaError("The ", ref, " got no frames: give at least one")
        feed = _FrameFeed(first)
        given = chain([first], source)
        count = (_encode if spec.late_audio is None else _encode_then_join)(feed, given, output, spec, audio)
        if spec.frame_count not in (None, count):
            raise MediaError("The ", ref, f" got {count} frames where {spec.frame_count} were announced")
        size_bytes = output.path.stat().st_size
    return WriteReport(target, feed.width, feed.height, count, count / spec.rate_hz, size_bytes)


def _encode(feed: _FrameFeed, frames: Iterable[Frame], output: AtomicOutput, spec: VideoSpec, audio: AudioTrack) -> int:
    """Encode frames into the temporary file of an output; return their number."""
    ref, tags = FileRef("output", output.target), metadata_arguments(spec.metadata)
    video, container = [*_frame_input(feed, spec), *audio.inputs], _container_options(spec)
    arguments = [*video, *_encoder_options(spec), *audio.outputs, *tags, *container, file_argument(output.path)]
    with Ffmpeg(arguments, ("Writing the ", ref), feed=True, output=output.path) as process:
        return feed.run(process, frames, ref)


def _encode_then_join(
    feed: _FrameFeed, frames: Iterable[Frame], output: AtomicOutput, spec: VideoSpec, silent_track: AudioTrack
) -> int:
    """Encode frames without sound into a separate file, then join them with the sound, which is complete by then."""
    assert spec.late_audio is not None  # noqa: S101 - called with it only
    ref, tags = FileRef("output", output.target), metadata_arguments(spec.metadata)
    silent = AtomicOutput(output.target)
    try:
        count = _encode(feed, frames, silent, spec, silent_track)
        audio = open_audio_track(SoundSource(spec.late_audio), count / spec.rate_hz)
        video = ["-v", "error", "-y", *file_input(silent.path), *audio.inputs, "-map", "0:v:0", "-c:v", "copy"]
        arguments = [*video, *audio.outputs, *tags, *_container_options(spec), file_argument(output.path)]
        with Ffmpeg(arguments, ("Writing the ", ref), output=output.path) as process:
            if process.finish() != 0:
                raise _failure(ref, process.last_message())
    finally:
        silent.discard()
    return count


def check_output_path(target: Path, inputs: tuple[Path, ...], suffixes: tuple[str, ...] = (SUFFIX,)) -> None:
    """Raise MediaError if ``target`` is a folder, does not end in one of ``suffixes``, or is one of the inputs."""
    ref = FileRef("output", target)
    if os.path.isdir(target):  # unlike Path.is_dir, no error for a name that is too long
        raise MediaError("The ", ref, f" is a folder: name a file in it, such as talking{suffixes[0]}")
    if target.suffix.lower() not in suffixes:
        named = f"{target.stem or 'talking'}{suffixes[0]}"
        raise MediaError("The ", ref, f" does not end in {' or '.join(suffixes)}: name it {named}")
    for source in inputs:
        if os.path.exists(target) and os.path.exists(source) and target.samefile(source):
            raise MediaError("The ", ref, " is also an input and would overwrite it: choose another name")


def _make_folder(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as e:
        raise write_failure(target, e) from e


def _audio_track(sound: SoundSource | None, spec: VideoSpec) -> AudioTrack:
    if sound is None:
        return AudioTrack()
    if spec.frame_count is None:
        raise ValueError("frame_count is required to fit the audio to the video")
    return open_audio_track(sound, spec.frame_count / spec.rate_hz)


def _frame_input(feed: _FrameFeed, spec: VideoSpec) -> list[str]:
    rate = Fraction(spec.rate_hz).limit_denominator(1001)
    size = f"{feed.width}x{feed.height}"
    colours = [part for key, value in COLOURS.items() for part in (f"-{key}", value)]
    source = ["-protocol_whitelist", "pipe", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", str(rate)]
    return ["-v", "error", "-y", *source, *colours, "-i", "pipe:0"]


def _encoder_options(spec: VideoSpec) -> list[str]:
    preset, factor = QUALITIES[spec.quality]
    encoder = ["-c:v", "libx264", "-preset", preset, "-crf", factor, "-threads", str(spec.threads)]
    return ["-map", "0:v:0", "-pix_fmt", "yuv420p", *encoder]


def _container_options(spec: VideoSpec) -> list[str]:
    custom = "+use_metadata_tags" if needs_custom_tags(spec.metadata) else ""
    return ["-map_metadata", "-1", "-movflags", f"+faststart{custom}", "-f", "mp4"]


class _FrameFeed:
    """Converts frames and writes them to the pipe.

    width, height: size of the video in pixels, even.
    """

    def __init__(self, first: Frame) -> None:
        self._frames = YuvFrames(first.shape)
        self.width, self.height = self._frames.width, self._frames.height

    def run(self, process: Ffmpeg, frames: Iterable[Frame], target: FileRef) -> int:
        """Write all frames, wait for ffmpeg and return the number of frames; MediaError if ffmpeg fails."""
        count = 0
        for count, frame in enumerate(frames, start=1):  # noqa: B007 - the count outlives the loop
            data = self._frames.convert(frame)
            try:
                process.stdin.write(data)
            except OSError as e:  # ffmpeg has ended; its messages say why
                process.finish()
                raise _failure(target, process.last_message()) from e
        if process.finish() != 0:
            raise _failure(target, process.last_message())
        return count


def _failure(target: FileRef, message: str) -> MediaError:
    if "No space left" in message or "Disk quota" in message:
        return MediaError("The disk of the ", target, " is full: free some space or choose another folder")
    return MediaError("The ", target, f" cannot be written (ffmpeg: {message}): check the audio and the folder")
