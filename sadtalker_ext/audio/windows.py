"""The 16 mel columns that belong to each video frame, as the official networks take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.audio.mel import MEL_BANDS, MEL_RATE_HZ

FRAME_RATE_HZ = 25
SAMPLES_PER_FRAME = 640
WINDOW_COLUMNS = 16
LEAD_FRAMES = 2
"""A window begins two video frames before its own frame (syncnet_mel_step_size of the official code)."""
IDLE_MEL = 0.0
"""Official quirk: idle mode feeds zeros, which is a mid-level sound, not the -4 of silence."""


def window_start(frame: int) -> int:
    """First mel column of a video frame's window; negative for frames 0 and 1.

    Official quirk, kept because the networks were trained with it: int() truncates toward zero, so frames 0 and 1
    begin at -6 and -3 where rounding down would give -7 and -4, and the step between frames alternates 3 and 4.
    """
    return int(MEL_RATE_HZ * ((frame - LEAD_FRAMES) / FRAME_RATE_HZ))


def whole_frames(sample_count: int) -> int:
    """Video frames the official pipeline makes of ``sample_count`` samples at 16 kHz: only whole ones."""
    return sample_count // SAMPLES_PER_FRAME


def mel_windows(mel: NDArray[np.float32], frames: Sequence[int] | range) -> NDArray[np.float32]:
    """Windows of the named video frames: (80, T_mel) to (T, 1, 80, 16); columns beyond either end repeat the edge."""
    return _windows_from(mel, 0, frames)


def stream_windows(mel: Iterable[NDArray[np.float32]], frames: int, batch: int) -> Iterator[NDArray[np.float32]]:
    """Consecutive mel columns to windows (<= batch, 1, 80, 16) of frames 0 .. frames - 1, equal to ``mel_windows``.

    Holds no more columns than the waiting windows need, so memory does not grow with the length.
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


def _windows_from(held: NDArray[np.float32], first: int, frames: Sequence[int] | range) -> NDArray[np.float32]:
    """Windows of ``frames`` out of columns whose number ``first`` is the first held."""
    starts = np.array([window_start(frame) for frame in frames], np.int64) - first
    columns = np.clip(starts[:, None] + np.arange(WINDOW_COLUMNS), 0, held.shape[1] - 1)
    return np.ascontiguousarray(held[:, columns].transpose(1, 0, 2)[:, None])
