"""The sound track of a result: the original file's own samples, fitted to the length of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import file_input, require_file
from sadtalker_ext.video.read import SoundStream, probe

AAC_RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
FALLBACK_RATE_HZ = 48000
"""For rates AAC cannot carry, such as 192 kHz."""
BITS_PER_CHANNEL = 96000
MONO_BITS = 128000
BITS_PER_SAMPLE = 6
"""AAC's upper limit: 6144 bits for a channel's frame of 1024 samples."""


@dataclass(frozen=True)
class SoundTrack:
    """inputs: ffmpeg's arguments before the output's own. outputs: those that belong to the output."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("-an",)


def open_sound(path: Path, duration_s: float) -> SoundTrack:
    """The first sound stream of ``path``, cut or padded with silence to exactly ``duration_s``; MediaError if none.

    Rate and channels (mono, stereo or 5.1; others become stereo) stay what they are. Time stamps are set aside,
    as when the same file was heard: the sound is its samples, one after the other.
    """
    stream = probe(require_file(path, "sound")).sound
    if stream is None:
        raise MediaError(f"The file {path} has no sound in it: give a sound file, or a video with a sound track")
    rate_hz = stream.rate_hz if stream.rate_hz in AAC_RATES_HZ else FALLBACK_RATE_HZ
    layout, channels = _layout(stream)
    bits = min(max(MONO_BITS, BITS_PER_CHANNEL * channels), BITS_PER_SAMPLE * rate_hz * channels)
    fitted = (
        f"asetpts=N/SR/TB,aresample={rate_hz}:rematrix_maxval=1.0,aformat=channel_layouts={layout}"
        f",apad,atrim=end={duration_s:.6f}"
    )
    return SoundTrack(
        ("-vn", *file_input(path)), ("-map", "1:a:0", "-af", fitted, "-c:a", "aac", "-b:a", str(bits))
    )


def _layout(stream: SoundStream) -> tuple[str, int]:
    """A layout every browser plays, and its number of channels."""
    return {1: ("mono", 1), 6: ("5.1", 6)}.get(stream.channels, ("stereo", 2))
