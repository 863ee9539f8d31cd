"""The page without the webui, as ``sadtalker ui`` serves it."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
import threading
import webbrowser
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sadtalker_ext.errors import MediaError, SadTalkerError
from sadtalker_ext.settings import Settings
from sadtalker_ext.system.request_guard import AllowedHosts, RequestGuard, is_loopback
from sadtalker_ext.webui.page_server import PageServer
from sadtalker_ext.webui.uploads import FOLDER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from sadtalker_ext.pipeline.job_queue import JobQueue
    from sadtalker_ext.system.request_guard import App

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
"""The machine's own: a page that works offline fetches none."""


@dataclass(frozen=True)
class Place:
    """Where the page listens, where the videos go, whether a browser is opened, and further names of the server.

    allow_hosts: as ``names`` of :class:`~sadtalker_ext.system.request_guard.AllowedHosts`.
    """

    host: str
    port: int
    output: Path
    browse: bool = False
    allow_hosts: tuple[str, ...] = ()


def build_page(workshop: JobQueue, place: Place) -> Any:  # noqa: ANN401 - Gradio's Blocks
    """The page as Gradio's Blocks, ready to be launched."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    use_own_upload_folder()
    import gradio as gr

    from sadtalker_ext.webui.compat_events import script
    from sadtalker_ext.webui.page_context import PageContext
    from sadtalker_ext.webui.tab import build_tab
    from sadtalker_ext.weights.files import search_folders

    output = place.output.resolve()
    studio = PageContext(workshop, lambda: output, search_folders, local=is_loopback(place.host))
    theme = gr.themes.Default(font=list(FONTS), font_mono=["ui-monospace", "Consolas", "monospace"])
    with gr.Blocks(theme=theme, title="SadTalker", css=_text("style.css"), analytics_enabled=False) as page:
        with gr.Column(elem_id="tab_sadtalker"):
            gr.HTML("<h1>SadTalker</h1><p>One portrait and a voice become a video of that person talking.</p>")
            build_tab(studio)
        page.load(None, None, None, **script(f"() => {{ {_text('javascript/sadtalker.js')} }}"))
    return page


def use_own_upload_folder() -> None:
    """Keep uploads in a folder that is only this process's and is removed at its end, unless the user names one.

    Gradio's own folder is shared by every Gradio program of the machine.
    """
    if os.environ.get(FOLDER_VARIABLE):
        return
    folder = tempfile.mkdtemp(prefix="sadtalker_uploads_")
    os.environ[FOLDER_VARIABLE] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def page_app(page: Any, place: Place) -> App:  # noqa: ANN401 - Gradio's Blocks
    """The page as an ASGI application that answers only requests of its own origin for names of this server."""
    import gradio as gr
    from fastapi import FastAPI

    from sadtalker_ext.webui.compat_inputs import gradio_3
    from sadtalker_ext.webui.page_gate import PageGate

    page.validate_inputs = partial(_check_inputs, page.validate_inputs)
    page.show_error = page.show_api = False
    more: dict[str, Any] = {} if gradio_3() else {"show_error": False}
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    inner = gr.mount_gradio_app(outer, page, path="/", **more)
    return RequestGuard(PageGate(inner), AllowedHosts(bound=place.host, names=place.allow_hosts))


def _check_inputs(validate: Callable[..., None], function: Any, inputs: Any) -> None:  # noqa: ANN401 - Gradio's own
    """Check the values of a request before any component sees them."""
    import gradio as gr

    from sadtalker_ext.webui.uploads import check_values

    try:
        check_values(inputs)
    except MediaError as e:
        raise gr.Error(str(e)) from e
    validate(function, inputs)


def launch(page: Any, place: Place) -> PageServer:  # noqa: ANN401 - Gradio's Blocks
    """Begin to serve in the background."""
    server = PageServer(page_app(page, place), place.host, place.port)
    if place.browse:
        webbrowser.open(server.address)
    return server


def serve(workshop: JobQueue, place: Place) -> str:
    """Serve the page until Ctrl-C; the address is told as soon as it answers."""
    page = build_page(workshop, place)
    server = launch(page, place)
    sys.stderr.write(f"SadTalker is at {server.address}\n")
    threading.Thread(target=warm_up, args=(workshop,), name="sadtalker-warm-up", daemon=True).start()
    try:
        server.wait()
    finally:
        server.close()
        workshop.close()
    return server.address


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
