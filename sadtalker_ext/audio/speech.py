"""Speech: any file with sound in it, decoded on the fly to the mono 16 kHz wave that the networks hear.

Only the length is measured when a file is opened; samples are decoded when they are asked for, so an hour of
sound costs no more memory than a second. The file itself stays the source of the sound in the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, container_error, file_input, read_blocks, require_media

Samples = NDArray[np.float32]

SAMPLE_RATE_HZ = 16000
FRAME_RATE_HZ = 25
SHORTEST_S = 0.2
LONGEST_S = 7200.0
COUNTING_BYTES = 1 << 18
"""Read at a time when a file is measured: four seconds of float samples."""
DEFAULT_BLOCK_S = 20.0
ATTENDED_BLOCK_S = 1.0
"""Length of blocks where somebody may want to stop between them."""


def _nobody() -> None: ...


@dataclass(frozen=True)
class Speech:
    """A sound to speak: its length, and its samples when asked for.

    path: the file, whose own quality the result keeps; None for silence.
    sample_count: length in mono samples at 16 kHz, as decoded, not as some header claims.
    peak: the largest magnitude among them; 1 is full scale.
    attend: called before each block is handed out; what it raises ends whatever reads the blocks.
    """

    path: Path | None
    sample_count: int
    peak: float = 0.0
    attend: Callable[[], None] = field(default=_nobody, compare=False)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.sample_count / SAMPLE_RATE_HZ

    @property
    def frames(self) -> int:
        """Video frames at 25 Hz that cover it: the last one begins before the sound ends, so they agree within one."""
        return max(1, math.ceil(self.sample_count * FRAME_RATE_HZ / SAMPLE_RATE_HZ))

    def blocks(self, seconds: float = DEFAULT_BLOCK_S, overlap_s: float = 0.0) -> Generator[Samples, None, None]:
        """Mono float32 blocks at 16 kHz in [-1, 1], decoded as they are asked for.

        Each block covers ``seconds`` and begins with the last ``overlap_s`` of the one before; only the first, which
        has none before it, and the last are shorter.
        Closing the iterator ends the decoder. With ``attend`` blocks are at most :data:`ATTENDED_BLOCK_S` longer than
        the overlap.
        """
        if self.attend is not _nobody:
            seconds = min(seconds, overlap_s + ATTENDED_BLOCK_S)
        size, overlap = round(seconds * SAMPLE_RATE_HZ), round(overlap_s * SAMPLE_RATE_HZ)
        if not 0 <= overlap < size:
            raise ValueError(f"the overlap of {overlap_s} s must be shorter than the block of {seconds} s")
        fresh = _silent_blocks(self.sample_count, size) if self.path is None else _decode(self.path, size - overlap)
        return self._attended(_overlapped(fresh, overlap) if overlap else fresh)

    def attended(self, attend: Callable[[], None]) -> Speech:
        """The same sound, whose readers are stopped by what ``attend`` raises, within a block."""
        return replace(self, attend=attend)

    def _attended(self, blocks: Generator[Samples, None, None]) -> Generator[Samples, None, None]:
        with closing(blocks):
            for block in blocks:
                self.attend()
                yield block

    def samples(self) -> Samples:
        """The whole wave, (sample_count,) float32 at 16 kHz: 230 MB for an hour, so prefer ``blocks``."""
        return np.concatenate([np.zeros(0, np.float32), *self.blocks()])


def open_speech(path: str | Path) -> Speech:
    """Measure any file ffmpeg reads, also the sound of a video: 0.2 s to 2 h, any rate and number of channels.

    One quick decoding pass counts the samples, notes the peak and holds none. MediaError in one sentence otherwise.
    """
    file = require_media(path, "sound")
    longest = round(LONGEST_S * SAMPLE_RATE_HZ)
    count, peak = 0, 0.0
    for data in _decoded_bytes(file, COUNTING_BYTES):
        samples = np.frombuffer(data, "<f4", count=len(data) // 4)
        count, peak = count + len(samples), max(peak, float(np.abs(samples).max(initial=0.0)))
        if count > longest:
            raise MediaError(f"The sound {file} is longer than {LONGEST_S / 3600:.0f} hours: cut it into parts")
    if count == 0:
        raise MediaError(f"The sound {file} holds no samples: export it again, for example as WAV")
    if count < SHORTEST_S * SAMPLE_RATE_HZ:
        length = count / SAMPLE_RATE_HZ
        raise MediaError(f"The sound {file} lasts {length:.3f} s: give at least {SHORTEST_S} s of speech")
    return Speech(file, count, peak)


def silence(duration_s: float) -> Speech:
    """Speech that says nothing, for an idle portrait: 0.2 s to 2 h of zeros."""
    if not SHORTEST_S <= duration_s <= LONGEST_S:
        raise MediaError(f"A silent clip cannot last {duration_s:g} s: ask for {SHORTEST_S} s to {LONGEST_S:.0f} s")
    return Speech(None, round(duration_s * SAMPLE_RATE_HZ))


def _decode(path: Path, size: int) -> Generator[Samples, None, None]:
    for data in _decoded_bytes(path, size * 4):
        yield np.frombuffer(data, "<f4", count=len(data) // 4).astype(np.float32, copy=False)


def _decoded_bytes(path: Path, size: int) -> Generator[bytes, None, None]:
    """Mono float32 little-endian samples at 16 kHz, ``size`` bytes at a time; MediaError if ffmpeg fails."""
    with Ffmpeg(["-v", "error", *_decoding(path)], f"Reading the sound {path}") as process:
        yield from read_blocks(process.stdout, size)
        if process.finish() != 0:
            raise container_error(path) if process.refused_container() else _unreadable(path, process.words())


def _decoding(path: Path) -> list[str]:
    """Arguments that decode the first sound stream.

    Time stamps are set aside: the sound is its samples, one after the other, here and in the result's sound track.
    ``rematrix_maxval`` makes the mono mix an average for float files too, which ffmpeg would else add up louder;
    ``filter_size`` brings the mel features within 0.01 of librosa's resampler (soxr_hq).
    """
    mono = f"asetpts=N/SR/TB,aresample={SAMPLE_RATE_HZ}:rematrix_maxval=1.0:filter_size=64,aformat=channel_layouts=mono"
    return ["-vn", *file_input(path), "-map", "0:a:0", "-af", mono, "-c:a", "pcm_f32le", "-f", "f32le", "-"]


def _unreadable(path: Path, words: str) -> MediaError:
    if "matches no streams" in words or "does not contain any stream" in words:
        return MediaError(f"The file {path} has no sound in it: give a sound file, or a video with a sound track")
    return MediaError(f"The sound {path} cannot be read (ffmpeg: {words}): export it again, for example as WAV or MP3")


def _silent_blocks(count: int, size: int) -> Generator[Samples, None, None]:
    for start in range(0, count, size):
        yield np.zeros(min(size, count - start), np.float32)


def _overlapped(fresh: Generator[Samples, None, None], overlap: int) -> Generator[Samples, None, None]:
    """Put the tail of what came before in front of each block."""
    tail = np.zeros(0, np.float32)
    for block in fresh:
        joined = np.concatenate([tail, block]) if len(tail) else block
        tail = joined[-overlap:]
        yield joined
