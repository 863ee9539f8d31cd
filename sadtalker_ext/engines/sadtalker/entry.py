"""Registry entry of the SadTalker engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.entry import EngineEntry, EngineState
from sadtalker_ext.engines.sadtalker import LABEL, NAME, POSE_STYLES
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.system.optional_package import require_package

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sadtalker_ext.engines.protocol import Engine
    from sadtalker_ext.runtime import Runtime

PACKAGES: Final = (("scipy", "scipy"), ("skimage", "scikit-image"))
"""Packages that the starter engine does not need, under their names for import and for pip."""


def open_sadtalker(runtime: Runtime, options: SadTalkerOptions) -> Engine:
    """Open the engine with the checkpoints found on this machine; MissingPackageError if a package is missing."""
    for module, package in PACKAGES:
        require_package(module, package, "The engine sadtalker")
    from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine

    return SadTalkerEngine(runtime, options)


def state(folders: Sequence[Path], deep: bool) -> EngineState:
    """Return whether the checkpoints in ``folders`` suffice; ``deep`` reads every file completely."""
    from sadtalker_ext.engines.sadtalker.state import sadtalker_state

    return sadtalker_state(EngineState(NAME, LABEL), folders, deep)


SADTALKER: Final = EngineEntry(NAME, LABEL, SadTalkerOptions.from_settings, open_sadtalker, state, POSE_STYLES)
