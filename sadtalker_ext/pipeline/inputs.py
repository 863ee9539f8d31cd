"""What a video is made from: the portrait, what it says or how long it is silent, and whom it takes after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.ffmpeg import require_file

if TYPE_CHECKING:
    from sadtalker_ext.engines.protocol import EngineSpec

EYES, POSE, EYES_AND_POSE, ALL = "eyes", "pose", "eyes+pose", "all"
USES: Final = (EYES, POSE, EYES_AND_POSE, ALL)


@dataclass(frozen=True)
class Inputs:
    """Either ``voice`` or ``idle_s`` is given; anything else is a SettingsError.

    portrait: a picture, or a video whose first frame is used. voice: any sound, or a video with sound.
    idle_s: seconds that the portrait blinks and moves without a word; the result has no sound.
    reference: a video with a face to take after, or None. reference_use: what is taken from it, one of :data:`USES`;
    empty is eyes and pose.
    """

    portrait: Path
    voice: Path | None = None
    idle_s: float | None = None
    reference: Path | None = None
    reference_use: str = ""

    def __post_init__(self) -> None:
        if self.voice is not None and self.idle_s is not None:
            raise SettingsError(f"An idle clip has no voice: leave out either {self.voice} or the {self.idle_s:g} s")
        if self.voice is None and self.idle_s is None:
            raise SettingsError("Nothing says how long the video is: give a voice, or the seconds of an idle clip")
        if self.reference is None and self.reference_use:
            raise SettingsError(f"There is no reference to take {self.reference_use} from: give a video with a face")
        if self.reference_use not in ("", *USES):
            raise SettingsError(f"A reference can be used for {', '.join(USES)}, not {self.reference_use!r}")

    @property
    def use(self) -> str:
        """What is taken from the reference, one of :data:`USES`."""
        return self.reference_use or EYES_AND_POSE

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read."""
        return tuple(path for path in (self.portrait, self.voice, self.reference) if path is not None)

    def located(self) -> Inputs:
        """The same with files that are there; a MediaError names the first that is not."""
        return Inputs(
            require_file(self.portrait, "portrait"),
            None if self.voice is None else require_file(self.voice, "voice"),
            self.idle_s,
            None if self.reference is None else require_file(self.reference, "reference"),
            self.reference_use,
        )


def check_reference(spec: EngineSpec, inputs: Inputs) -> None:
    """Refuse a reference that this engine would ignore."""
    if inputs.reference is not None and inputs.use not in spec.references:
        raise SettingsError(
            f"The engine {spec.name} cannot take {inputs.use} from the reference {inputs.reference}; leave it out, or "
            "choose the engine sadtalker"
        )
