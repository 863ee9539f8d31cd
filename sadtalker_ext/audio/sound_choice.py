"""Choice of the sound of a file: the track, the channels and the parts that contain the speech."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sadtalker_ext.audio.decoding import decode
from sadtalker_ext.constants import MAX_CLIP_S, MAX_SAMPLE, SAMPLE_RATE_HZ, SILENT_PEAK
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import read_header
from sadtalker_ext.sound_source import AudioStream, SoundSource, parse_audio_streams, stated_duration_s
from sadtalker_ext.system.ogg_file import chained_parts
from sadtalker_ext.system.wav_file import MAX_PARTS, WavFile, read_wav_file

BLOCK: Final = 1 << 16
"""Samples that are measured at once: four seconds."""
QUIET_PEAK: Final = 0.1
"""The channels of a track are compared if the peak of their mix is below this part of full scale (-20 dB)."""
CANCELLED: Final = 0.2
"""Loudness of the mix of two channels, relative to the louder one, below which they cancel each other.

Unrelated channels give 0.7, a single one 0.5, and one channel that is the other one inverted, 10 % louder, 0.05.
"""
MIN_RATE_HZ: Final = 1000
"""Lowest sample rate; speech needs 8000. A file of 100 bytes can state 1 sample per second, and last for days."""
MAX_CHANNELS: Final = 64
"""Channels that ffmpeg mixes; the largest field recorders write 64."""
ALONE: Final = 0.5
"""Loudness of the mix of unnamed channels, relative to the loudest one, below which that one is used alone.

A multitrack recording with one voice on 32 channels gives 0.03: its mix would be almost silent.
"""
LOST_S: Final = 1.0
LOST_SHARE: Final = 0.05
"""Sound that is missing at the end of a file is reported from this length, and this part of the stated length, on."""


@dataclass(frozen=True)
class SoundChoice:
    """The chosen sound and its measurements; see :class:`~sadtalker_ext.audio.speech.Speech`."""

    source: SoundSource
    sample_count: int
    peak: float
    repaired: bool = False
    notes: tuple[str, ...] = ()


def choose_sound(file: FileRef, track: int) -> SoundChoice:
    """Return the sound of a file that is used, with its length and peak, which are measured by decoding.

    track: number from 1; 0 chooses the default track, or if it is silent, the next one that is not. Channels that
    cancel each other in a mono mix are replaced by the loudest of them.
    """
    header = read_header(file.path, file.role)
    streams = parse_audio_streams(header)
    if track > len(streams):
        tracks = "1 audio track" if len(streams) == 1 else f"{len(streams)} audio tracks"
        raise MediaError("The ", file, f" has {tracks}, but not track {track}: choose one of these")
    source, notes = _whole_source(file)
    if track or len(streams) < 2:
        choice = _measure_track(file, replace(source, track=max(0, track - 1)), streams)
    else:
        choice = _first_with_sound(file, source, streams)
    cut = _cut_note(file.role, header, choice) if len(streams) == 1 and not notes else ()
    return replace(choice, notes=(*notes, *choice.notes, *cut))


def _first_with_sound(file: FileRef, source: SoundSource, streams: tuple[AudioStream, ...]) -> SoundChoice:
    """Return the first track that is not silent, beginning with default tracks; the first one if all are silent."""
    order = sorted(range(len(streams)), key=lambda track: not streams[track].is_default)
    first = None
    for number in order:
        choice = _measure_track(file, replace(source, track=number), streams)
        if choice.peak >= SILENT_PEAK:
            if number == order[0]:
                return choice
            note = f"Track {order[0] + 1} of the {file.role} is silent; track {number + 1} is used."
            return replace(choice, notes=(*choice.notes, note))
        first = first or choice
    assert first is not None  # noqa: S101 - there are at least two tracks
    return first


def _measure_track(file: FileRef, source: SoundSource, streams: tuple[AudioStream, ...]) -> SoundChoice:
    if source.track < len(streams):
        _check_format(file, streams[source.track])
        source = replace(source, unnamed=streams[source.track].unnamed)
    count, peak = _measure(file, source)
    if not peak <= MAX_SAMPLE:  # NaN compares as False
        count, peak = _measure(file, source, repair=True)
        return SoundChoice(source, count, peak, repaired=True)
    channels = streams[source.track].channels if source.track < len(streams) else 0
    if channels < 2 or (peak >= QUIET_PEAK and not source.unnamed) or len(source.parts) > 1:
        return SoundChoice(source, count, peak)
    channel, channel_peak = _cancelled_channel(source, file.role, channels)
    if channel is None:
        return SoundChoice(source, count, peak)
    reason = "have no names" if source.unnamed else "cancel each other when they are mixed"
    chosen = f"the loudest, channel {channel + 1}," if source.unnamed else f"channel {channel + 1}"
    note = f"The channels of the {file.role} {reason}; {chosen} is used."
    return SoundChoice(replace(source, channel=channel), count, channel_peak, notes=(note,))


def _check_format(file: FileRef, stream: AudioStream) -> None:
    """Raise MediaError for a sample rate or number of channels that cannot be converted."""
    if 0 < stream.rate_hz < MIN_RATE_HZ:
        raise MediaError(
            "The ", file, f" states a sample rate of {stream.rate_hz} Hz, below {MIN_RATE_HZ} Hz: export it again, for "
            "example as WAV",
        )  # fmt: skip
    if stream.channels > MAX_CHANNELS:
        raise MediaError(
            "The ", file, f" has {stream.channels} channels, more than {MAX_CHANNELS}: export the channel of the voice"
        )


def _measure(file: FileRef, source: SoundSource, *, repair: bool = False) -> tuple[int, float]:
    """Return the number of samples and their peak, NaN if any sample is; MediaError if there are too many."""
    limit = round(MAX_CLIP_S * SAMPLE_RATE_HZ)
    count, peak = 0, np.float32(0.0)
    for samples in decode(source, file.role, BLOCK, repair=repair):
        count, peak = count + len(samples), np.maximum(peak, np.abs(samples).max(initial=0.0))  # keeps NaN
        if count > limit:
            raise MediaError("The ", file, f" is longer than {MAX_CLIP_S / 3600:.0f} hours: cut it into parts")
    return count, float(peak)


def _cancelled_channel(source: SoundSource, role: str, channels: int) -> tuple[int | None, float]:
    """Return the loudest channel and its peak if the mean of all is far below it; otherwise None."""
    energy, peaks, mixed = np.zeros(channels), np.zeros(channels), 0.0
    for samples in decode(replace(source, unnamed=0), role, BLOCK * channels, mono=False):
        frames = samples[: len(samples) // channels * channels].reshape(-1, channels).astype(np.float64)
        energy += (frames**2).sum(axis=0)
        peaks = np.maximum(peaks, np.abs(frames).max(axis=0, initial=0.0))
        mixed += float((frames.mean(axis=1) ** 2).sum())
    loudest = int(np.argmax(energy))
    enough = ALONE if source.unnamed else CANCELLED * (2 / channels)
    if peaks[loudest] < SILENT_PEAK or np.sqrt(mixed) >= enough * np.sqrt(energy[loudest]):
        return None, 0.0
    return loudest, float(peaks[loudest])


def _whole_source(file: FileRef) -> tuple[SoundSource, tuple[str, ...]]:
    """Return the sound of all parts of a file, and a sentence if its header does not describe it."""
    source = SoundSource(file.path)
    wav = read_wav_file(file.path)
    if wav is None:
        return _chained_source(file)
    if len(wav.parts) > MAX_PARTS:
        raise MediaError("The ", file, f" consists of more than {MAX_PARTS} joined WAV files: export it as one")
    if len(wav.parts) > 1:
        note = (
            f"The {file.role} consists of {len(wav.parts)} joined WAV files; all of them are used, one after another."
        )
        return replace(source, parts=wav.parts), (note, *_end_note(file.role, wav))
    return replace(source, whole_file=wav.is_short), _end_note(file.role, wav)


def _chained_source(file: FileRef) -> tuple[SoundSource, tuple[str, ...]]:
    """Return the sound of an Ogg file whose format changes, with a sentence; that of any other file as it is."""
    source, parts = SoundSource(file.path), chained_parts(file.path)
    if not parts:
        return source, ()
    if len(parts) > MAX_PARTS:
        raise MediaError("The ", file, f" consists of more than {MAX_PARTS} joined Ogg files: export it as one")
    note = f"The {file.role} consists of {len(parts)} joined Ogg files of different formats; all of them are used."
    return replace(source, parts=parts, form="ogg"), (note,)


def _end_note(role: str, wav: WavFile) -> tuple[str, ...]:
    if wav.is_short and len(wav.parts) == 1:
        return (
            f"The header of the {role} states {wav.stated_s:.1f} s, but there are {wav.present_s:.1f} s of sound; all "
            "of it is used.",
        )  # fmt: skip
    return (_lost_note(role, wav.stated_s or 0.0, wav.present_s),) if wav.is_cut else ()


def _cut_note(role: str, header: str, choice: SoundChoice) -> tuple[str, ...]:
    """Return a sentence if a file without video ends before the length that it states."""
    stated_s, present_s = stated_duration_s(header), choice.sample_count / SAMPLE_RATE_HZ
    if stated_s is None or stated_s - present_s < max(LOST_S, LOST_SHARE * stated_s):
        return ()
    return (_lost_note(role, stated_s, present_s),)


def _lost_note(role: str, stated_s: float, present_s: float) -> str:
    return (
        f"The {role} ends after {present_s:.1f} s, although its header states {stated_s:.1f} s; what is there is used."
    )
