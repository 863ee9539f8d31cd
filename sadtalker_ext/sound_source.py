"""Which sound of a file is used: its audio track, a channel of it, and the parts of a joined WAV or Ogg file.

The speech that moves the lips and the sound of the result are read with the same :class:`SoundSource`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sadtalker_ext.system.input_files import file_input, part_input, wav_input

_STREAM: Final = re.compile(
    r"^\s*Stream #\S*: Audio: (?P<codec>\w+).*?, (?P<rate>\d+) Hz, (?P<layout>[^,\n]+)(?P<rest>.*)$", re.MULTILINE
)
_DURATION: Final = re.compile(r"^\s*Duration: (\d+):(\d+):(\d+(?:\.\d+)?)", re.MULTILINE)
_ANY_STREAM: Final = re.compile(r"^\s*Stream #\S*: Audio: .*$", re.MULTILINE)
_CHANNELS: Final = {
    "mono": 1, "stereo": 2, "downmix": 2, "2.1": 3, "3.0": 3, "3.0(back)": 3, "4.0": 4, "quad": 4, "quad(side)": 4,
    "3.1": 4, "5.0": 5, "5.0(side)": 5, "4.1": 5, "5.1": 6, "5.1(side)": 6, "6.0": 6, "6.1": 7, "7.0": 7, "7.1": 8,
}  # fmt: skip

GUESSED_CHANNELS: Final = 8
"""Up to this number of channels, ffmpeg assumes a layout if a file states none."""


@dataclass(frozen=True)
class AudioStream:
    """An audio stream.

    codec, layout: names used by ffmpeg. rate_hz: sample rate. channels: 0 if the layout is unusual. is_default: whether
    the file marks it as the track to play. unnamed: number of channels if ffmpeg knows no layout for them, otherwise 0.
    """

    codec: str
    rate_hz: int
    channels: int
    layout: str
    is_default: bool = False
    unnamed: int = 0


def parse_audio_streams(header: str) -> tuple[AudioStream, ...]:
    """Return the audio streams in ffmpeg's description of a file, in their order."""
    streams = []
    for line in _ANY_STREAM.finditer(header):
        found = _STREAM.search(line[0])
        if found is None:
            streams.append(AudioStream("", 0, 0, ""))  # of an unknown format; it keeps its number
            continue
        layout = found["layout"].strip()
        counted = re.match(r"(\d+) channels", layout)
        channels = int(counted[1]) if counted else _CHANNELS.get(layout.split(" ")[0], 0)
        unnamed = channels if counted and channels > GUESSED_CHANNELS else 0
        streams.append(
            AudioStream(found["codec"], int(found["rate"]), channels, layout, "(default)" in found["rest"], unnamed)
        )  # fmt: skip
    return tuple(streams)


def stated_duration_s(header: str) -> float | None:
    """Return the length that an audio file without video states; None if ffmpeg estimates it."""
    found = _DURATION.search(header)
    if found is None or ": Video: " in header or "Estimating duration" in header:
        return None
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


@dataclass(frozen=True)
class SoundSource:
    """The sound of a file.

    track: index among its audio streams, from 0. channel: index of the only channel that is used; None for all.
    unnamed: number of channels that are averaged because the file does not name them, as multitrack recorders do; 0 if
    ffmpeg knows how to mix them.
    parts: begin and end in bytes of each file, if several are joined. form: ffmpeg's demuxer of the parts.
    whole_file: sound follows after the end that the header of a WAV file states.
    """

    path: Path
    track: int = 0
    channel: int | None = None
    unnamed: int = 0
    parts: tuple[tuple[int, int], ...] = ()
    form: str = "wav"
    whole_file: bool = False

    def inputs(self) -> list[str]:
        """Return ffmpeg's arguments for the input, or for several."""
        if len(self.parts) > 1:
            return [word for part in self.parts for word in ("-vn", *part_input(self.path, part, self.form))]
        if self.whole_file:
            return ["-vn", *wav_input(self.path)]
        return ["-vn", *file_input(self.path)]

    def _one_channel(self) -> str:
        """Return the filter that picks a channel or averages unnamed ones; empty if neither is needed."""
        if self.channel is not None:
            return f"pan=mono|c0=c{self.channel},"
        return f"pan=mono|c0<{'+'.join(f'c{at}' for at in range(self.unnamed))}," if self.unnamed else ""

    def output(self, first_input: int, filters: str, after: str = "") -> list[str]:
        """Return ffmpeg's arguments that select the sound and filter it.

        first_input: number of the first input of :meth:`inputs`. filters: applied to each part; parts must have the
        same format after them. after: applied to the whole sound.
        """
        chosen = self._one_channel()
        last = f",{after}" if after else ""
        if len(self.parts) < 2:
            return ["-map", f"{first_input}:a:{self.track}", "-af", f"{chosen}{filters}{last}"]
        chains = [f"[{first_input + at}:a:0]{chosen}{filters}[part{at}]" for at in range(len(self.parts))]
        labels = "".join(f"[part{at}]" for at in range(len(self.parts)))
        joined = f"{labels}concat=n={len(self.parts)}:v=0:a=1{last}[sound]"
        return ["-filter_complex", ";".join([*chains, joined]), "-map", "[sound]"]
