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
from sadtalker_ext.constants import (
    MAX_CLIP_S,
    MAX_SAMPLE,
    MIN_CLIP_S,
    REPAIR_FILTER,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
)
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, container_error, file_input, read_blocks, require_media

COUNTING_BLOCK_BYTES = 1 << 18
"""Block size for measuring a file: four seconds of float samples."""
DEFAULT_BLOCK_S = 20.0
CHECKED_BLOCK_S = 1.0
"""Block length if a check runs between blocks, so that cancelling takes effect quickly."""


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
    check: called before each block is yielded; its exceptions are passed on to the reader of the blocks.
    progress: called by :meth:`reported_blocks` with the number of video frames whose sound has been read.
    """

    path: Path | None
    sample_count: int
    peak: float = 0.0
    repaired: bool = False
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
        return _decode(FileRef("audio file", self.path), size, self.repaired)

    def reported_blocks(self) -> Generator[Samples, None, None]:
        """Yield blocks as :meth:`blocks` does, and report how far they have been read.

        An engine reads the sound several times; the slowest reader of them uses this method.
        """
        read = 0
        with closing(self.blocks()) as blocks:
            for block in blocks:
                yield block
                read += len(block)
                self.progress(min(self.frames, -(-read // SAMPLES_PER_FRAME)))

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


def open_speech(path: str | Path, role: str = "audio file") -> Speech:
    """Open the audio of any file that ffmpeg reads, including videos: 0.2 s to 2 h, any rate and number of channels.

    One fast decoding pass counts the samples and finds the peak without keeping samples; a second one follows if some
    samples must be repaired. MediaError if the file cannot be used; ``role`` is the name of the file in the message.
    """
    file = require_media(path, role)
    ref = FileRef(role, file)
    count, peak = _measure(ref, repair=False)
    repaired = not peak <= MAX_SAMPLE  # NaN compares as False
    if repaired:
        count, peak = _measure(ref, repair=True)
    if count == 0:
        raise MediaError("The ", ref, " contains no samples: export it again, for example as WAV")
    if count < MIN_CLIP_S * SAMPLE_RATE_HZ:
        length = count / SAMPLE_RATE_HZ
        raise MediaError("The ", ref, f" lasts {length:.3f} s: choose at least {MIN_CLIP_S} s of speech")
    return Speech(file, count, peak, repaired)


def _measure(file: FileRef, *, repair: bool) -> tuple[int, float]:
    """Return the number of samples and their peak, NaN if any sample is; MediaError if there are too many."""
    limit = round(MAX_CLIP_S * SAMPLE_RATE_HZ)
    count, peak = 0, np.float32(0.0)
    for samples in _decode(file, COUNTING_BLOCK_BYTES // 4, repair):
        count, peak = count + len(samples), np.maximum(peak, np.abs(samples).max(initial=0.0))  # keeps NaN
        if count > limit:
            raise MediaError("The ", file, f" is longer than {MAX_CLIP_S / 3600:.0f} hours: cut it into parts")
    return count, float(peak)


def silence(duration_s: float) -> Speech:
    """Return silent speech for an idle clip: 0.2 s to 2 h of zeros."""
    if not MIN_CLIP_S <= duration_s <= MAX_CLIP_S:
        raise MediaError(f"An idle clip cannot last {duration_s:g} s: choose {MIN_CLIP_S} s to {MAX_CLIP_S:.0f} s")
    return Speech(None, round(duration_s * SAMPLE_RATE_HZ))


def _decode(file: FileRef, size: int, repair: bool) -> Generator[Samples, None, None]:
    for data in _decode_bytes(file, size * 4, repair):
        yield np.frombuffer(data, "<f4", count=len(data) // 4).astype(np.float32, copy=False)


def _decode_bytes(file: FileRef, size: int, repair: bool) -> Generator[bytes, None, None]:
    """Yield mono float32 little-endian samples at 16 kHz, ``size`` bytes at a time; MediaError if ffmpeg fails."""
    with Ffmpeg(["-v", "error", *_decoder_arguments(file.path, repair)], ("Reading the ", file)) as process:
        yield from read_blocks(process.stdout, size)
        if process.finish() != 0:
            if process.refused_container():
                raise container_error(file.path, file.role)
            raise _decoding_error(file, process.last_message())


def _decoder_arguments(path: Path, repair: bool) -> list[str]:
    """Return the arguments that decode the first audio stream.

    Timestamps are ignored here and in the audio track of the result: audio is one sample after the other.
    ``rematrix_maxval`` makes the mono mix an average for float files too, which ffmpeg would otherwise sum;
    ``filter_size`` brings the mel features within 0.01 of librosa's resampler (soxr_hq). Repairs come before the
    resampler, which would spread damaged samples.
    """
    repairing = f"{REPAIR_FILTER}," if repair else ""
    mono = f"asetpts=N/SR/TB,aresample={SAMPLE_RATE_HZ}:rematrix_maxval=1.0:filter_size=64,aformat=channel_layouts=mono"
    return ["-vn", *file_input(path), "-map", "0:a:0", "-af", repairing + mono, "-c:a", "pcm_f32le", "-f", "f32le", "-"]


def _decoding_error(file: FileRef, message: str) -> MediaError:
    if "matches no streams" in message or "does not contain any stream" in message:
        return MediaError("The ", file, " has no audio: choose an audio file or a video with audio")
    return MediaError("The ", file, f" cannot be read (ffmpeg: {message}): export it again, for example as WAV or MP3")


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
