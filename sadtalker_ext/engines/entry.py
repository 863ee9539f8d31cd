"""The registry entry of an engine, and the state of its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sadtalker_ext.engines.protocol import Engine
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

MISSING: Final = "missing"
"""Value of :attr:`CheckpointState.problem` for a file that was not found."""


@dataclass(frozen=True)
class CheckpointState:
    """State of one checkpoint file.

    path: where the file is, or None if it was not found.
    problem: a sentence, :data:`MISSING` if there is no such file, or empty.
    """

    name: str
    purpose: str
    size_bytes: int
    licence: str
    path: Path | None
    problem: str
    note: str = ""


@dataclass(frozen=True)
class EngineState:
    """Whether an engine can be used.

    ready: whether a video can be made. message: a sentence on the state.
    references: what the engine can copy from a reference video, as in
        :attr:`~sadtalker_ext.engines.protocol.EngineSpec.references`.
    """

    name: str
    label: str
    ready: bool = True
    message: str = "Ready."
    checkpoints: tuple[CheckpointState, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineEntry:
    """Everything the program knows about an engine before it is opened.

    name: value of the setting ``engine``. label: name shown to users.
    options: returns the part of the settings that decides how the engine is opened, as a hashable value. Two settings
        with equal options share an open engine.
    open: opens the engine; the second argument is a value returned by ``options``.
    state: finds the checkpoints in the given folders without opening the engine; if the second argument is True it
        reads every file completely.
    pose_styles: names of the head motion styles, as in :class:`~sadtalker_ext.engines.protocol.EngineSpec`.
    """

    name: str
    label: str
    options: Callable[[Settings], Hashable]
    open: Callable[[Runtime, Any], Engine]
    state: Callable[[Sequence[Path], bool], EngineState]
    pose_styles: tuple[str, ...] = ()
