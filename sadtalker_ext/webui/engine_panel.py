"""The state of the engines and of their checkpoints, and downloading them in the background."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from sadtalker_ext.engines.entry import MISSING
from sadtalker_ext.engines.registry import engine_state
from sadtalker_ext.errors import Cancelled, SadTalkerError
from sadtalker_ext.webui.html import busy, message

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.engines.entry import CheckpointState, EngineState


@dataclass
class Download:
    """The checkpoints being fetched, one thread for all; attributes may be read from any thread."""

    words: str = ""
    share: float = 0.0
    error: str = ""
    _thread: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def running(self) -> bool:
        """Whether something is being fetched."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, names: list[str], folder: Path, mirror: str) -> None:
        """Fetch these checkpoints in the background; nothing happens while others are being fetched."""
        if self.running or not names:
            return
        self.words, self.share, self.error = "Connecting ...", 0.0, ""
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._fetch, args=(names, folder, mirror), name="sadtalker-download", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End it; what has come so far is kept, and the next download goes on from there."""
        self._stop.set()

    def _fetch(self, names: list[str], folder: Path, mirror: str) -> None:
        from sadtalker_ext.weights.catalog import find_catalog_entry
        from sadtalker_ext.weights.fetch import FetchOptions, fetch

        for name in names:

            def report(done: int, total: int, name: str = name) -> None:
                if self._stop.is_set():
                    raise Cancelled("The download was stopped; it will go on from there")
                self.share = done / total
                self.words = f"{name}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"

            try:
                fetch(find_catalog_entry(name), folder, FetchOptions(mirror, report))
            except SadTalkerError as e:
                self.error = str(e)
                return


def panel_view(name: str, folders: tuple[Path, ...], download: Download, deep: bool = False) -> str:
    """HTML of one engine's state; ``deep`` reads every file."""
    state = engine_state(name, folders, deep)
    if state.ready and not state.checkpoints:
        return ""
    parts = [message(state.message, "note" if state.ready else "error"), _table(state)]
    if download.running:
        parts.append(busy(download.words, download.share))
    elif download.error:
        parts.append(message(download.error, "error"))
    parts.append(f'<div class="st-words">Searched, in this order: {escape(", ".join(map(str, folders)))}</div>')
    return "".join(parts)


def _table(state: EngineState) -> str:
    rows = "".join(
        f'<tr><td class="st-{"bad" if file.problem else "good"}">{_mark(file)}</td><td><b>{escape(file.name)}</b><br>'
        f"{escape(_words(file))}</td><td>{file.size_bytes / 1e6:,.0f} MB</td></tr>"
        for file in state.checkpoints
    )
    return f'<table class="st-files"><tbody>{rows}</tbody></table>'


def _words(file: CheckpointState) -> str:
    """What is wrong with it; where the mark says it all, what it is for."""
    return (file.problem if file.problem != MISSING else "") or file.note or file.purpose


def _mark(file: CheckpointState) -> str:
    if not file.problem:
        return "good"
    return MISSING if file.path is None else "bad"
