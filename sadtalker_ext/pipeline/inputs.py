"""The inputs of a video: portrait; voice, text or duration of an idle clip; and reference video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.constants import MAX_CLIP_S
from sadtalker_ext.errors import FileRef, SettingsError
from sadtalker_ext.ffmpeg import require_file

if TYPE_CHECKING:
    from sadtalker_ext.engines.protocol import EngineSpec

EYES, POSE, EYES_AND_POSE, ALL = "eyes", "pose", "eyes+pose", "all"
USES: Final = (EYES, POSE, EYES_AND_POSE, ALL)
"""What can be copied from a reference video."""


@dataclass(frozen=True)
class Inputs:
    """Inputs of one video. Exactly one of ``voice``, ``text`` and ``idle_s`` is given; otherwise SettingsError.

    portrait: a picture, or a video of which one frame is used.
    voice: an audio file, or a video with sound.
    idle_s: duration in seconds of a clip in which the portrait blinks and moves without speaking; it has no sound.
    reference: a video whose face motion is copied, or None.
    reference_use: what is copied from it, one of :data:`USES`; empty means eyes+pose.
    text: speech as text, read aloud by the voice of the setting tts_voice.
    longest_s: longest speech of the text that is allowed, seconds; MediaError if it takes longer.
    """

    portrait: Path
    voice: Path | None = None
    idle_s: float | None = None
    reference: Path | None = None
    reference_use: str = ""
    text: str | None = None
    longest_s: float = MAX_CLIP_S

    def __post_init__(self) -> None:
        if self.text is not None and (self.voice is not None or self.idle_s is not None):
            raise SettingsError("A text replaces the voice and the idle clip; give only one of the three")
        if self.voice is not None and self.idle_s is not None:
            raise SettingsError(
                "An idle clip has no voice; omit either the ", FileRef("voice", self.voice),
                f" or the duration of {self.idle_s:g} s",
            )  # fmt: skip
        if self.voice is None and self.idle_s is None and self.text is None:
            raise SettingsError(
                "The length of the video is unknown; give a voice, a text, or the duration of an idle clip"
            )
        if self.reference is None and self.reference_use:
            raise SettingsError(f"There is no reference video to copy {self.reference_use} from; give one")
        if self.reference_use not in ("", *USES):
            raise SettingsError(f"The reference use is {self.reference_use!r}, but it accepts one of {', '.join(USES)}")

    @property
    def use(self) -> str:
        """What is copied from the reference, one of :data:`USES`."""
        return self.reference_use or EYES_AND_POSE

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read."""
        return tuple(path for path in (self.portrait, self.voice, self.reference) if path is not None)

    def located(self) -> Inputs:
        """Return the inputs after checking that each file exists; MediaError for the first that does not."""
        return replace(
            self,
            portrait=require_file(self.portrait, "portrait"),
            voice=None if self.voice is None else require_file(self.voice, "voice"),
            reference=None if self.reference is None else require_file(self.reference, "reference"),
        )


def check_reference(spec: EngineSpec, inputs: Inputs) -> None:
    """Raise SettingsError if the engine does not support the reference."""
    if inputs.reference is not None and inputs.use not in spec.references:
        raise SettingsError(
            f"The engine {spec.name} cannot copy {inputs.use} from the ", FileRef("reference", inputs.reference),
            "; omit it, or choose an engine that supports reference videos",
        )  # fmt: skip
