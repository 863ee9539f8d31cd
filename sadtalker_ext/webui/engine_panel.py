"""The panel with the state of an engine and its checkpoints, and the download of checkpoints in the background."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.entry import MISSING
from sadtalker_ext.errors import Cancelled, SadTalkerError
from sadtalker_ext.webui.html import message, progress_bar, with_unit
from sadtalker_ext.webui.page_words import page_text

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.engines.entry import CheckpointState, EngineState

NEEDED: Final = (
    "The SadTalker networks draw sharper faces than the starter engine; a graphics card is advised. They need {size} "
    "of files, downloaded once. Until then, choose the starter engine."
)
GB_FROM_MB: Final = 1000.0
"""Larger downloads are shown in GB."""


@dataclass
class CheckpointDownload:
    """Downloads checkpoints in one background thread; any thread may read the attributes.

    text: progress for the user; empty if no download was started. fraction: downloaded part of the current file, 0 to
    1. error: why the last download failed; empty if it did not.
    """

    text: str = ""
    fraction: float = 0.0
    error: str = ""
    _thread: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def running(self) -> bool:
        """Whether a download is in progress."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, names: list[str], folder: Path, mirror: str) -> None:
        """Download these checkpoints to ``folder``; do nothing while another download is in progress."""
        if self.running or not names:
            return
        self.text, self.fraction, self.error = "Connecting ...", 0.0, ""
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._download, args=(names, folder, mirror), name="sadtalker-download", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop the download; the next one resumes the partial file."""
        self._stop.set()

    def _download(self, names: list[str], folder: Path, mirror: str) -> None:
        from sadtalker_ext.weights.catalog import find_catalog_entry
        from sadtalker_ext.weights.fetch import FetchOptions, fetch

        for name in names:

            def report(done: int, total: int, name: str = name) -> None:
                if self._stop.is_set():
                    raise Cancelled("The download was stopped; it resumes where it stopped")
                self.fraction = done / total
                self.text = f"{name}: {done / 1e6:,.0f} of {with_unit(f'{total / 1e6:,.0f}', 'MB')}"

            try:
                fetch(find_catalog_entry(name), folder, FetchOptions(mirror, report))
            except SadTalkerError as e:
                self.error = str(e)
                return


def to_download_mb(state: EngineState) -> float:
    """Return the size in MB of the checkpoints of an engine that are missing or unusable."""
    return sum(file.size_bytes for file in state.checkpoints if file.problem) / 1e6


def panel_view(state: EngineState, folders: tuple[Path, ...], download: CheckpointDownload) -> str:
    """Return the panel of one engine as HTML, empty if it needs no checkpoints."""
    if state.ready and not state.checkpoints:
        return ""
    size_mb = to_download_mb(state)
    in_gb = size_mb >= GB_FROM_MB
    size = with_unit(f"{size_mb / 1e3:.1f}", "GB") if in_gb else with_unit(f"{size_mb:,.0f}", "MB")
    text = NEEDED.format(size=size)
    parts = [message(text if size_mb else page_text(state.message))]
    parts += [message(page_text(file.problem), "warning") for file in state.checkpoints if _is_unusable(file)]
    if download.running:
        parts.append(progress_bar(download.text, download.fraction))
    elif download.error and size_mb:
        parts.append(message(page_text(download.error), "warning"))
    searched = escape(", ".join(map(str, folders)))
    parts.append(
        f"<details><summary>Files</summary>{_checkpoint_table(state)}"
        f'<div class="st-text">Folders, searched in this order: {searched}</div></details>'
    )
    return "".join(parts)


def _is_unusable(file: CheckpointState) -> bool:
    return bool(file.problem) and file.problem != MISSING


def _checkpoint_table(state: EngineState) -> str:
    rows = "".join(
        f"<tr><td><b>{escape(file.name)}</b><br>{escape(file.note or file.purpose)}<br>"
        f"{with_unit(f'{file.size_bytes / 1e6:,.0f}', 'MB')}, {_status(file)}</td></tr>"
        for file in state.checkpoints
    )
    return f'<table class="st-files"><tbody>{rows}</tbody></table>'


def _status(file: CheckpointState) -> str:
    if not file.problem:
        return "installed"
    return "not downloaded yet" if file.problem == MISSING else "cannot be used"
