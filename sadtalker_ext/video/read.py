"""Streams of video files, and their frames one at a time."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.arrays import Frame
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import (
    Ffmpeg,
    Pipe,
    container_error,
    file_input,
    last_message,
    read_header,
    require_media,
)
from sadtalker_ext.sound_source import AudioStream, parse_audio_streams
from sadtalker_ext.video.colour_tags import ColourTags, parse_tags
from sadtalker_ext.video.decoded_picture import MAX_SIDE_PX
from sadtalker_ext.video.tone_mapping import convert_to_srgb

_DURATION = re.compile(r"^\s*Duration: (\d+):(\d+):(\d+(?:\.\d+)?)", re.MULTILINE)
_VIDEO = re.compile(r"^\s*Stream #.*?: Video: (?P<codec>\w+)(?P<rest>.*)$", re.MULTILINE)
_SIZE = re.compile(r", (\d+)x(\d+)(?: \[SAR (\d+):(\d+))?")
_RATE = re.compile(r", ([\d.]+)(k?) (fps|tbr)")
_ROTATED = re.compile(r"^\s*(?:displaymatrix|Display Matrix): rotation of -?(90|270)\.", re.MULTILINE)
SCALER = "bicubic+accurate_rnd+full_chroma_int"
"""Flags of ffmpeg's scaler for the best conversion of colours."""
STOP_AT_ERRORS = ("-xerror",)
"""For single pictures: at the end of a file that is cut off, the decoder of JPEG XL would wait for ever."""
DROPPING = 1.5
"""Frame rate, relative to the requested one, from which on frames are dropped before they are converted."""
MAX_COPIES = 15_000
"""Copies of a frame that fill a gap in time: ten minutes at 25 Hz."""
MAX_COPIED_BYTES = 1 << 29
"""Memory of these copies if each has its own."""
FALLBACK_RATE_HZ = 25.0
"""Frame rate of files that state none, such as single pictures."""


@dataclass(frozen=True)
class VideoInfo:
    """Information in the header of a file.

    width_px, height_px: size with square pixels after the rotation that the header states; 0 without a video stream.
    rate_hz: frame rate. duration_s: duration in the header, None if not stated. codec: "" without a video stream.
    audio: the first audio stream, or None. colour: colour space of the video stream.
    """

    width_px: int
    height_px: int
    rate_hz: float
    duration_s: float | None
    codec: str
    audio: AudioStream | None
    colour: ColourTags = field(default_factory=ColourTags)

    @property
    def has_audio(self) -> bool:
        """Whether there is an audio stream."""
        return self.audio is not None

    @property
    def has_video(self) -> bool:
        """Whether there is a video stream other than a cover picture."""
        return self.width_px > 0


class VideoTimes(NamedTuple):
    """Which frames are read: ``rate_hz`` per second, from ``start_s`` on."""

    rate_hz: float
    start_s: float


def probe(path: str | Path, role: str = "video") -> VideoInfo:
    """Return size, rate, duration and streams of any media file; MediaError if ffmpeg cannot read it.

    role: name of the file in the message.
    """
    file = require_media(path, role)
    text = read_header(file, role)
    if "Input #0" not in text:
        reason = last_message(text.splitlines())
        raise MediaError(
            "The ", FileRef(role, file), f" cannot be read as video or audio (ffmpeg: {reason}): choose another file"
        )
    pictures = [found for found in _VIDEO.finditer(text) if "attached pic" not in found["rest"]]
    rest = pictures[0]["rest"] if pictures else ""
    size = _SIZE.search(rest)
    width, height = _shown_size(size, rotated=_ROTATED.search(text) is not None) if size else (0, 0)
    length = _DURATION.search(text)
    duration_s = int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else None
    audio = next(iter(parse_audio_streams(text)), None)
    codec = pictures[0]["codec"] if size else ""
    return VideoInfo(width, height, _rate_hz(rest), duration_s, codec, audio, parse_tags(rest))


def _shown_size(found: re.Match[str], *, rotated: bool) -> tuple[int, int]:
    """Return (width, height) upright and with square pixels, as :func:`read_frames` yields them."""
    width, height, across, down = (int(number or 0) for number in found.groups())
    if rotated:
        width, height, across, down = height, width, down, across
    return (int(width * across / down + 0.5) if across and down else width), height


def _rate_hz(stream: str) -> float:
    """Return the frame rate; the rounded NTSC rates that ffmpeg prints are made exact."""
    found = _RATE.search(stream)
    shown = float(found[1]) * (1000 if found[2] else 1) if found else 0.0
    if shown <= 0:
        return FALLBACK_RATE_HZ
    exact = round(shown) * 1000 / 1001
    return exact if exact > 0 and abs(shown - exact) < 0.006 else shown


def read_frames(
    path: str | Path, rate_hz: float | None = None, role: str = "video", start_s: float = 0.0
) -> Generator[Frame, None, None]:
    """Yield frames (H, W, 3) uint8 sRGB, upright, with square pixels, evenly spaced in time.

    Matrix and range are those that the file states; HDR (PQ, HLG) and wide gamut are converted to sRGB.

    rate_hz: repeat or drop frames to this rate; by default the mean rate of the file. Frame ``i`` is the picture at
    ``i / rate`` seconds after ``start_s``. role: name of the file in error messages. Closing the iterator ends the
    decoder.
    """
    info = probe(path, role)
    if not info.has_video:
        raise MediaError("The ", FileRef(role, Path(path)), " has no video stream: choose a video")
    if max(info.width_px, info.height_px) > MAX_SIDE_PX:
        size = f"{info.width_px} x {info.height_px} px, more than {MAX_SIDE_PX} px on a side"
        raise MediaError("The ", FileRef(role, Path(path)), f" has {size}: reduce its size")
    times = VideoTimes(info.rate_hz if rate_hz is None else rate_hz, start_s)
    frames = _decode(Path(path), info, times, role)
    return frames if info.colour.is_srgb else _convert_frames(frames, info.colour)


def _convert_frames(frames: Generator[NDArray[Any], None, None], tags: ColourTags) -> Generator[Frame, None, None]:
    with closing(frames):
        for frame in frames:
            yield convert_to_srgb(frame, tags)


def _decode(path: Path, info: VideoInfo, times: VideoTimes, role: str) -> Generator[NDArray[Any], None, None]:
    """Yield frames of 8 bits, or of 16 bits in the colour space of the file if that is not sRGB."""
    rate = Fraction(times.rate_hz).limit_denominator(1001)
    upright = f"scale=trunc(iw*sar+0.5):ih:flags={SCALER},setsar=1,format={ppm_format(info.colour)}"
    seek = ["-ss", f"{times.start_s:.6f}"] if times.start_s else []
    short = info.duration_s is not None and info.duration_s * times.rate_hz < 1
    last = ":eof_action=pass" if short else ""  # fps drops a video that ends before half a period
    arguments = [
        "-v", "error", *seek, "-max_pixels", str(MAX_SIDE_PX**2), *file_input(path), "-map", "0:V:0",
        "-vf", _at_rate(info, times.rate_hz, f"fps={rate}{last}", upright), "-c:v", "ppm",
    ]  # fmt: skip
    ref = FileRef(role, path)
    with Ffmpeg([*arguments, "-f", "image2pipe", "-"], ("Reading the ", ref)) as process:
        count = 0
        while (frame := read_ppm(process.stdout)) is not None:
            count += 1
            yield frame
        if process.finish() != 0 or count == 0:
            if process.refused_container():
                raise container_error(path, role)
            raise MediaError(
                "The ", ref, f" cannot be read (ffmpeg: {process.last_message()}): convert it to MP4 again"
            )


def _at_rate(info: VideoInfo, rate_hz: float, fps: str, upright: str) -> str:
    """Return the filters ``fps``, which drops and copies frames, and ``upright`` in the order that takes less work.

    ffmpeg makes all copies that fill a gap in time at once. After ``upright`` they share their memory; before it, each
    has its own. Longer gaps are shortened: a file of 1 kB could otherwise take gigabytes and minutes.
    """
    drops = info.rate_hz > DROPPING * rate_hz
    frame_bytes = info.width_px * info.height_px * (3 if info.colour.is_srgb else 6)
    copies = min(MAX_COPIES, max(rate_hz, MAX_COPIED_BYTES / frame_bytes)) if drops else MAX_COPIES
    step = f"PREV_OUTPTS+min(PTS-PREV_INPTS,{copies / rate_hz:.6f}/TB)"
    even = f"setpts='if(isnan(PREV_INPTS)+isnan(PREV_OUTPTS),PTS,{step})'"
    return ",".join([even, fps, upright] if drops else [even, upright, fps])


def read_deep_picture(path: Path, role: str, size: tuple[int, int], form: str) -> NDArray[np.uint16]:
    """Return a picture with 16 bits per sample, (H, W, 4) red, green, blue and alpha, as stored (not turned upright).

    size: (width, height) of the stored picture, known from its header. form: PNG, TIFF or PPM. MediaError if ffmpeg
    does not decode it.
    """
    ref = FileRef(role, path)
    source = file_input(path, f"{form.lower()}_pipe")
    arguments = ["-v", "error", *STOP_AT_ERRORS, "-noautorotate", *source, "-map", "0:v:0", "-frames:v", "1"]
    data = bytearray(size[0] * size[1] * 8)
    with Ffmpeg([*arguments, "-pix_fmt", "rgba64le", "-f", "rawvideo", "-"], ("Reading the ", ref)) as process:
        count = process.stdout.readinto(data)
        if process.stdout.read(1) or count != len(data) or process.finish() != 0:
            raise MediaError("The ", ref, " has 16 bits per sample in a form that cannot be read: save it with 8 bits")
    return np.frombuffer(data, "<u2").reshape(size[1], size[0], 4).astype(np.uint16, copy=False)


def ppm_format(tags: ColourTags) -> str:
    """Return the pixel format in which ffmpeg writes frames: 16 bits if they are converted to sRGB here."""
    return "rgb24" if tags.is_srgb else "rgb48be"


def read_ppm(stream: Pipe) -> NDArray[Any] | None:
    """Read one picture in Netpbm's binary formats (P5, P6; 8 or 16 bits); None at the end of the stream."""
    kind = stream.readline()
    if kind not in (b"P5\n", b"P6\n"):
        return None
    width, height = (int(number) for number in stream.readline().split())
    form = np.dtype(">u2" if int(stream.readline()) > 255 else "u1")
    channels = 3 if kind == b"P6\n" else 1
    data = bytearray(width * height * channels * form.itemsize)
    if stream.readinto(data) != len(data):
        return None
    return np.frombuffer(data, form).reshape(height, width, channels)
