"""The engines that exist: to add one, write a package with an :class:`EngineEntry` and add one line here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sadtalker_ext.engines.sadtalker.entry import SADTALKER
from sadtalker_ext.engines.starter.entry import STARTER
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.engines.entry import EngineEntry, EngineState
    from sadtalker_ext.setting_spec import SettingSpec

_ENTRIES: dict[str, EngineEntry] = {}


def register(entry: EngineEntry) -> None:
    """Add an engine; an engine of the same name is replaced."""
    _ENTRIES[entry.name] = entry


register(STARTER)
register(SADTALKER)


def engine_names() -> tuple[str, ...]:
    """Return the names of all engines, in the order in which front ends show them."""
    return tuple(_ENTRIES)


def find_engine(name: str) -> EngineEntry:
    """Return the entry of an engine; a SettingsError lists the names that exist."""
    if name not in _ENTRIES:
        raise SettingsError(f"There is no engine {name!r}; choose {' or '.join(_ENTRIES)}")
    return _ENTRIES[name]


def check_settings(settings: Settings) -> EngineEntry:
    """Return the entry of the chosen engine; raise SettingsError if it does not support a changed setting."""
    entry, changed = find_engine(settings.engine), settings.changes()
    refused = [spec.name for spec in Settings.specs() if spec.name in changed and not spec.supported_by(entry.name)]
    if refused:
        raise SettingsError(
            f"The engine {entry.name} does not support the setting {', '.join(refused)}; keep its default value"
        )
    return entry


def setting_specs() -> Iterator[SettingSpec]:
    """Yield the declarations of all settings, with the names of the engines as choices and in the help."""
    for spec in Settings.specs():
        if spec.name == "engine":
            yield spec._replace(choices=engine_names())
        elif spec.name == "pose_style":
            yield spec._replace(help=f"{spec.help} {_style_names()}")
        elif spec.engines:
            yield spec._replace(help=f"Only for the engine {' and '.join(spec.engines)}. {spec.help}")
        else:
            yield spec


def _style_names() -> str:
    """Return the names of the head motion styles of each engine, or the last number if numbers are their names."""
    texts = []
    for name, entry in _ENTRIES.items():
        styles, last = entry.pose_styles, len(entry.pose_styles) - 1
        numbered = styles == tuple(map(str, range(len(styles))))
        texts.append(f"{name}: 0 to {last}" if numbered else f"{name}: {', '.join(styles)} (0 to {last})")
    return "; ".join(texts) + "."


def setting_spec(name: str) -> SettingSpec:
    """Return the declaration of one setting, as in :func:`setting_specs`."""
    return next(spec for spec in setting_specs() if spec.name == name)


def engine_states(folders: Sequence[Path], deep: bool = False) -> list[EngineState]:
    """Return the state of every engine; ``deep`` reads every checkpoint completely, which takes seconds per file."""
    return [engine_state(name, folders, deep) for name in engine_names()]


def engine_state(name: str, folders: Sequence[Path], deep: bool = False) -> EngineState:
    """Return the state of one engine, judged by the checkpoint files in ``folders``."""
    return find_engine(name).state(folders, deep)
