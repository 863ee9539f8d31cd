"""Entry point of the extension: registers its tab, settings, script and REST API with stable-diffusion-webui."""

import html
import logging
import sys
from pathlib import Path

FOLDER = str(Path(__file__).resolve().parents[1])
if FOLDER not in sys.path:
    sys.path.insert(0, FOLDER)


def show_failure(error: Exception) -> None:
    """Register a tab that says why the extension cannot be loaded."""
    import gradio as gr
    from modules import script_callbacks

    logging.getLogger(__name__).error("SadTalker cannot be loaded", exc_info=error)
    text = f"SadTalker cannot be loaded: {error}. The log has the details."

    def tabs() -> list[tuple[gr.Blocks, str, str]]:
        with gr.Blocks(analytics_enabled=False) as page:
            gr.HTML(f"<p>{html.escape(text)}</p>")
        return [(page, "SadTalker", "sadtalker")]

    script_callbacks.on_ui_tabs(tabs)


try:
    from sadtalker_ext.api.options import ApiOptions, read_logins
    from sadtalker_ext.api.router import PREFIX, make_router
    from sadtalker_ext.webui.host import RestApi, register
    from sadtalker_ext.webui.host_script import AnimateResults

    register(RestApi(PREFIX, make_router, ApiOptions, read_logins))
    __all__ = ["AnimateResults"]
except Exception as e:  # noqa: BLE001 - whatever a package of the webui raises, the tab must appear and say it
    show_failure(e)
