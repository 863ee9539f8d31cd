"""The extension's options on the webui's settings page, and the folders that they name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import gradio as gr

from sadtalker_ext.engines.registry import engine_names
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.host_access import allowed_hosts, flag, split_list
from sadtalker_ext.webui.host_modules import MISSING, find
from sadtalker_ext.webui.host_paths import data_folder, models_folder
from sadtalker_ext.webui.setting_choices import LABELS, labelled, pose_style_labels, to_label, to_value
from sadtalker_ext.weights.files import search_folders

if TYPE_CHECKING:
    from sadtalker_ext.system.request_guard import AllowedHosts

log = logging.getLogger(__name__)
TITLE: Final = "SadTalker"
SECTION: Final = ("sadtalker", TITLE)
CATEGORY: Final = "sadtalker"
"""Category of the section, in webuis whose settings page has categories."""


class HostOption(NamedTuple):
    """An option of the extension on the webui's settings page; ``choices`` are labels."""

    default: object
    label: str
    choices: tuple[str, ...] = ()


def _default_option(label: str, setting: str) -> HostOption:
    """Return the option with which the page opens for a setting; its default is the setting's own."""
    if setting == "pose_style":
        choices = pose_style_labels(Settings().engine)
    elif setting == "engine":
        choices = [label for label, _ in labelled(setting, engine_names())]
    else:
        choices = list(LABELS[setting].values())
    spec = next(spec for spec in Settings.specs() if spec.name == setting)
    shown = to_label(setting, spec.default, Settings().engine)
    values = dict(zip(spec.choices, choices, strict=True)) if spec.choices else {}
    default = choices[0] if setting == "engine" else values.get(str(shown), shown)
    return HostOption(default, label, tuple(choices))


DEFAULTS: Final = {"engine": "default_engine", "pose_style": "default_style", "quality": "default_quality"}
"""Option with the value that a setting has when the page opens."""
OPTIONS: Final = {
    "default_engine": _default_option("Engine when the page opens", "engine"),
    "default_style": _default_option("Head motion style when the page opens", "pose_style"),
    "default_quality": _default_option("Quality of the video when the page opens", "quality"),
    "output": HostOption("", "Output folder of videos (empty: outputs/SadTalker in the webui's data folder)"),
    "checkpoints": HostOption("", "Checkpoint folder (empty: SadTalker in the webui's models folder)"),
    "keep_engine": HostOption(True, "Keep the engine in memory between videos"),
    "move_model": HostOption(False, "Move the image model off the GPU while a video is made"),
    "api_folders": HostOption("", "Folders whose files API requests may name (separated by commas)"),
    "api_urls": HostOption(False, "Let API requests name public URLs from which files are downloaded"),
    "api_hosts": HostOption("", "Host names accepted in API requests (separated by commas; localhost is always one)"),
}


def option(name: str) -> Any:  # noqa: ANN401 - text or bool
    """Return the value of an option; its default while the webui has no options yet."""
    return getattr(find("shared", "opts"), f"sadtalker_{name}", OPTIONS[name].default)


def add_options() -> None:
    """Add the extension's section to the webui's settings page."""
    add, make = find("shared", "opts.add_option"), find("shared", "OptionInfo")
    if add is None or make is None:
        log.warning(MISSING, "options", "SadTalker uses its own defaults")
        return
    category = _category()
    for name, declared in OPTIONS.items():
        widget = (gr.Dropdown, {"choices": list(declared.choices)}) if declared.choices else ()
        info = make(declared.default, declared.label, *widget, section=SECTION)
        if category:
            info.category_id = category
        add(f"sadtalker_{name}", info)


def _category() -> str:
    """Register a category for the section if the webui's settings page has categories; return its id, or nothing."""
    register = find("options", "categories.register_category")
    if register is None:
        return ""
    register(CATEGORY, TITLE)
    return CATEGORY


def page_defaults() -> dict[str, object]:
    """Return the values of settings with which the page opens; an unusable option has no effect."""
    values = {name: option(key) for name, key in DEFAULTS.items()}
    engine = next((name for label, name in labelled("engine", engine_names()) if label == values["engine"]), None)
    quality = {label: name for name, label in LABELS["quality"].items()}.get(values["quality"])
    style = values["pose_style"] if values["pose_style"] in pose_style_labels(Settings().engine) else None
    chosen = {"engine": engine, "quality": quality, "pose_style": style and to_value("pose_style", style, "")}
    return {name: value for name, value in chosen.items() if value is not None}


def results_folder() -> Path:
    """Return the folder of the videos."""
    return Path(option("output") or data_folder() / "outputs" / TITLE).resolve()


def checkpoint_folders() -> tuple[Path, ...]:
    """Return the folders that are searched for checkpoints; downloads go to the first."""
    chosen = [Path(text) for text in (flag("sadtalker_dir"), option("checkpoints")) if text]
    default = models_folder() / TITLE
    return search_folders(chosen or [default], default)


def api_folders() -> tuple[Path, ...]:
    """Return the folders whose files API requests may name."""
    return tuple(map(Path, split_list(option("api_folders"))))


def webui_hosts() -> AllowedHosts:
    """Return the host names and origins whose requests reach the routes and events of the extension."""
    return allowed_hosts(find("shared", "cmd_opts"), option("api_hosts"))
