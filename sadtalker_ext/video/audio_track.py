"""The audio track of a result: the samples of the original file, cut or padded to the length of the video."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sadtalker_ext.constants import REPAIR_FILTER
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import read_header, require_file
from sadtalker_ext.sound_source import AudioStream, SoundSource, parse_audio_streams

AAC_RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
FALLBACK_RATE_HZ = 48000
"""Replaces sample rates that AAC does not support, such as 192 kHz."""
CHANNEL_BIT_RATE = 96_000
"""Bits per second and channel."""
MIN_BIT_RATE = 128_000
"""Bits per second, for mono too."""
MAX_BITS_PER_SAMPLE = 6
"""Upper limit of AAC: 6144 bits per channel in a frame of 1024 samples."""
FLOAT_CODECS = "pcm_f"
"""Start of the names of codecs whose samples can be NaN, infinite or far beyond full scale."""


@dataclass(frozen=True)
class AudioTrack:
    """Arguments of ffmpeg: ``inputs`` come before the options of the output, ``outputs`` are among them."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("-an",)


def open_audio_track(source: SoundSource, duration_s: float, role: str = "audio file") -> AudioTrack:
    """Return the arguments for a sound, cut or padded with silence to ``duration_s``.

    Sample rate and channels (mono, stereo or 5.1; others become stereo) are kept. Timestamps are ignored, as in
    :func:`~sadtalker_ext.audio.speech.open_speech`, so that audio and motion stay in sync. MediaError if there is no
    audio stream; ``role`` is the name of the file in the message.
    """
    stream = _stream_of(source, role)
    rate_hz = stream.rate_hz if stream.rate_hz in AAC_RATES_HZ else FALLBACK_RATE_HZ
    _, channels = _output_layout(stream)
    bit_rate = min(max(MIN_BIT_RATE, CHANNEL_BIT_RATE * channels), MAX_BITS_PER_SAMPLE * rate_hz * channels)
    output = source.output(1, _filters(stream, rate_hz), f"apad,atrim=end={duration_s:.6f}")
    return AudioTrack(tuple(source.inputs()), (*output, "-c:a", "aac", "-b:a", str(bit_rate)))


def sound_filters(source: SoundSource, role: str) -> str:
    """Return the filters that keep sample rate and channels (mono, stereo or 5.1; others become stereo) of a sound."""
    stream = _stream_of(source, role)
    return _filters(stream, stream.rate_hz or FALLBACK_RATE_HZ)


def _stream_of(source: SoundSource, role: str) -> AudioStream:
    """Return the stream that the sound is in, with the channels that are used; MediaError if there is none."""
    streams = parse_audio_streams(read_header(require_file(source.path, role), role))
    if source.track >= len(streams):
        ref = FileRef(role, source.path)
        raise MediaError("The ", ref, " has no audio: choose an audio file or a video with audio")
    stream = streams[source.track]
    return replace(stream, channels=1) if source.channel is not None or source.unnamed else stream


def _filters(stream: AudioStream, rate_hz: int) -> str:
    layout, _ = _output_layout(stream)
    repair = f"{REPAIR_FILTER}," if stream.codec.startswith(FLOAT_CODECS) else ""
    return f"{repair}asetpts=N/SR/TB,aresample={rate_hz}:rematrix_maxval=1.0,aformat=channel_layouts={layout}"


def _output_layout(stream: AudioStream) -> tuple[str, int]:
    """Return a channel layout that every browser plays, and its number of channels."""
    return {1: ("mono", 1), 6: ("5.1", 6)}.get(stream.channels, ("stereo", 2))
