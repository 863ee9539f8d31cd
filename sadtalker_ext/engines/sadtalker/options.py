"""The settings that decide how the SadTalker engine is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sadtalker_ext.settings import Settings


@dataclass(frozen=True)
class SadTalkerOptions:
    """Options of the engine; settings with equal options share one open engine.

    size_px: 256 or 512, side of the square that the official networks render; trained networks state their own.
    mode: a key of :data:`sadtalker_ext.engines.sadtalker.framing.MODES`.
    parity: crop, paste and idle audio of the official code, including its defects.
    seamless: Poisson blending of every frame where the face is pasted back, without the rest of parity.
    """

    size_px: int = 256
    mode: str = "full"
    parity: bool = False
    seamless: bool = False

    @classmethod
    def from_settings(cls, settings: Settings) -> SadTalkerOptions:
        """Return the options that the settings ask for."""
        return cls(int(settings.size), settings.mode, settings.parity, settings.paste == "seamless")
