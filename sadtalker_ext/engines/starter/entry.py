"""Registry entry of the starter engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.entry import EngineEntry, EngineState
from sadtalker_ext.engines.starter import LABEL, NAME, POSE_STYLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sadtalker_ext.engines.protocol import Engine
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings


def options(settings: Settings) -> tuple[()]:
    """Return no options: every setting may change while the engine is open."""
    return ()


def open_starter(runtime: Runtime, _: tuple[()]) -> Engine:
    """Open the engine."""
    from sadtalker_ext.engines.starter.engine import StarterEngine

    return StarterEngine(runtime)


def state(folders: Sequence[Path], deep: bool) -> EngineState:
    """Return that the engine is ready: its networks ship with the package."""
    return EngineState(NAME, LABEL)


STARTER: Final = EngineEntry(NAME, LABEL, options, open_starter, state, POSE_STYLES)
