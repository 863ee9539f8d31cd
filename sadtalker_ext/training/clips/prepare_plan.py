"""Options of ``sadtalker train prepare``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.ffmpeg import require_file

if TYPE_CHECKING:
    from pathlib import Path

CLIP_RANGE_S: Final = (0.4, 60.0)
"""Shortest and longest clip, in seconds."""
SIZE_MULTIPLE_PX: Final = 16
"""The renderer halves its input up to four times."""
MAX_SIZE_PX: Final = 2048
"""Eight times the size that the full renderer is trained at."""


def check_size(size_px: int) -> None:
    """Raise SettingsError if frames of clips cannot have this side length."""
    if not SIZE_MULTIPLE_PX <= size_px <= MAX_SIZE_PX or size_px % SIZE_MULTIPLE_PX:
        raise SettingsError(
            f"--size is {size_px}; it must be a multiple of {SIZE_MULTIPLE_PX} pixels, at most {MAX_SIZE_PX}"
        )


@dataclass(frozen=True)
class PreparePlan:
    """How videos are converted into clips.

    size_px: side length of the frames. shortest_s, longest_s: duration of a clip in seconds.
    coefficients: "bfm" or "puppet". folders: searched for the checkpoint of FaceRecon.
    wav2lip: checkpoint that renders lip-only targets; None uses the measured lips.
    """

    size_px: int = 256
    shortest_s: float = 2.0
    longest_s: float = 4.0
    coefficients: str = "puppet"
    folders: tuple[Path, ...] = ()
    wav2lip: Path | None = None

    def validate(self) -> None:
        """Raise SettingsError or MediaError if an option is out of range or the Wav2Lip file does not exist."""
        check_size(self.size_px)
        low, high = CLIP_RANGE_S
        if not low <= self.shortest_s <= self.longest_s <= high:
            raise SettingsError(
                f"--shortest is {self.shortest_s} and --seconds is {self.longest_s}; they must be between {low:g} and "
                f"{high:g}, and --shortest must not be greater."
            )
        if self.wav2lip is not None:
            require_file(self.wav2lip, "checkpoint of Wav2Lip")
