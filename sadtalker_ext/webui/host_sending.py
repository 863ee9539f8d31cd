"""Buttons that send a picture here from the other tabs of the host."""

from __future__ import annotations

from typing import Any

TAB = "sadtalker"
SOURCES = ("txt2img", "img2img", "extras")


class Sending:
    """Watches the host's components as they are made, and puts a button beside the host's own."""

    def __init__(self, infotext: Any, button: Any) -> None:  # noqa: ANN401 - the host's module and button class
        self._infotext = infotext
        self._button = button
        self._galleries: dict[str, Any] = {}
        self._pnginfo: Any = None

    def after_component(self, component: Any, **words: Any) -> None:  # noqa: ANN401 - the host's callback
        """Called by the host for every component of its page."""
        elem_id = words.get("elem_id") or ""
        for source in SOURCES:
            if elem_id == f"{source}_gallery":
                self._galleries[source] = component
            elif elem_id == f"{source}_send_to_extras" and source in self._galleries:
                self._add(source, self._galleries.pop(source))
        if elem_id == "pnginfo_image":
            self._pnginfo = component
        elif elem_id == "extras_tab" and self._pnginfo is not None:
            self._add("pnginfo", self._pnginfo)
            self._pnginfo = None

    def receive(self, picture: Any) -> None:  # noqa: ANN401 - a Gradio component
        """The field that pictures are sent to; must be called, or the host cannot connect its buttons."""
        self._infotext.add_paste_fields(TAB, picture, [])

    def _add(self, source: str, picture: Any) -> None:  # noqa: ANN401
        elem_id, tooltip = f"{source}_send_to_sadtalker", "Send the picture to SadTalker."
        button = self._button("🗣️", elem_id=elem_id, tooltip=tooltip)
        binding = self._infotext.ParamBinding(paste_button=button, tabname=TAB, source_image_component=picture)
        self._infotext.register_paste_params_button(binding)
