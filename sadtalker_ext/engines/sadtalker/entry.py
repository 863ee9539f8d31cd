"""Registry entry of the SadTalker engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.entry import EngineEntry, EngineState
from sadtalker_ext.engines.sadtalker import LABEL, NAME
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sadtalker_ext.engines.protocol import Engine
    from sadtalker_ext.runtime import Runtime


def open_sadtalker(runtime: Runtime, options: SadTalkerOptions) -> Engine:
    """Open the engine with the checkpoints found on this machine."""
    from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine

    return SadTalkerEngine(runtime, options)


def state(folders: Sequence[Path], deep: bool) -> EngineState:
    """Return whether the checkpoints in ``folders`` suffice; ``deep`` reads every file completely."""
    from sadtalker_ext.engines.sadtalker.state import sadtalker_state

    return sadtalker_state(EngineState(NAME, LABEL), folders, deep)


SADTALKER: Final = EngineEntry(NAME, LABEL, SadTalkerOptions.from_settings, open_sadtalker, state)
