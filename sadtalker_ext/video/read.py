"""Videos in: what a file holds, and its frames one at a time."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, Pipe, container_error, describe, file_input, last_words, require_media

Frame = NDArray[np.uint8]

_DURATION = re.compile(r"^\s*Duration: (\d+):(\d+):(\d+(?:\.\d+)?)", re.MULTILINE)
_VIDEO = re.compile(r"^\s*Stream #.*?: Video: (?P<codec>\w+)(?P<rest>.*)$", re.MULTILINE)
_AUDIO = re.compile(r"^\s*Stream #.*?: Audio: (?P<codec>\w+).*?, (?P<rate>\d+) Hz, (?P<layout>[^,\n]+)", re.MULTILINE)
_SIZE = re.compile(r", (\d+)x(\d+)[ ,\n]?")
_RATE = re.compile(r", ([\d.]+)(k?) (fps|tbr)")
_TURNED = re.compile(r"^\s*(?:displaymatrix|Display Matrix): rotation of -?(90|270)\.", re.MULTILINE)
_CHANNELS = {"mono": 1, "stereo": 2, "downmix": 2}
FALLBACK_RATE_HZ = 25.0
"""For files that name no rate, such as single pictures."""


@dataclass(frozen=True)
class SoundStream:
    """codec, layout: as ffmpeg names them. rate_hz: samples a second. channels: 0 where the layout is unusual."""

    codec: str
    rate_hz: int
    channels: int
    layout: str


@dataclass(frozen=True)
class VideoInfo:
    """What a file says about itself, without decoding it.

    width_px, height_px: as shown, that is after the rotation a phone noted; 0 without a picture stream.
    rate_hz: frames a second. duration_s: as the header claims, None if it does not. codec: "" without pictures.
    sound: its first sound stream, or None.
    """

    width_px: int
    height_px: int
    rate_hz: float
    duration_s: float | None
    codec: str
    sound: SoundStream | None

    @property
    def has_audio(self) -> bool:
        """Whether there is a sound stream."""
        return self.sound is not None

    @property
    def has_video(self) -> bool:
        """Whether there is a picture stream other than a cover picture."""
        return self.width_px > 0


def probe(path: str | Path) -> VideoInfo:
    """Size, rate, length and streams of any file ffmpeg knows; MediaError for others."""
    file = require_media(path, "video")
    text = describe(file)
    if "Input #0" not in text:
        words = last_words(text.splitlines())
        raise MediaError(f"{file} is no video or sound that can be read (ffmpeg: {words}): is it damaged?")
    pictures = [found for found in _VIDEO.finditer(text) if "attached pic" not in found["rest"]]
    rest = pictures[0]["rest"] if pictures else ""
    size = _SIZE.search(rest)
    width, height = (int(size[1]), int(size[2])) if size else (0, 0)
    if _TURNED.search(text):
        width, height = height, width
    length = _DURATION.search(text)
    duration_s = int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else None
    return VideoInfo(width, height, _rate_hz(rest), duration_s, pictures[0]["codec"] if size else "", _sound(text))


def _rate_hz(stream: str) -> float:
    """Frames a second; the rounded NTSC rates that ffmpeg prints become exact again."""
    found = _RATE.search(stream)
    shown = float(found[1]) * (1000 if found[2] else 1) if found else 0.0
    if shown <= 0:
        return FALLBACK_RATE_HZ
    exact = round(shown) * 1000 / 1001
    return exact if abs(shown - exact) < 0.006 else shown


def _sound(text: str) -> SoundStream | None:
    found = _AUDIO.search(text)
    if not found:
        return None
    layout = found["layout"].strip()
    counted = re.match(r"(\d+) channels", layout)
    channels = int(counted[1]) if counted else _CHANNELS.get(layout.split(" ")[0], 6 if layout.startswith("5.1") else 0)
    return SoundStream(found["codec"], int(found["rate"]), channels, layout)


def read_frames(path: str | Path, rate_hz: float | None = None) -> Generator[Frame, None, None]:
    """Frames (H, W, 3) uint8 RGB, upright, square pixels, evenly spaced, one at a time.

    ``rate_hz`` repeats or drops frames to that rate; without it the file's own mean rate is used, so that frame
    ``i`` is what is seen at ``i / rate``. Closing the iterator ends the decoder.
    """
    info = probe(path)
    if not info.has_video:
        raise MediaError(f"{path} has no moving pictures in it: give a video")
    return _decode(Path(path), info.rate_hz if rate_hz is None else rate_hz)


def _decode(path: Path, rate_hz: float) -> Generator[Frame, None, None]:
    rate = Fraction(rate_hz).limit_denominator(1001)
    upright = "scale=trunc(iw*sar+0.5):ih:flags=bicubic+accurate_rnd+full_chroma_int,setsar=1,format=rgb24"
    arguments = ["-v", "error", *file_input(path), "-map", "0:V:0", "-vf", f"fps={rate},{upright}", "-c:v", "ppm"]
    with Ffmpeg([*arguments, "-f", "image2pipe", "-"], f"Reading the video {path}") as process:
        count = 0
        while (frame := _read_ppm(process.stdout)) is not None:
            count += 1
            yield frame
        if process.finish() != 0 or count == 0:
            if process.refused_container():
                raise container_error(path)
            raise MediaError(f"The video {path} cannot be read (ffmpeg: {process.words()}): convert it to MP4 again")


def _read_ppm(stream: Pipe) -> Frame | None:
    """One picture in Netpbm's binary form (P6, 8 bit), as ffmpeg writes it; None at the end."""
    if stream.readline() != b"P6\n":
        return None
    width, height = (int(number) for number in stream.readline().split())
    stream.readline()
    data = bytearray(width * height * 3)
    if stream.readinto(data) != len(data):
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)
