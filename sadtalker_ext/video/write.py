"""Frames out: one ffmpeg takes the frames through a pipe and the sound from its own file, and writes one MP4.

H.264 yuv420p with BT.709 colours and AAC, the index in front, so that browsers play it while it loads. The file
grows under a temporary name beside its place (:mod:`~sadtalker_ext.system.atomic_output`) and is renamed when it is complete;
on any error nothing is left.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, file_argument
from sadtalker_ext.system.atomic_output import AtomicOutput, write_failure
from sadtalker_ext.video.metadata import metadata_arguments, needs_custom_tags
from sadtalker_ext.video.sound import SoundTrack, open_sound

Frame = NDArray[np.uint8]

SUFFIX = ".mp4"
QUALITIES: Mapping[str, tuple[str, str]] = {
    "small": ("veryfast", "25"),
    "good": ("veryfast", "18"),
    "best": ("medium", "13"),
}
"""x264's preset and constant rate factor (lower is better; 18 is said to look like the source)."""
TO_BT709 = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=bilinear+accurate_rnd+full_chroma_int+full_chroma_inp"
    ",format=yuv420p,setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
)
"""Converts with the matrix that the tags name; else players would shift the colours."""


@dataclass(frozen=True)
class VideoSpec:
    """What to make of the frames.

    rate_hz: frames a second. frame_count: how many will come; needed with a sound, which is cut or padded to it.
    sound: file whose first sound stream goes along at its own rate and channels; None for a silent video.
    quality: "small", "good" or "best". metadata: text tags. threads: of the encoder; 0 is one for each core.
    """

    rate_hz: float = 25.0
    frame_count: int | None = None
    sound: Path | None = None
    quality: str = "good"
    metadata: Mapping[str, str] = field(default_factory=dict)
    threads: int = 0


@dataclass(frozen=True)
class WriteReport:
    """path: the finished video. width, height: its even size in pixels. frames, duration_s, size_bytes: its length."""

    path: Path
    width: int
    height: int
    frames: int
    duration_s: float
    size_bytes: int


def write_video(frames: Iterable[Frame], path: str | Path, spec: VideoSpec) -> WriteReport:
    """Write frames (H, W, 3) uint8 RGB, all of one size, to ``path``, which must end in .mp4; makes its folder.

    A size that is not even is made so by repeating the last row or column, because yuv420p needs it. Raises
    MediaError if the place, the sound or the disk will not do; any error of ``frames`` itself passes through.
    """
    if spec.quality not in QUALITIES:
        raise MediaError(f"The video quality {spec.quality!r} is unknown: choose one of {', '.join(QUALITIES)}")
    target, tags = Path(path), metadata_arguments(spec.metadata)
    check_place(target, () if spec.sound is None else (spec.sound,))
    sound = _sound(spec)
    _make_folder(target)
    with AtomicOutput(target) as output:
        source = iter(frames)
        first = next(source, None)
        if first is None:
            raise MediaError(f"The video {target} got no frames: give at least one")
        feed = _Feed(first)
        arguments = [*_pictures(feed, spec), *sound.inputs, *_encoding(spec), *sound.outputs, *tags, *_container(spec)]
        task = f"Writing the video {target}"
        with Ffmpeg([*arguments, file_argument(output.path)], task, feed=True, output=output.path) as process:
            count = feed.run(process, chain([first], source), target)
        if spec.frame_count not in (None, count):
            raise MediaError(f"The video {target} got {count} frames where {spec.frame_count} were announced")
        size_bytes = output.path.stat().st_size
    return WriteReport(target, feed.width, feed.height, count, count / spec.rate_hz, size_bytes)


def check_place(target: Path, inputs: tuple[Path, ...]) -> None:
    """MediaError for a target that is no file name ending in .mp4, or that would destroy one of the inputs."""
    if os.path.isdir(target):  # unlike Path.is_dir, no error for a name that is too long
        raise MediaError(f"The output {target} is a folder: name a file in it, such as {target / 'talking.mp4'}")
    if target.suffix.lower() != SUFFIX:
        raise MediaError(f"The output {target} does not end in {SUFFIX}: name it {target.stem or 'talking'}{SUFFIX}")
    for source in inputs:
        if os.path.exists(target) and os.path.exists(source) and target.samefile(source):
            raise MediaError(f"The output {target} is an input itself and would destroy it: choose another name")


def _make_folder(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as e:
        raise write_failure(target, e) from e


def _sound(spec: VideoSpec) -> SoundTrack:
    if spec.sound is None:
        return SoundTrack()
    if spec.frame_count is None:
        raise ValueError("frame_count is needed to fit the sound to the picture")
    return open_sound(spec.sound, spec.frame_count / spec.rate_hz)


def _pictures(feed: _Feed, spec: VideoSpec) -> list[str]:
    rate = Fraction(spec.rate_hz).limit_denominator(1001)
    size = f"{feed.width}x{feed.height}"
    source = ["-protocol_whitelist", "pipe", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(rate)]
    return ["-v", "error", "-y", *source, "-i", "pipe:0"]


def _encoding(spec: VideoSpec) -> list[str]:
    preset, factor = QUALITIES[spec.quality]
    encoder = ["-c:v", "libx264", "-preset", preset, "-crf", factor, "-threads", str(spec.threads)]
    return ["-map", "0:v:0", "-vf", TO_BT709, *encoder]


def _container(spec: VideoSpec) -> list[str]:
    custom = "+use_metadata_tags" if needs_custom_tags(spec.metadata) else ""
    return ["-map_metadata", "-1", "-movflags", f"+faststart{custom}", "-f", "mp4"]


class _Feed:
    """Brings frames into the pipe, made even by repeating their last row and column.

    width, height: of the video, in pixels.
    """

    def __init__(self, first: Frame) -> None:
        self._shape = first.shape
        self.height, self.width = (side + side % 2 for side in first.shape[:2])
        self._even = np.empty((self.height, self.width, 3), np.uint8)

    def run(self, process: Ffmpeg, frames: Iterable[Frame], target: Path) -> int:
        """Feed all frames, wait for the end, return how many there were; MediaError if ffmpeg failed."""
        count = 0
        for count, frame in enumerate(frames, start=1):  # noqa: B007 - the count outlives the loop
            data = self._bytes_of(frame)
            try:
                process.stdin.write(data)
            except OSError as e:  # it has gone; its words say why
                process.finish()
                raise _failure(target, process.words()) from e
        if process.finish() != 0:
            raise _failure(target, process.words())
        return count

    def _bytes_of(self, frame: Frame) -> memoryview:
        """The frame's own memory if it can be sent as it is."""
        if frame.shape != self._shape or frame.dtype != np.uint8 or frame.shape[2:] != (3,):
            raise ValueError(f"a frame is {frame.shape} {frame.dtype}; due is uint8 (H, W, 3) of {self._shape}")
        height, width = self._shape[:2]
        if frame.shape == self._even.shape:
            return np.ascontiguousarray(frame).data.cast("B")
        self._even[:height, :width] = frame
        self._even[height:] = self._even[height - 1]
        self._even[:, width:] = self._even[:, width - 1 : width]
        return self._even.data.cast("B")


def _failure(target: Path, words: str) -> MediaError:
    if "No space left" in words or "Disk quota" in words:
        return MediaError(f"The disk of {target} is full: free some space, or choose another place")
    return MediaError(f"The video {target} could not be written (ffmpeg: {words}): check the sound and the place")
