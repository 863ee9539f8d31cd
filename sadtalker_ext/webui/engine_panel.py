"""The panel with the state of an engine and its checkpoints, and the download of checkpoints in the background."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from sadtalker_ext.engines.entry import MISSING
from sadtalker_ext.engines.registry import engine_state
from sadtalker_ext.errors import Cancelled, SadTalkerError
from sadtalker_ext.webui.html import message, progress_bar

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.engines.entry import CheckpointState, EngineState


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
                    raise Cancelled("The download was stopped; press Download to resume it")
                self.fraction = done / total
                self.text = f"{name}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"

            try:
                fetch(find_catalog_entry(name), folder, FetchOptions(mirror, report))
            except SadTalkerError as e:
                self.error = str(e)
                return


def panel_view(name: str, folders: tuple[Path, ...], download: CheckpointDownload, deep: bool = False) -> str:
    """Return the panel of one engine as HTML, empty if it needs no checkpoints; ``deep`` reads every file."""
    state = engine_state(name, folders, deep)
    if state.ready and not state.checkpoints:
        return ""
    parts = [message(state.message, "note" if state.ready else "error"), _checkpoint_table(state)]
    if download.running:
        parts.append(progress_bar(download.text, download.fraction))
    elif download.error:
        parts.append(message(download.error, "error"))
    searched = escape(", ".join(map(str, folders)))
    parts.append(f'<div class="st-text">Checkpoint folders, searched in this order: {searched}</div>')
    return "".join(parts)


def _checkpoint_table(state: EngineState) -> str:
    rows = "".join(
        f'<tr><td class="st-{"bad" if file.problem else "good"}">{_status(file)}</td><td><b>{escape(file.name)}</b><br>'
        f"{escape(_description(file))}</td><td>{file.size_bytes / 1e6:,.0f} MB</td></tr>"
        for file in state.checkpoints
    )
    return f'<table class="st-files"><tbody>{rows}</tbody></table>'


def _description(file: CheckpointState) -> str:
    """Return the problem of a checkpoint; if there is none or the status says it already, its note or purpose."""
    return (file.problem if file.problem != MISSING else "") or file.note or file.purpose


def _status(file: CheckpointState) -> str:
    if not file.problem:
        return "OK"
    return MISSING if file.path is None else "unusable"
