"""What the page works with: the workshop, the folders, and what only some machines offer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.webui.engine_panel import Download


@dataclass
class PageContext:
    """results: gives the folder of the videos. checkpoints: gives the folders searched, downloads go to the first.

    restorers: names of the face restorers there are. local: whether the browser runs on this machine, so that a
    folder may be opened for it. prefer: how a person wants to begin: values of settings by name.
    """

    workshop: JobQueue
    results: Callable[[], Path]
    checkpoints: Callable[[], tuple[Path, ...]]
    restorers: Sequence[str] = ()
    local: bool = False
    prefer: Callable[[], dict[str, object]] = dict
    download: Download = field(default_factory=Download)


def open_in_file_manager(folder: Path) -> str:
    """Show a folder on this machine's screen; a sentence that says what happened."""
    if not folder.is_dir():
        return f"There are no results yet; they will be in {folder}"
    opener = {"win32": "explorer", "darwin": "open"}.get(sys.platform, "xdg-open")
    try:
        subprocess.Popen([opener, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return f"The results are in {folder}"
    return f"Opened {folder}"
