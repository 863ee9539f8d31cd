"""Conversion of RGB frames to yuv420p with the matrix of BT.709 and limited range, as H.264 files store them.

Own code: most of a talking portrait is still, and only the rectangle that changed is converted. ffmpeg converts every
frame as a whole, and gets twice as many bytes through its pipe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float64Array, Frame, UInt8Array

MATRIX_UNIT: Final = 1024
"""OpenCV multiplies 8-bit colours by whole numbers of this fraction, four times as fast as by floats."""
HALVES_UP: Final = MATRIX_UNIT // 8
"""Mean error of means of four values of which halves are rounded up, subtracted in advance."""
MATRIX: Final = (
    (187, 629, 63, 16 * MATRIX_UNIT),
    (-103, -347, 450, 128 * MATRIX_UNIT - HALVES_UP),
    (450, -409, -41, 128 * MATRIX_UNIT - HALVES_UP),
)
"""Rows of Y, Cb and Cr for R, G, B and 1, of ITU-R BT.709 (weights 0.2126, 0.7152, 0.0722) in units of
:data:`MATRIX_UNIT`: Y from 16 to 235, Cb and Cr from 16 to 240. The error is at most 0.2 levels, and greys have exactly
no colour."""
CELL: Final = 2
"""Side of the square of pixels that share a Cb and a Cr."""


class YuvFrames:
    """Converts frames of one shape; odd sizes are made even by repeating the last row or column.

    width, height: even size in pixels. Cb and Cr are weighted means of 4 x 4 pixels with the weights 1, 3, 3, 1 in both
    directions, between the pixels of a cell.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self.height, self.width = (side + side % CELL for side in shape[:2])
        self._rgb = np.empty((self.height, self.width, 3), np.uint8)
        self._differs = np.empty(shape, np.bool_)
        cells = (self.height // CELL) * (self.width // CELL)
        self._bytes = np.empty(self.height * self.width + 2 * cells, np.uint8)
        luma, *chroma = np.split(self._bytes, (self.height * self.width, self.height * self.width + cells))
        self._luma = luma.reshape(self.height, self.width)
        self._chroma = [plane.reshape(self.height // CELL, self.width // CELL) for plane in chroma]
        self._empty = True

    def convert(self, frame: Frame) -> memoryview:
        """Return the planes of a frame (H, W, 3) one after the other, valid until the next call.

        ValueError for a frame of another shape or dtype.
        """
        if frame.shape != self._shape or frame.dtype != np.uint8 or frame.shape[2:] != (3,):
            raise ValueError(f"frames must be uint8 (H, W, 3) of shape {self._shape}; got {frame.dtype} {frame.shape}")
        changed = self._changed(frame)
        if changed is not None:
            rows, columns = changed
            self._rgb[rows, columns] = frame[rows, columns]
            self._repeat_edges()
            self._convert_part(_cells(rows, self.height), _cells(columns, self.width))
            self._empty = False
        return self._bytes.data

    def _changed(self, frame: Frame) -> tuple[slice, slice] | None:
        """Return the rows and columns in which ``frame`` differs from the last one; None if it is the same."""
        height, width = self._shape[:2]
        if self._empty:
            return slice(0, height), slice(0, width)
        np.not_equal(frame, self._rgb[:height, :width], out=self._differs)
        differs = self._differs.reshape(height, 3 * width)
        rows = np.flatnonzero(differs.any(axis=1))
        if len(rows) == 0:
            return None
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(differs[top:bottom].any(axis=0)) // 3
        return slice(top, bottom), slice(int(columns[0]), int(columns[-1]) + 1)

    def _repeat_edges(self) -> None:
        height, width = self._shape[:2]
        self._rgb[height:] = self._rgb[height - 1]
        self._rgb[:, width:] = self._rgb[:, width - 1 : width]

    def _convert_part(self, rows: slice, columns: slice) -> None:
        """Convert rows and columns that begin and end between cells; Cb and Cr read one more pixel on every side."""
        import cv2

        top, left = max(rows.start - 1, 0), max(columns.start - 1, 0)
        read = self._rgb[top : rows.stop + 1, left : columns.stop + 1]
        yuv = np.asarray(cv2.transform(read, _MATRIX), np.uint8)
        inner = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        self._luma[rows, columns] = np.asarray(cv2.extractChannel(yuv, 0), np.uint8)[inner]
        place = (slice(rows.start // CELL, rows.stop // CELL), slice(columns.start // CELL, columns.stop // CELL))
        for index, plane in enumerate(self._chroma, start=1):
            plane[place] = _halved(np.asarray(cv2.extractChannel(yuv, index), np.uint8), inner)


_MATRIX: Final[Float64Array] = np.array(MATRIX, np.float64) / MATRIX_UNIT


def _cells(part: slice, length: int) -> slice:
    """Return the part in whole cells that reads any pixel of ``part``."""
    start, stop = max(part.start - 1, 0), min(part.stop + 1, length)
    return slice(start - start % CELL, stop + stop % CELL)


def _halved(plane: UInt8Array, inner: tuple[slice, slice]) -> UInt8Array:
    """Return the window ``inner`` of a plane at half the size: weights 1, 2, 1, then means of cells."""
    import cv2

    smooth = cv2.GaussianBlur(plane, (3, 3), 0, borderType=cv2.BORDER_REPLICATE)[inner]
    size = (smooth.shape[1] // CELL, smooth.shape[0] // CELL)
    return np.asarray(cv2.resize(smooth, size, interpolation=cv2.INTER_AREA), np.uint8)
