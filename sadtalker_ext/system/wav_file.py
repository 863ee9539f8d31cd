"""Structure of WAV files whose header does not describe all of their sound.

``cat a.wav b.wav > c.wav`` makes a file in which players find only the first part, and recorders that are switched off
leave a header without the right length. (RIFF: Microsoft and IBM, Multimedia Programming Interface, 1991.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

MAX_PARTS: Final = 64
"""Joined files that are read; each is one input of ffmpeg."""
MAX_CHUNKS: Final = 10_000
UNKNOWN_LENGTHS: Final = (0, 0xFFFFFFFF)
"""Lengths that programs write if they do not know the length; ffmpeg reads these files to the end."""
MIN_REST_S: Final = 0.1
"""Shorter sound after the stated end is padding."""


@dataclass(frozen=True)
class WavFile:
    """What a WAV file contains.

    parts: begin and end of each joined WAV file in bytes; one for a usual file. If there are more than
    :data:`MAX_PARTS`, the last one contains the others. stated_s: length that the header
    states, None if it is unknown. present_s: length of the sound that is there. Both are of the last part, in seconds.
    """

    parts: tuple[tuple[int, int], ...]
    stated_s: float | None
    present_s: float

    @property
    def is_short(self) -> bool:
        """Whether the header states less sound than there is."""
        return self.stated_s is not None and self.present_s > self.stated_s + MIN_REST_S

    @property
    def is_cut(self) -> bool:
        """Whether the header states more sound than there is."""
        return self.stated_s is not None and self.present_s < self.stated_s - MIN_REST_S


def read_wav_file(path: Path) -> WavFile | None:
    """Return the structure of a WAV file; None for other files, and for WAV files without a usual structure."""
    end = path.stat().st_size
    with path.open("rb") as file:
        begins, at = [0], 0
        while True:
            part = _read_part(file, at, end)
            if part is None:
                return None
            following, stated_s, present_s = part
            if following is None or len(begins) > MAX_PARTS:
                return WavFile(tuple(zip(begins, (*begins[1:], end), strict=True)), stated_s, present_s)
            begins.append(following)
            at = following


def _read_part(file: IO[bytes], at: int, end: int) -> tuple[int | None, float | None, float] | None:
    """Return the begin of the next joined file or None, the stated length and that of the sound that is there."""
    found = _find_data(file, at)
    if found is None:
        return None
    begin, size, bytes_per_s = found
    if size in UNKNOWN_LENGTHS:
        return None, None, (end - begin) / bytes_per_s
    following, rest = _look_behind(file, begin + size + size % 2, end)
    present = min(size, end - begin) + rest
    return following, size / bytes_per_s, present / bytes_per_s


def _find_data(file: IO[bytes], at: int) -> tuple[int, int, int] | None:
    """Return begin and stated size of the sound of the WAV file that begins at ``at``, and its bytes per second."""
    file.seek(at)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, bytes_per_s = at + 12, 0
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        chunk = file.read(20)
        size = int.from_bytes(chunk[4:8], "little")
        if chunk[:4] == b"fmt ":
            bytes_per_s = int.from_bytes(chunk[16:20], "little")
        elif chunk[:4] == b"data" or len(chunk) < 8:
            return (at + 8, size, bytes_per_s) if bytes_per_s and len(chunk) >= 8 else None
        at += 8 + size + size % 2
    return None


def _look_behind(file: IO[bytes], at: int, end: int) -> tuple[int | None, int]:
    """Return the begin of a WAV file behind the sound or None, and the number of bytes there that are sound too."""
    first = at
    for _ in range(MAX_CHUNKS):
        file.seek(at)
        chunk = file.read(12)
        if chunk[:4] == b"RIFF" and chunk[8:12] == b"WAVE":
            return at, 0
        size = int.from_bytes(chunk[4:8], "little")
        if len(chunk) < 8 or not _is_chunk(chunk[:4], at + 8 + size, end):
            return None, max(0, end - at) if at == first else 0
        at += 8 + size + size % 2
    return None, 0


def _is_chunk(name: bytes, stop: int, end: int) -> bool:
    """Return whether these bytes are the header of a chunk that ends within the file."""
    return all(32 <= letter < 127 for letter in name) and stop <= end + 1
