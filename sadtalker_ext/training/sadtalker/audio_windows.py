"""Random windows of talking clips for the speech networks: mel windows and motion tracks, without images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.audio.windows import mel_windows
from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.models.audio_encoder import AUDIO_WIDTHS
from sadtalker_ext.training.clips.dataset import ClipStore

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.training.clips.dataset import Clip


@dataclass(frozen=True)
class SpeechModelSize:
    """Configurable sizes of ExpNet and PoseVAE: widths of the audio encoder and of the motion discriminator."""

    name: str
    audio_widths: tuple[int, ...] = AUDIO_WIDTHS
    discriminator_widths: tuple[int, int, int] = (256, 512, 1024)


SIZES: Final = {
    size.name: size
    for size in (
        SpeechModelSize("tiny", (2, 2, 4, 4, 8), (8, 8, 16)),
        SpeechModelSize("small", (8, 16, 32, 64, 128), (32, 64, 128)),
        SpeechModelSize("full"),
    )
}
"""Sizes by name; the names are those of the renderer's sizes. ``full`` is the official configuration."""


def speech_model_size(name: str) -> SpeechModelSize:
    """Return the size called ``name``; SettingsError for an unknown name."""
    if name not in SIZES:
        raise SettingsError(f"There is no size {name!r} of ExpNet and PoseVAE; choose one of {', '.join(SIZES)}")
    return SIZES[name]


@dataclass(frozen=True)
class ClipWindow:
    """Consecutive frames of a clip.

    clip: the whole clip, without images. number: index of the clip in its split. first: index of the first frame.
    """

    clip: Clip
    number: int
    first: int
    frames: int

    def mel(self) -> Float32Array:
        """Return the mel windows (frames, 1, 80, 16) in [-4, 4]."""
        return mel_windows(self.clip.mel.T, range(self.first, self.first + self.frames))

    def cut(self, track: Float32Array) -> Float32Array:
        """Return the rows of the window from a track (T, ...) of the clip."""
        return track[self.first : self.first + self.frames]


class ClipWindowSampler:
    """Random windows of one split of a data set; clips shorter than ``frames`` are skipped.

    MediaError if all clips are shorter.
    """

    def __init__(self, folder: Path, split: str, frames: int) -> None:
        self.store, self.frames = ClipStore(folder, split), frames
        self.eligible = [index for index in range(len(self.store)) if self.store.frame_count(index) >= frames]
        if not self.eligible:
            seconds = frames / FRAME_RATE_HZ
            raise MediaError(
                f"{folder} has no {split} clip of {frames} frames; make clips of {seconds:.1f} seconds or more"
            )

    def sample(self, random: np.random.Generator, count: int) -> list[ClipWindow]:
        """Return ``count`` random windows; every clip is equally likely."""
        return [self._window(self.eligible[int(random.integers(len(self.eligible)))], random) for _ in range(count)]

    def _window(self, number: int, random: np.random.Generator) -> ClipWindow:
        clip = self.store.read_tracks(number)
        return ClipWindow(clip, number, int(random.integers(len(clip) - self.frames + 1)), self.frames)

    def whole_clips(self, limit: int) -> list[ClipWindow]:
        """Return up to ``limit`` whole clips, spread evenly over the split."""
        count = len(self.eligible)
        chosen = np.unique(np.linspace(0, count - 1, min(limit, count)).round().astype(int))
        clips = [(self.store.read_tracks(self.eligible[index]), self.eligible[index]) for index in chosen]
        return [ClipWindow(clip, number, 0, len(clip)) for clip, number in clips]
