"""Speech: the audio of any file, decoded in blocks to mono 16 kHz samples, the input of the networks.

Opening a file only measures its length; samples are decoded on demand, so an hour of audio takes no more memory than a
second. The audio of the result is copied from the file itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sadtalker_ext.arrays import Samples
from sadtalker_ext.audio.decoding import decode
from sadtalker_ext.audio.sound_choice import choose_sound
from sadtalker_ext.constants import MAX_CLIP_S, MIN_CLIP_S, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import require_media
from sadtalker_ext.sound_source import SoundSource

DEFAULT_BLOCK_S = 20.0
CHECKED_BLOCK_S = 1.0
"""Block length if a check runs between blocks, so that cancelling takes effect quickly."""
FRAMES_PER_REPORT = 25
"""Video frames after which progress is reported."""


def _no_check() -> None: ...


def _no_progress(_: int) -> None: ...


@dataclass(frozen=True)
class Speech:
    """The speech of one clip: its length, and its samples on demand.

    path: audio or video file; None for silence.
    sample_count: number of decoded mono samples at 16 kHz, whatever the header states.
    peak: largest magnitude of the samples; 1 is full scale.
    repaired: whether the file, one of floats, has samples that are NaN, infinite or beyond
        :data:`~sadtalker_ext.constants.MAX_SAMPLE`; they are read as zeros.
    source: which sound of the file is used; None for all channels of the first track, or silence.
    notes: sentences for the user about the choice of the sound, or a header that is wrong.
    check: called before each block is yielded; its exceptions are passed on to the reader of the blocks.
    progress: called by :meth:`reported_blocks` with the number of video frames whose sound has been read, or of as much
        work.
    """

    path: Path | None
    sample_count: int
    peak: float = 0.0
    repaired: bool = False
    source: SoundSource | None = None
    notes: tuple[str, ...] = ()
    check: Callable[[], None] = field(default=_no_check, compare=False)
    progress: Callable[[int], None] = field(default=_no_progress, compare=False)

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return self.sample_count / SAMPLE_RATE_HZ

    @property
    def frames(self) -> int:
        """Number of video frames at 25 Hz; the last frame starts before the end of the audio."""
        return max(1, -(-self.sample_count // SAMPLES_PER_FRAME))

    def blocks(self, seconds: float = DEFAULT_BLOCK_S, overlap_s: float = 0.0) -> Generator[Samples, None, None]:
        """Yield mono float32 blocks at 16 kHz in [-1, 1], decoded on demand.

        Each block is ``seconds`` long and starts with the last ``overlap_s`` of the previous block; only the first
        block, which has no previous one, and the last block are shorter. Closing the iterator ends the decoder. With
        ``check`` blocks are at most :data:`CHECKED_BLOCK_S` longer than the overlap.
        """
        if self.check is not _no_check:
            seconds = min(seconds, overlap_s + CHECKED_BLOCK_S)
        size, overlap = round(seconds * SAMPLE_RATE_HZ), round(overlap_s * SAMPLE_RATE_HZ)
        if not 0 <= overlap < size:
            raise ValueError(f"the overlap of {overlap_s} s must be shorter than the block of {seconds} s")
        blocks = self._decoded_blocks(size - overlap)
        return self._checked(_overlap_blocks(blocks, overlap) if overlap else blocks)

    def _decoded_blocks(self, size: int) -> Generator[Samples, None, None]:
        if self.path is None:
            return _silent_blocks(self.sample_count, size)
        return decode(self.source or SoundSource(self.path), "audio file", size, repair=self.repaired)

    def reported_blocks(self, share: tuple[float, float] = (0.0, 1.0)) -> Generator[Samples, None, None]:
        """Yield blocks as :meth:`blocks` does, and report how far they have been read.

        share: where the work of this reader begins and ends, as shares of the work of all; an engine reads the sound
        several times. A reader that is quick reports less often, after as much work.
        """
        read = 0
        start, end = (self.frames * part for part in share)
        reported = round(start)
        with closing(self.blocks()) as blocks:
            for block in blocks:
                yield block
                read = min(read + len(block), self.sample_count)
                done = min(round(start + (end - start) * -(-read // SAMPLES_PER_FRAME) / self.frames), self.frames)
                if done - reported >= FRAMES_PER_REPORT or read == self.sample_count:
                    self.progress(done)
                    reported = done

    def with_check(self, check: Callable[[], None], progress: Callable[[int], None] = _no_progress) -> Speech:
        """Return the same speech with ``check``, whose exceptions stop readers within a block, and ``progress``."""
        return replace(self, check=check, progress=progress)

    def _checked(self, blocks: Generator[Samples, None, None]) -> Generator[Samples, None, None]:
        with closing(blocks):
            for block in blocks:
                self.check()
                yield block

    def samples(self) -> Samples:
        """Return all samples (sample_count,) float32 at 16 kHz: 230 MB for an hour, so prefer :meth:`blocks`."""
        return np.concatenate([np.zeros(0, np.float32), *self.blocks()])


def open_speech(path: str | Path, role: str = "audio file", track: int = 0) -> Speech:
    """Open the audio of any file that ffmpeg reads, including videos: 0.2 s to 2 h, any rate and number of channels.

    One fast decoding pass counts the samples and finds the peak without keeping samples; a second one follows if some
    samples must be repaired, or channels compared. MediaError if the file cannot be used; ``role`` is the name of the
    file in the message. track: number of the audio track from 1; see
    :func:`~sadtalker_ext.audio.sound_choice.choose_sound`.
    """
    file = require_media(path, role)
    ref = FileRef(role, file)
    choice = choose_sound(ref, track)
    count = choice.sample_count
    if count == 0:
        raise MediaError("The ", ref, " contains no samples: export it again, for example as WAV")
    if count < MIN_CLIP_S * SAMPLE_RATE_HZ:
        length = count / SAMPLE_RATE_HZ
        raise MediaError("The ", ref, f" lasts {length:.3f} s: choose at least {MIN_CLIP_S} s of speech")
    return Speech(file, count, choice.peak, choice.repaired, choice.source, choice.notes)


def silence(duration_s: float) -> Speech:
    """Return silent speech for an idle clip: 0.2 s to 2 h of zeros."""
    if not MIN_CLIP_S <= duration_s <= MAX_CLIP_S:
        raise MediaError(f"An idle clip cannot last {duration_s:g} s: choose {MIN_CLIP_S} s to {MAX_CLIP_S:.0f} s")
    return Speech(None, round(duration_s * SAMPLE_RATE_HZ))


def _silent_blocks(count: int, size: int) -> Generator[Samples, None, None]:
    for start in range(0, count, size):
        yield np.zeros(min(size, count - start), np.float32)


def _overlap_blocks(blocks: Generator[Samples, None, None], overlap: int) -> Generator[Samples, None, None]:
    """Prepend the last ``overlap`` samples before each block to it."""
    tail = np.zeros(0, np.float32)
    for block in blocks:
        joined = np.concatenate([tail, block]) if len(tail) else block
        tail = joined[-overlap:]
        yield joined
