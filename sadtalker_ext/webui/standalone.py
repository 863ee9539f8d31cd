"""The web UI without stable-diffusion-webui, as ``sadtalker ui`` serves it."""

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
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import EngineError, MediaError, SadTalkerError
from sadtalker_ext.settings import Settings
from sadtalker_ext.system.request_guard import AllowedHosts, RequestGuard, is_loopback
from sadtalker_ext.webui.page_assets import page_script, page_style
from sadtalker_ext.webui.page_server import PageServer
from sadtalker_ext.webui.share_link import LIFETIME, host_name, open_share_link
from sadtalker_ext.webui.uploads import FOLDER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from sadtalker_ext.pipeline.job_queue import JobQueue

log = logging.getLogger(__name__)

FONTS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
"""Fonts of the system, so that the page downloads none and works offline."""


@dataclass(frozen=True)
class PageOptions:
    """Options of the server.

    host, port: address to listen on. output: folder of the videos.
    open_browser: whether to open the page in a browser.
    allow_hosts: further host names, as ``names`` of :class:`~sadtalker_ext.system.request_guard.AllowedHosts`.
    share: whether to make the page available to everyone who knows a temporary public address.
    """

    host: str
    port: int
    output: Path
    open_browser: bool = False
    allow_hosts: tuple[str, ...] = ()
    share: bool = False

    @property
    def local(self) -> bool:
        """Whether only users of this machine see the page."""
        return is_loopback(self.host) and not self.share


def build_page(queue: JobQueue, options: PageOptions) -> Any:  # noqa: ANN401 - Gradio's Blocks
    """Return the page as Gradio's Blocks, ready to be served."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    use_own_upload_folder()
    import gradio as gr

    from sadtalker_ext.webui.compat_events import js_argument
    from sadtalker_ext.webui.page_context import PageContext
    from sadtalker_ext.webui.tab import build_tab
    from sadtalker_ext.weights.files import search_folders

    output = options.output.resolve()
    context = PageContext(queue, lambda: output, search_folders, local=options.local)
    theme = gr.themes.Default(font=list(FONTS), font_mono=["ui-monospace", "Consolas", "monospace"])
    with gr.Blocks(theme=theme, title="SadTalker", css=page_style(), analytics_enabled=False) as page:
        with gr.Column(elem_id="tab_sadtalker"):
            gr.HTML("<h1>SadTalker</h1><p>A talking video from one portrait and a voice</p>", elem_id="sadtalker_title")
            build_tab(context)
        page.load(None, None, None, **js_argument(f"() => {{ {page_script()} }}"))
    return page


def use_own_upload_folder() -> None:
    """Use an upload folder of this process, removed at exit, unless the user chose one with the environment variable.

    Gradio's default folder is shared by all Gradio programs on the machine.
    """
    if os.environ.get(FOLDER_VARIABLE):
        return
    folder = tempfile.mkdtemp(prefix="sadtalker_uploads_")
    os.environ[FOLDER_VARIABLE] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def page_app(page: Any, options: PageOptions) -> RequestGuard:  # noqa: ANN401 - Gradio's Blocks
    """Return the page as an ASGI application that answers only its own origin under the names of this server."""
    import gradio as gr
    from fastapi import FastAPI

    from sadtalker_ext.webui.compat_errors import shorten_refusals
    from sadtalker_ext.webui.compat_inputs import is_gradio_3
    from sadtalker_ext.webui.page_gate import PageGate

    shorten_refusals()

    page.validate_inputs = partial(_validate_inputs, page.validate_inputs)
    page.show_error = page.show_api = False
    arguments: dict[str, Any] = {} if is_gradio_3() else {"show_error": False}
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    inner = gr.mount_gradio_app(outer, page, path="/", **arguments)
    return RequestGuard(PageGate(inner), AllowedHosts(bound=options.host, names=options.allow_hosts))


def _validate_inputs(validate: Callable[..., None], function: Any, inputs: Any) -> None:  # noqa: ANN401 - Gradio's own
    """Check the values of a request before a component processes them, then call Gradio's own ``validate``."""
    import gradio as gr

    from sadtalker_ext.webui.uploads import check_values

    try:
        check_values(inputs)
    except MediaError as e:
        raise gr.Error(str(e)) from e
    validate(function, inputs)


def launch(page: Any, options: PageOptions) -> PageServer:  # noqa: ANN401 - Gradio's Blocks
    """Start to serve the page in the background, and write its addresses to stderr as soon as each is available."""
    app = page_app(page, options)
    server = PageServer(app, options.host, options.port)
    sys.stderr.write(f"SadTalker is at {server.address}\n")
    if options.share:
        threading.Thread(target=_share, args=(server, app), name="sadtalker-share", daemon=True).start()
    if options.open_browser:
        webbrowser.open(server.address)
    return server


def _share(server: PageServer, app: RequestGuard) -> None:
    """Open a public address for the server and write it to stderr, or why there is none."""
    try:
        address = open_share_link(server.port)
    except EngineError as e:
        sys.stderr.write(f"{e}. The page continues without one at {server.address}\n")
        return
    app.allow_host(host_name(address))
    sys.stderr.write(f"Everyone who knows this address can use the page for up to {LIFETIME}: {address}\n")


def serve(queue: JobQueue, options: PageOptions) -> str:
    """Serve the page until Ctrl-C, and return its address."""
    page = build_page(queue, options)
    server = launch(page, options)
    threading.Thread(target=warm_up, args=(queue,), name="sadtalker-warm-up", daemon=True).start()
    try:
        server.wait()
    finally:
        server.close()
        queue.close()
    return server.address


def warm_up(queue: JobQueue) -> None:
    """Open the default engine, so that the first job starts sooner and can be stopped sooner."""
    settings = Settings()
    try:
        queue.engines.acquire(settings, queue.host.runtime(settings))
    except SadTalkerError as e:
        log.warning("%s", e)
