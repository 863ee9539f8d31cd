"""Pictures cut into tiles that overlap, so that a network sees what lies around the part it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple


class Tile(NamedTuple):
    """seen: rows and columns that a network is shown. kept: those of the picture that its result is kept for.

    inner: rows and columns of ``kept`` within ``seen``.
    """

    seen: tuple[slice, slice]
    kept: tuple[slice, slice]
    inner: tuple[slice, slice]

    def enlarged(self, scale: int) -> Tile:
        """The same in a picture ``scale`` times as large."""
        return Tile(*((_times(rows, scale), _times(columns, scale)) for rows, columns in self))


def tiles(height: int, width: int, side: int, margin: int) -> Iterator[Tile]:
    """Tiles of at most ``side`` pixels that cover a picture once; around each, ``margin`` pixels are seen too."""
    for rows in _spans(height, side):
        for columns in _spans(width, side):
            seen = _widened(rows, margin, height), _widened(columns, margin, width)
            inner = _shifted(rows, seen[0].start), _shifted(columns, seen[1].start)
            yield Tile(seen, (rows, columns), inner)


def _spans(length: int, side: int) -> list[slice]:
    """As few spans as possible, of nearly the same length."""
    count = -(-length // side)
    edges = [round(index * length / count) for index in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _widened(span: slice, margin: int, length: int) -> slice:
    return slice(max(0, span.start - margin), min(length, span.stop + margin))


def _shifted(span: slice, by: int) -> slice:
    return slice(span.start - by, span.stop - by)


def _times(span: slice, scale: int) -> slice:
    return slice(span.start * scale, span.stop * scale)
