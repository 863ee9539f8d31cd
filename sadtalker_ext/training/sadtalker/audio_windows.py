"""Pieces of talking clips for the networks that hear: mel windows and what the face did, without pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.audio.windows import mel_windows
from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.models.audio_encoder import AUDIO_WIDTHS
from sadtalker_ext.training.clips.dataset import ClipStore

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.training.clips.dataset import Clip

    Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SoundSize:
    """Sizes of ExpNet and PoseVAE that are free: widths of the audio encoder and of the motion discriminator."""

    name: str
    audio_widths: tuple[int, ...] = AUDIO_WIDTHS
    discriminator_widths: tuple[int, int, int] = (256, 512, 1024)


SIZES: Final = {
    size.name: size
    for size in (
        SoundSize("tiny", (2, 2, 4, 4, 8), (8, 8, 16)),
        SoundSize("small", (8, 16, 32, 64, 128), (32, 64, 128)),
        SoundSize("full"),
    )
}
"""By the names that the renderer's sizes have; ``full`` is the official configuration."""


def sound_size(name: str) -> SoundSize:
    """One of :data:`SIZES`; SettingsError for another name."""
    if name not in SIZES:
        raise SettingsError(f"There is no size {name!r} of ExpNet and PoseVAE; choose one of {', '.join(SIZES)}")
    return SIZES[name]


@dataclass(frozen=True)
class Piece:
    """clip: whole, without pictures. number: of the clip. first: frame where the piece begins."""

    clip: Clip
    number: int
    first: int
    frames: int

    def mel(self) -> Floats:
        """(frames, 1, 80, 16) in [-4, 4]."""
        return mel_windows(self.clip.mel.T, range(self.first, self.first + self.frames))

    def cut(self, track: Floats) -> Floats:
        """The piece's rows of a track (T, ...)."""
        return track[self.first : self.first + self.frames]


class SoundPieces:
    """Draws pieces of one split; clips shorter than ``frames`` are left out."""

    def __init__(self, folder: Path, split: str, frames: int) -> None:
        self.store, self.frames = ClipStore(folder, split), frames
        self.long = [index for index in range(len(self.store)) if self.store.frames(index) >= frames]
        if not self.long:
            raise MediaError(
                f"{folder} has no {split} clip of {frames} frames; make clips of {frames / 25:.1f} seconds or more"
            )

    def draw(self, random: np.random.Generator, count: int) -> list[Piece]:
        """``count`` pieces, every clip equally likely."""
        return [self._piece(self.long[int(random.integers(len(self.long)))], random) for _ in range(count)]

    def _piece(self, number: int, random: np.random.Generator) -> Piece:
        clip = self.store.tracks(number)
        return Piece(clip, number, int(random.integers(len(clip) - self.frames + 1)), self.frames)

    def whole(self, limit: int) -> list[Piece]:
        """Whole clips, at most ``limit`` of them, spread over the split."""
        chosen = np.unique(np.linspace(0, len(self.long) - 1, min(limit, len(self.long))).round().astype(int))
        clips = [(self.store.tracks(self.long[at]), self.long[at]) for at in chosen]
        return [Piece(clip, number, 0, len(clip)) for clip, number in clips]
