"""Chained Ogg files (RFC 3533, 4): several files in a row, which ffmpeg reads only while the format stays the same."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import IO, Final, NamedTuple

HEADER_BYTES: Final = 27
MAX_PAGES: Final = 1_000_000
"""Pages that are searched, about a second; two hours have 360,000 pages of 20 ms, the shortest that programs write."""
BEGIN_FLAG: Final = 2
"""Bit in the flags of a page: it is the first page of a stream."""
_FORMATS: Final[dict[bytes, tuple[slice, ...]]] = {
    b"OpusHead": (slice(0, 10),),
    b"\1vorbis": (slice(0, 16),),
    b"\x7fFLAC": (slice(0, 5), slice(27, 30)),
    b"Speex   ": (slice(0, 8), slice(36, 40), slice(48, 52)),
}
"""Start of the first packet of an audio stream, and where it states codec, channels and rate."""


class _Page(NamedTuple):
    begin: int
    end: int
    is_first: bool
    form: bytes


def chained_parts(path: Path) -> tuple[tuple[int, int], ...]:
    """Return begin and end in bytes of the parts of an Ogg file whose audio formats differ; empty for other files.

    Parts in a row that have the same format are one part. A damaged page ends the search; the last part contains the
    rest of the file.
    """
    links: list[tuple[int, bytes]] = []
    end, before_first = 0, False
    with path.open("rb") as file:
        for _ in range(MAX_PAGES):
            if (page := _read_page(file, end)) is None:
                break
            if page.is_first and not before_first:
                links.append((page.begin, page.form))
            elif page.is_first:
                links[-1] = (links[-1][0], links[-1][1] + page.form)
            before_first, end = page.is_first, page.end
    begins = [next(group)[0] for _, group in groupby(links, key=lambda link: link[1])]
    return tuple(zip(begins, [*begins[1:], path.stat().st_size], strict=True)) if len(begins) > 1 else ()


def _read_page(file: IO[bytes], at: int) -> _Page | None:
    """Return the page at a place in the file; None if there is none."""
    file.seek(at)
    header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES or not header.startswith(b"OggS"):
        return None
    sizes = file.read(header[26])
    is_first = bool(header[5] & BEGIN_FLAG)
    packet = file.read(64) if is_first else b""
    form = next((_form(packet, places) for start, places in _FORMATS.items() if packet.startswith(start)), b"")
    return _Page(at, at + HEADER_BYTES + len(sizes) + sum(sizes), is_first, form)


def _form(packet: bytes, places: tuple[slice, ...]) -> bytes:
    return b"".join(packet[place] for place in places)
