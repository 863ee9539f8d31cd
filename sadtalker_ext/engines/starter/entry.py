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


def options(settings: Settings) -> str:
    """Return the names of the user's networks; every other setting may change while the engine is open."""
    return settings.weights


def open_starter(runtime: Runtime, weights: str) -> Engine:
    """Open the engine with the networks of the package, and those that the setting ``weights`` names."""
    from sadtalker_ext.engines.starter.engine import StarterEngine

    if not weights:
        return StarterEngine(runtime)
    from sadtalker_ext.weights.files import search_folders
    from sadtalker_ext.weights.trained import find_trained_weights

    return StarterEngine(runtime, find_trained_weights(weights, search_folders(runtime.folders)))


def state(folders: Sequence[Path], deep: bool) -> EngineState:
    """Return that the engine is ready: its networks ship with the package."""
    return EngineState(NAME, LABEL)


STARTER: Final = EngineEntry(NAME, LABEL, options, open_starter, state, POSE_STYLES)
