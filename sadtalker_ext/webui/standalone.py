"""The page without the webui, as ``sadtalker ui`` serves it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sadtalker_ext.errors import EngineError, SadTalkerError
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.job_queue import JobQueue

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
"""The machine's own: a page that works offline fetches none."""


@dataclass(frozen=True)
class Place:
    """Where the page listens, where the videos go, and whether a browser is opened."""

    host: str
    port: int
    output: Path
    browse: bool = False


def build_page(workshop: JobQueue, place: Place) -> Any:  # noqa: ANN401 - Gradio's Blocks
    """The page as Gradio's Blocks, ready to be launched."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    import gradio as gr

    from sadtalker_ext.webui.compat_events import script
    from sadtalker_ext.webui.page_context import PageContext
    from sadtalker_ext.webui.tab import build_tab
    from sadtalker_ext.weights.files import search_folders

    output = place.output.resolve()
    studio = PageContext(workshop, lambda: output, search_folders, local=place.host in ("127.0.0.1", "localhost"))
    theme = gr.themes.Default(font=list(FONTS), font_mono=["ui-monospace", "Consolas", "monospace"])
    with gr.Blocks(theme=theme, title="SadTalker", css=_text("style.css"), analytics_enabled=False) as page:
        with gr.Column(elem_id="tab_sadtalker"):
            gr.HTML("<h1>SadTalker</h1><p>One portrait and a voice become a video of that person talking.</p>")
            build_tab(studio)
        page.load(None, None, None, **script(f"() => {{ {_text('javascript/sadtalker.js')} }}"))
    return page


def launch(page: Any, place: Place) -> str:  # noqa: ANN401 - Gradio's Blocks
    """Begin to serve in the background; returns the address."""
    try:
        _, address, _ = page.launch(
            server_name=place.host, server_port=place.port, prevent_thread_lock=True, quiet=True, share=False,
            inbrowser=place.browse, allowed_paths=[str(place.output.resolve())], show_api=False,
        )  # fmt: skip
    except OSError as e:
        raise EngineError(f"The page cannot listen on {place.host}:{place.port} ({e}); choose another --port") from e
    return str(address)


def serve(workshop: JobQueue, place: Place) -> str:
    """Serve the page until Ctrl-C; the address is told as soon as it answers."""
    import sys
    import threading

    page = build_page(workshop, place)
    address = launch(page, place)
    sys.stderr.write(f"SadTalker is at {address}\n")
    threading.Thread(target=warm_up, args=(workshop,), name="sadtalker-warm-up", daemon=True).start()
    try:
        page.block_thread()
    finally:
        workshop.close()
    return address


def warm_up(workshop: JobQueue) -> None:
    """Load what the first video needs while somebody looks for a portrait: it begins sooner, and stops sooner."""
    settings = Settings()
    try:
        workshop.engines.acquire(settings, workshop.host.runtime(settings))
    except SadTalkerError as e:
        log.warning("%s", e)


def _text(name: str) -> str:
    """A file that the webui finds by its place beside the package, and an installed package may lack."""
    path = ROOT / name
    return path.read_text("utf-8") if path.is_file() else ""
