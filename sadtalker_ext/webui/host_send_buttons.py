"""Buttons in the webui's other tabs that send a picture to the SadTalker tab."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr

from sadtalker_ext.webui.host_infotext import can_connect, connect, set_target
from sadtalker_ext.webui.host_widgets import tool_button

TAB: Final = "sadtalker"
SOURCES: Final = ("txt2img", "img2img", "extras")
PNG_INFO: Final = "pnginfo"


class SendButtons:
    """Adds a button beside the webui's own send buttons while the webui builds its page.

    The buttons are connected when their target is known: the webui does not start if a connected button has none.
    """

    def __init__(self) -> None:
        self._pictures: dict[str, Any] = {}
        self._buttons: list[tuple[Any, Any]] = []

    def after_component(self, component: Any, **options: Any) -> None:  # noqa: ANN401 - the webui's callback
        """Handle one component of the webui's page; the webui calls this for each of them."""
        elem_id = str(options.get("elem_id") or "")
        source = elem_id.removesuffix("_gallery").removesuffix("_send_to_extras").removesuffix("_image")
        if elem_id in {f"{name}_gallery" for name in SOURCES} or elem_id == f"{PNG_INFO}_image":
            self._pictures[source] = component
        elif elem_id.endswith("_send_to_extras") and source in self._pictures:
            self._add(source)
        elif elem_id == "extras_tab" and PNG_INFO in self._pictures:
            self._add(PNG_INFO)

    def set_target(self, picture: Any) -> None:  # noqa: ANN401 - a Gradio component
        """Set the input that receives pictures, and connect the buttons with it."""
        if set_target(TAB, picture):
            for button, source in self._buttons:
                connect(button, TAB, source)
        self._buttons.clear()

    def _add(self, source: str) -> None:
        picture = self._pictures.pop(source)
        if can_connect():
            elem_id = f"{source}_send_to_sadtalker"
            if source == PNG_INFO:  # its other buttons have words
                button = gr.Button("Send to SadTalker", elem_id=elem_id)
            else:
                button = tool_button("🗣️", elem_id, "Send the picture to SadTalker.")
            self._buttons.append((button, picture))
