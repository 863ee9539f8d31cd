"""Overlapping tiles of a picture, so that a network sees the surroundings of the part that it computes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple


class Tile(NamedTuple):
    """Rows and columns of one tile.

    source: region of the picture that the network reads. target: region of the picture that the result is written to.
    inner: the region ``target`` relative to ``source``.
    """

    source: tuple[slice, slice]
    target: tuple[slice, slice]
    inner: tuple[slice, slice]

    def scaled(self, scale: int) -> Tile:
        """Return the same tile in a picture that is ``scale`` times as large."""
        return Tile(*((_scale(rows, scale), _scale(columns, scale)) for rows, columns in self))


def split_into_tiles(height: int, width: int, side: int, margin: int) -> Iterator[Tile]:
    """Yield tiles whose targets cover a picture exactly once, all lengths in pixels.

    side: largest side of a target. margin: pixels that ``source`` adds on each side, within the picture.
    """
    for rows in _spans(height, side):
        for columns in _spans(width, side):
            source = _widen(rows, margin, height), _widen(columns, margin, width)
            inner = _shift(rows, source[0].start), _shift(columns, source[1].start)
            yield Tile(source, (rows, columns), inner)


def _spans(length: int, side: int) -> list[slice]:
    """Split ``length`` into the smallest number of spans of nearly equal length."""
    count = -(-length // side)
    edges = [round(index * length / count) for index in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _widen(span: slice, margin: int, length: int) -> slice:
    return slice(max(0, span.start - margin), min(length, span.stop + margin))


def _shift(span: slice, by: int) -> slice:
    return slice(span.start - by, span.stop - by)


def _scale(span: slice, scale: int) -> slice:
    return slice(span.start * scale, span.stop * scale)
