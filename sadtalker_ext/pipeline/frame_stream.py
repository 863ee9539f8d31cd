"""The frames of one video as an iterator that holds the engine until it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sadtalker_ext.sound_source import SoundSource

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.engines.protocol import VideoTiming
    from sadtalker_ext.pipeline.spoken_text import SpokenText


class FrameStream:
    """Iterator over the frames (H, W, 3) uint8 RGB of one video, in order.

    rate_hz: frames per second. Close it if not all frames are read; the engine is released at the end in any case. The
    frames of a long text begin before all of it is read aloud; ``frame_count``, ``len()`` and ``sound`` wait for it.
    """

    def __init__(
        self, frames: Iterator[Frame], timing: VideoTiming, notes: Sequence[str], release: Callable[[], None],
        sound: SoundSource | SpokenText | None = None,
    ) -> None:  # fmt: skip
        """Keep what the frames need.

        notes: sentences, to which ``frames`` may add some. sound: of the video, or the text that is read meanwhile.
        """
        self.rate_hz = timing.rate_hz
        self._frame_count, self._sound = timing.frames, sound
        self._notes = notes
        self._frames = frames
        self._release: Callable[[], None] | None = release
        self._cleanup: Callable[[], None] | None = None

    @property
    def frame_count(self) -> int:
        """Number of frames; an estimate if the stream of a text was closed before all of it was read."""
        sound = self._sound
        return self._frame_count if sound is None or isinstance(sound, SoundSource) else sound.frames_when_read()

    @property
    def sound(self) -> SoundSource | None:
        """The sound of the video, or None; that of a text is a file which exists until the stream ends or is closed."""
        sound = self._sound
        if sound is None or isinstance(sound, SoundSource):
            return sound
        sound.frames_when_read()
        return SoundSource(sound.path)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user; those about motion that is predicted between frames are added at the end."""
        return tuple(self._notes)

    def when_closed(self, cleanup: Callable[[], None]) -> None:
        """Call ``cleanup`` after the engine has been released."""
        self._cleanup = cleanup

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        try:
            return next(self._frames)
        except BaseException:  # the end of the video, or an error
            self.close()
            raise

    def __len__(self) -> int:
        return self.frame_count

    def close(self) -> None:
        """Stop rendering and release the engine; a second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            try:
                close_frames = getattr(self._frames, "close", None)
                if close_frames is not None:
                    close_frames()
            finally:
                with ExitStack() as stack:
                    if self._cleanup is not None:
                        stack.callback(self._cleanup)
                    release()
