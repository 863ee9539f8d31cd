"""A long text that is read aloud in sections by a thread, while the video of earlier sections is made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import Cancelled, MediaError
from sadtalker_ext.pipeline.stages import CANCEL_CHECK_S
from sadtalker_ext.tts.synthesis import AUDIBLE, LEAD_IN_S, SpeechFile
from sadtalker_ext.tts.text_parts import clean_text, split_text

if TYPE_CHECKING:
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.tts.provider import Reader

SECTION_PARTS: Final = (1, 2, 4, 8)
"""Parts of the text in the first sections and in all that follow. One part is about 15 s of speech, so that the video
starts soon; longer sections have fewer joins."""
LEAST_PARTS: Final = 3
"""Texts with fewer parts are read as a whole: they take a few seconds."""
LAST_CHARACTERS: Final = 120
"""Characters of the last section; a shorter one is read with the previous section. In the last section the length of
the video becomes known, and camera paths need some seconds to end."""
SECTION_MIN_S: Final = 0.4
"""Shorter sections are padded with silence, so that motion can be predicted for them."""
_ROUNDING: Final = 0.01
"""Share of a frame by which a length may exceed a whole number of frames: ends of sections are rounded to samples."""


@dataclass(frozen=True)
class SpokenSection:
    """Some sentences of a text.

    number: from 0. path: WAV file of their speech. frames: number of video frames. expected: frames of the whole text,
    estimated from the number of characters read so far; exact, and reached, in the last section only.
    """

    number: int
    path: Path
    frames: int
    expected: int

    def speech(self) -> Speech:
        """Return the speech; silence where the voice reads nothing of the sentences."""
        from sadtalker_ext.audio.speech import open_speech

        return open_speech(self.path, "speech of the text")


@dataclass(frozen=True)
class ReadingPlan:
    """How a text is read. rate_hz: video frames per second. longest_s: longest speech that is allowed, seconds."""

    folder: Path
    rate_hz: float
    longest_s: float


def sections_of(text: str) -> list[list[str]]:
    """Return the parts of a text in sections, which depend on the text only; one section for a short text."""
    parts = split_text(clean_text(text))
    if len(parts) < LEAST_PARTS:
        return [parts]
    sections: list[list[str]] = []
    begin = 0
    while begin < len(parts):
        size = SECTION_PARTS[min(len(sections), len(SECTION_PARTS) - 1)]
        sections.append(parts[begin : begin + size])
        begin += size
    if sum(map(len, sections[-1])) < LAST_CHARACTERS:
        short = sections.pop()
        sections[-1] += short
    return sections


class SpokenText:
    """Reads a text in a separate thread; a context manager that ends the thread.

    path: WAV file with all of the speech, complete when all sections have been read. Each section lasts a whole number
    of video frames; what it lacks is silence. rate_hz: video frames per second.
    """

    def __init__(self, text: str, reader: Reader, plan: ReadingPlan) -> None:
        self.path, self.rate_hz = plan.folder / "speech.wav", plan.rate_hz
        self._reader, self._plan = reader, plan
        self._texts = sections_of(text)
        self._lengths = [sum(map(len, parts)) for parts in self._texts]
        self._sections: list[SpokenSection] = []
        self._error: BaseException | None = None
        self._stopped, self._audible, self._ended = False, False, False
        self._frames_read = 0
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sadtalker-text", daemon=True)

    def __enter__(self) -> SpokenText:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._thread.join()

    def frames_expected(self) -> int:
        """Return the number of video frames, estimated from that of the characters until all of the text is read."""
        with self._change:
            return self._sections[-1].expected if self._sections else 0

    def _expected(self, number: int) -> int:
        """Return the number of video frames, estimated when section ``number`` has been read."""
        if number == len(self._texts) - 1:
            return self._frames_read
        share = sum(self._lengths[: number + 1]) / sum(self._lengths)
        return max(self._frames_read + 1, round(self._frames_read / share))

    def first(self) -> SpokenSection:
        """Wait for the first section, and until something audible has been read."""
        return self._wait(0, audible=True)

    def sections(self, check: Callable[[], None]) -> Iterator[SpokenSection]:
        """Yield every section as soon as it has been read; then the file of all of them is complete.

        check: called while waiting.
        """
        for number in range(len(self._texts)):
            yield self._wait(number, check)
        with self._change:
            while not self._ended:
                if self._error is not None:
                    raise self._error
                self._change.wait(CANCEL_CHECK_S)
                check()

    def frames_when_read(self) -> int:
        """Wait for all of the text and return the number of video frames; an estimate if the reading was stopped."""
        with self._change:
            self._change.wait_for(lambda: self._error is not None or self._ended or self._stopped)
            if self._error is not None:
                raise self._error
        return self.frames_expected()

    def _wait(self, number: int, check: Callable[[], None] = lambda: None, *, audible: bool = False) -> SpokenSection:
        with self._change:
            while True:
                if self._error is not None:
                    raise self._error
                if self._stopped:
                    raise Cancelled("Stopped; no file was written")
                if len(self._sections) > number and (self._audible or not audible):
                    return self._sections[number]
                self._change.wait(CANCEL_CHECK_S)
                check()

    def _run(self) -> None:
        try:
            with SpeechFile(self.path, self._reader.rate_hz) as file:
                for number, parts in enumerate(self._texts):
                    self._read(number, parts, file)
                file.check_audible()
        except _StoppedError:
            return
        except BaseException as e:  # noqa: BLE001 - raised again in the thread that waits for a section
            with self._change:
                self._error = e
                self._change.notify_all()
        else:
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _read(self, number: int, parts: list[str], file: SpeechFile) -> None:
        """Read one section into a separate file and into the file of the whole text."""
        rate_hz, begin = self._reader.rate_hz, file.count
        path = self.path.with_name(f"section_{number}.wav")
        with SpeechFile(path, rate_hz) as alone:
            if number == 0:
                _pad(file, alone, round(LEAD_IN_S * rate_hz))
            for part in parts:
                for samples in self._reader.read(part):
                    file.write(samples)
                    alone.write(samples)
                    self._check(file)
            seconds = max(file.count, begin + SECTION_MIN_S * rate_hz) / rate_hz
            self._frames_read += (frames := ceil(seconds * self._plan.rate_hz - _ROUNDING) - self._frames_read)
            _pad(file, alone, round(self._frames_read / self._plan.rate_hz * rate_hz) - file.count)
        with self._change:
            self._sections.append(SpokenSection(number, path, frames, self._expected(number)))
            self._audible = self._audible or file.peak >= AUDIBLE
            self._change.notify_all()

    def _check(self, file: SpeechFile) -> None:
        if self._stopped:
            raise _StoppedError
        if file.count > self._plan.longest_s * self._reader.rate_hz:
            raise MediaError(f"The text is longer than the allowed {self._plan.longest_s:.0f} s; use a shorter one")


class _StoppedError(Exception):
    """The text is not needed any more."""


def _pad(file: SpeechFile, alone: SpeechFile, count: int) -> None:
    """Append ``count`` samples of silence to both files."""
    for one in (file, alone):
        one.pad_to(one.count + max(0, count))
