"""Windows of 16 mel columns for each video frame, the input of the official networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from sadtalker_ext.arrays import Float32Array
from sadtalker_ext.audio.mel import MEL_BANDS, MEL_RATE_HZ
from sadtalker_ext.constants import FRAME_RATE_HZ

WINDOW_COLUMNS = 16
LEAD_FRAMES = 2
"""A window starts two video frames before its own frame, as in the official code."""
IDLE_MEL = 0.0
"""Official quirk: the idle mode uses zeros, which is audio of medium level, not the -4 of silence."""


def window_start(frame: int) -> int:
    """Return the first mel column of the window of a video frame; negative for frames 0 and 1.

    Official quirk, kept because the networks were trained with it: int() truncates toward zero, so frames 0 and 1 start
    at -6 and -3 instead of -7 and -4, and the step between frames alternates between 3 and 4.
    """
    return int(MEL_RATE_HZ * ((frame - LEAD_FRAMES) / FRAME_RATE_HZ))


def mel_windows(mel: Float32Array, frames: Sequence[int] | range) -> Float32Array:
    """Return the windows (T, 1, 80, 16) of ``frames``; columns beyond the ends of ``mel`` (80, N) repeat the edge."""
    return _windows_from(mel, 0, frames)


def stream_windows(mel: Iterable[Float32Array], frames: int, batch: int) -> Iterator[Float32Array]:
    """Yield windows (<= batch, 1, 80, 16) of frames 0 .. frames - 1 from consecutive mel blocks, as ``mel_windows``.

    Keeps only the columns of windows that are still to come, so memory does not grow with the length.
    """
    held, first, done = np.zeros((MEL_BANDS, 0), np.float32), 0, 0
    for block in mel:
        held = np.concatenate([held, block], axis=1)
        while done < frames:
            stop = min(done + batch, frames)
            if window_start(stop - 1) + WINDOW_COLUMNS > first + held.shape[1]:
                break
            yield _windows_from(held, first, range(done, stop))
            done = stop
        drop = min(max(0, window_start(done) - first), held.shape[1] - 1)
        held, first = held[:, drop:], first + drop
    for start in range(done, frames, batch):
        yield _windows_from(held, first, range(start, min(start + batch, frames)))


def _windows_from(held: Float32Array, first: int, frames: Sequence[int] | range) -> Float32Array:
    """Return the windows of ``frames`` from the columns ``held``, of which the first has the number ``first``."""
    starts = np.array([window_start(frame) for frame in frames], np.int64) - first
    columns = np.clip(starts[:, None] + np.arange(WINDOW_COLUMNS), 0, held.shape[1] - 1)
    return np.ascontiguousarray(held[:, columns].transpose(1, 0, 2)[:, None])
