"""Command-line flags generated from Settings, and Settings read from flags."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.registry import setting_specs
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.runtime import AUTO, Runtime
from sadtalker_ext.setting_spec import SettingSpec, parse_angles
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


FILE_SETTINGS: Final = ("restore", "upscale")
"""Settings that name a file; on the command line its folder may stand before it."""


def flag_of(name: str) -> str:
    """The flag of a setting: ``frame_rate`` is ``--frame-rate``."""
    return "--" + name.replace("_", "-")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """One flag for every knob, and ``--settings-from``; a flag that is not given leaves no trace."""
    group = parser.add_argument_group("settings")
    group.add_argument(
        "--settings-from", metavar="FILE", type=Path, default=None,
        help="start from the settings inside an earlier result (mp4) or in a JSON file; flags change them",
    )  # fmt: skip
    for described in setting_specs():
        add_setting(group, described)


def add_setting(group: argparse._ArgumentGroup, described: SettingSpec) -> None:
    """The flag of one knob. Values stay text here: Settings checks them, so every face says the same."""
    flag, default = flag_of(described.name), described.default
    text = f"{described.help} Default: {default if default != '' else 'empty'}".replace("%", "%%")
    if isinstance(default, bool):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=described.help)
        return
    low_high = f"{described.low:g}..{described.high:.10g}" if described.low is not None and described.high else ""
    metavar = "|".join(described.choices) or ("DEGREES" if described.parse is parse_angles else low_high)
    group.add_argument(flag, default=argparse.SUPPRESS, metavar=metavar or described.name.upper(), help=text)


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Flags for how the result is computed; none of them changes it."""
    group = parser.add_argument_group("machine")
    group.add_argument("--device", default=AUTO, help="cpu, cuda, cuda:1, mps; auto takes the best that is there")
    group.add_argument("--dtype", default=AUTO, help="float32, or float16 where the engine offers it")
    group.add_argument("--batch-size", type=int, default=0, metavar="N", help="frames computed at once; 0 is automatic")
    group.add_argument(
        "--folder", type=Path, action="append", default=[],
        help="look here first for checkpoints, restorers and upscalers; may be given several times",
    )  # fmt: skip
    group.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads; 0 is one per core")


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that the flags ask for, on top of those of ``--settings-from``."""
    given = vars(options)
    base = read_settings(options.settings_from).to_mapping() if options.settings_from else {}
    flags = {described.name: given[described.name] for described in Settings.specs() if described.name in given}
    files = {name: path.name for name, path in _files(options).items()}
    return Settings.from_mapping({**base, **flags, **files})


def runtime_of(options: argparse.Namespace) -> Runtime:
    """The runtime that the flags ask for; the folders of files that settings name are searched, too."""
    folders = (*(path.parent for path in _files(options).values()), *options.folder)
    return Runtime(options.device, options.dtype, max(0, options.batch_size), max(0, options.threads), folders)


def _files(options: argparse.Namespace) -> dict[str, Path]:
    """Settings given as a path: they keep the file's name, so that no result tells of this machine's folders."""
    given = {name: Path(getattr(options, name)) for name in FILE_SETTINGS if hasattr(options, name)}
    return {name: path.expanduser() for name, path in given.items() if len(path.parts) > 1}


def read_settings(path: Path) -> Settings:
    """The settings inside a video that this program made, or in a JSON file."""
    if path.suffix.lower() == ".json":
        try:
            return Settings.from_json(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as e:
            raise SettingsError(f"The settings file {path} cannot be read: {e}") from e
    from sadtalker_ext.pipeline.result_metadata import read_record

    return read_record(path).settings


def flags_of(changes: Mapping[str, object]) -> list[str]:
    """The flags that give these settings again."""
    flags = []
    for name, value in changes.items():
        if isinstance(value, bool):
            flags.append(flag_of(name) if value else flag_of("no_" + name))
        else:
            flags.append(f"{flag_of(name)}={value}")
    return flags


def join_negative(words: Sequence[str]) -> list[str]:
    """Words with ``--yaw -10,10`` written as ``--yaw=-10,10``, which argparse would take for two flags."""
    joined: list[str] = []
    angles = {flag_of(described.name) for described in Settings.specs() if described.parse is parse_angles}
    for word in words:
        if joined and joined[-1] in angles and re.match(r"-[\d.]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
