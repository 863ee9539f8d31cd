"""The context of a page: the job queue, folders, and abilities of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.webui.engine_panel import CheckpointDownload


@dataclass
class PageContext:
    """What the widgets and actions of one page share.

    results_folder: returns the folder of the videos.
    checkpoint_folders: returns the folders that are searched for checkpoints; downloads go to the first.
    restorers, upscalers: names that the host offers for the settings ``restore`` and ``upscale``.
    local: whether the browser runs on this machine, so that it may delete results and open their folder.
    defaults: values of settings with which the page opens, in place of their defaults.
    """

    queue: JobQueue
    results_folder: Callable[[], Path]
    checkpoint_folders: Callable[[], tuple[Path, ...]]
    restorers: Sequence[str] = ()
    upscalers: Sequence[str] = ()
    local: bool = False
    defaults: Mapping[str, object] = field(default_factory=dict)
    download: CheckpointDownload = field(default_factory=CheckpointDownload)

    @property
    def has_desktop(self) -> bool:
        """Whether the user sits at this machine and it has a file manager."""
        return self.local and has_desktop()


def has_desktop() -> bool:
    """Whether programs with windows can be opened on this machine."""
    return sys.platform in ("win32", "darwin") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def open_in_file_manager(folder: Path) -> str:
    """Open a folder in the file manager of this machine; return a sentence that says what happened."""
    if not folder.is_dir():
        return f"There are no results yet; they will be saved in {folder}"
    opener = {"win32": "explorer", "darwin": "open"}.get(sys.platform, "xdg-open")
    try:
        subprocess.Popen([opener, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return f"The results are in {folder}"
    return f"Opened {folder}"
