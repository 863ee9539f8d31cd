"""The extension's options on the webui's settings page, and the folders that they name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final, NamedTuple

from sadtalker_ext.webui.host_access import flag, split_list
from sadtalker_ext.webui.host_modules import MISSING, find
from sadtalker_ext.webui.host_paths import data_folder, models_folder
from sadtalker_ext.weights.files import search_folders

log = logging.getLogger(__name__)
TITLE: Final = "SadTalker"
SECTION: Final = ("sadtalker", TITLE)


class HostOption(NamedTuple):
    """An option of the extension on the webui's settings page."""

    default: object
    label: str


OPTIONS: Final = {
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
    for name, declared in OPTIONS.items():
        add(f"sadtalker_{name}", make(declared.default, declared.label, section=SECTION))


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
