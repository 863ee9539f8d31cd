"""The context of a page: the job queue, folders, and abilities of the machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.webui.engine_panel import CheckpointDownload


@dataclass
class PageContext:
    """What the widgets and actions of one page share.

    results_folder: returns the folder of the videos.
    checkpoint_folders: returns the folders that are searched for checkpoints; downloads go to the first.
    restorers: names of the host's face restorers and upscalers.
    local: whether the browser runs on this machine, so that the server may open a folder in the file manager.
    """

    queue: JobQueue
    results_folder: Callable[[], Path]
    checkpoint_folders: Callable[[], tuple[Path, ...]]
    restorers: Sequence[str] = ()
    local: bool = False
    download: CheckpointDownload = field(default_factory=CheckpointDownload)


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
