"""Command-line flags generated from Settings and Runtime, and the records read from parsed flags."""

from __future__ import annotations

import argparse
import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.registry import setting_specs
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.runtime import AUTO, Runtime
from sadtalker_ext.setting_spec import SettingSpec, parse_angles
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE_SETTINGS: Final = ("restore", "upscale", "tts_voice", "weights")
"""Settings that name a file; on the command line the name may include its folder."""
ALSO_PATH: Final = "On the command line, also a path."
SEVERAL_FILES: Final = ("weights",)
"""Those of them that name several files, separated by commas."""

MAX_NUMBER: Final = 1024
"""Largest number of threads, and of frames computed together."""
SHOWN_CHARACTERS: Final = 20
"""Largest part of a wrong number that a message repeats."""

MAX_JSON_BYTES: Final = 1 << 20
"""Largest file of settings that is read; all settings together take less than 2 kB."""


def flag_of(name: str) -> str:
    """Return the flag of a setting: ``--frame-rate`` for ``frame_rate``."""
    return "--" + name.replace("_", "-")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add one flag per setting, and ``--settings-from``; settings without a flag are absent from the result."""
    group = parser.add_argument_group("settings")
    group.add_argument(
        "--settings-from", metavar="FILE", type=Path, default=None,
        help="read the settings stored in an earlier result (mp4) or in a JSON file; other flags override them",
    )  # fmt: skip
    for spec in setting_specs():
        add_setting(group, spec)


def add_setting(group: argparse._ArgumentGroup, spec: SettingSpec) -> None:
    """Add the flag of one setting; its value stays text, so that Settings checks it as for every front end."""
    flag, default = flag_of(spec.name), spec.default
    text = (spec.help[0].lower() + spec.help[1:]).replace("%", "%%")
    if isinstance(default, bool):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text)
        return
    bounds = f"{spec.low:g}..{spec.high:.10g}" if spec.low is not None and spec.high else ""
    metavar = "|".join(spec.choices) or ("DEGREES" if spec.parse is parse_angles else bounds) or spec.name.upper()
    if spec.name in FILE_SETTINGS:
        text += f" {ALSO_PATH}"
    elif spec.form and spec.parse is not parse_angles:
        text += f" Values: {spec.form}."
    text += f" Default: {default if default != '' else 'empty'}"
    group.add_argument(flag, default=argparse.SUPPRESS, metavar=metavar, help=text)


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Add the flags of Runtime, which select how the result is computed but do not change it."""
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--device", default=AUTO, help="cpu, cuda, cuda:1 or mps; auto selects the best available (default: auto)"
    )
    group.add_argument(
        "--dtype", default=AUTO,
        help="float32; for the engine sadtalker also float16 on GPUs, and bfloat16 on GPUs and CPUs that have it "
        "(default: auto: float32 on CPUs, for the engine sadtalker float16 on CUDA)",
    )  # fmt: skip
    group.add_argument(
        "--batch-size", type=partial(whole_number, low=0, high=MAX_NUMBER), default=0, metavar="N",
        help="number of frames computed together; 0 is automatic (default: 0)",
    )  # fmt: skip
    group.add_argument(
        "--folder", type=Path, action="append", default=[],
        help="folder searched first for checkpoints, restorers and upscalers; can be repeated",
    )  # fmt: skip
    group.add_argument(
        "--threads", type=partial(whole_number, low=0, high=MAX_NUMBER), default=0, metavar="N",
        help="number of CPU threads; 0 is one per core (default: 0)",
    )  # fmt: skip


def whole_number(text: str, low: int, high: int) -> int:
    """Return a whole number from ``low`` (0 or more) to ``high``; ArgumentTypeError if the text is none."""
    number = int(text) if text.isdecimal() and len(text) <= len(str(high)) else -1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text[:SHOWN_CHARACTERS]!r} is not a whole number from {low} to {high}")
    return number


def read_settings(options: argparse.Namespace) -> Settings:
    """Return the settings of the flags, based on those of ``--settings-from``."""
    given = vars(options)
    base = read_settings_file(options.settings_from).to_mapping() if options.settings_from else {}
    flags = {spec.name: given[spec.name] for spec in Settings.specs() if spec.name in given}
    files = {name: ",".join(path.name for path in paths) for name, paths in _setting_files(options).items()}
    return Settings.from_mapping({**base, **flags, **files})


def read_runtime(options: argparse.Namespace) -> Runtime:
    """Return the runtime of the flags; its folders include those of files that settings name."""
    files = [path for paths in _setting_files(options).values() for path in paths if _has_folder(path)]
    folders = (*dict.fromkeys(path.parent for path in files), *options.folder)
    for path in files:
        _check_found_first(path, folders)
    return Runtime(options.device, options.dtype, options.batch_size, options.threads, folders)


def _check_found_first(path: Path, folders: Sequence[Path]) -> None:
    """Raise SettingsError if a file that a flag names is found in an earlier one of ``folders`` under its name."""
    first = next((folder / path.name for folder in folders if os.path.isfile(folder / path.name)), path)
    if first != path and not (os.path.isfile(path) and first.samefile(path)):
        raise SettingsError(
            f"{path} cannot be used together with the other files, because there is {first} too and its folder is "
            "searched first; rename one of them, or copy the files into one folder"
        )


def _setting_files(options: argparse.Namespace) -> dict[str, list[Path]]:
    """Return the settings given as paths with a folder; only the file names are stored in the result."""
    given = {name: str(getattr(options, name)) for name in FILE_SETTINGS if hasattr(options, name)}
    files = {}
    for name, text in given.items():
        parts = text.split(",") if name in SEVERAL_FILES else [text]
        paths = [Path(part.strip()).expanduser() for part in parts if part.strip()]
        if any(len(path.parts) > 1 or (name in SEVERAL_FILES and os.path.isfile(path)) for path in paths):
            files[name] = paths
    return files


def _has_folder(path: Path) -> bool:
    """Whether a path says where its file is: in the folder that it names, or in the current one."""
    return len(path.parts) > 1 or os.path.isfile(path)  # unlike Path.is_file, False for an unusable name


def read_settings_file(path: Path) -> Settings:
    """Return the settings stored in a video made by this program, or in a JSON file."""
    if path.suffix.lower() == ".json":
        try:
            return Settings.from_json(_read_text(path))
        except (OSError, UnicodeDecodeError) as e:
            reason = getattr(e, "strerror", None) or e
            raise SettingsError(f"The settings file {path} cannot be read ({reason}); choose another file") from e
        except SettingsError as e:
            raise SettingsError(f"In the settings file {path}: {e}") from e
    from sadtalker_ext.pipeline.result_metadata import read_record

    return read_record(path).settings


def _read_text(path: Path) -> str:
    """Return the text of a JSON file; a byte order mark, which editors on Windows write, is omitted."""
    if path.exists() and not path.is_file():
        raise SettingsError(f"The settings file {path} is not a regular file; choose another file")
    with path.open("rb") as file:
        content = file.read(MAX_JSON_BYTES + 1)
    if len(content) > MAX_JSON_BYTES:
        raise SettingsError(f"The settings file {path} is larger than {MAX_JSON_BYTES >> 20} MB; choose another file")
    return content.decode("utf-8-sig")


def format_flags(settings: Mapping[str, object]) -> list[str]:
    """Return the flags for settings by name and value."""
    flags = []
    for name, value in settings.items():
        if isinstance(value, bool):
            flags.append(flag_of(name) if value else flag_of("no_" + name))
        else:
            flags.append(f"{flag_of(name)}={value}")
    return flags


def join_negative(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--yaw -10,10`` joined to ``--yaw=-10,10``; argparse would read two flags."""
    joined: list[str] = []
    angles = {flag_of(spec.name) for spec in Settings.specs() if spec.parse is parse_angles}
    for argument in arguments:
        if joined and joined[-1] in angles and re.match(r"-[\d.]", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
