"""Buttons in the host's other tabs that send a picture to the SadTalker tab."""

from __future__ import annotations

from typing import Any, Final

TAB: Final = "sadtalker"
SOURCES: Final = ("txt2img", "img2img", "extras")


class SendButtons:
    """Adds a button beside the host's own send buttons while the host builds its page."""

    def __init__(self, infotext: Any, button: Any) -> None:  # noqa: ANN401 - the host's module and button class
        self._infotext = infotext
        self._button = button
        self._galleries: dict[str, Any] = {}
        self._pnginfo: Any = None

    def after_component(self, component: Any, **options: Any) -> None:  # noqa: ANN401 - the host's callback
        """Handle one component of the host's page; the host calls this for each of them."""
        elem_id = options.get("elem_id") or ""
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

    def set_target(self, picture: Any) -> None:  # noqa: ANN401 - a Gradio component
        """Set the input that receives pictures; required, because the host fails if a button has no target."""
        self._infotext.add_paste_fields(TAB, picture, [])

    def _add(self, source: str, picture: Any) -> None:  # noqa: ANN401
        elem_id, tooltip = f"{source}_send_to_sadtalker", "Send the picture to SadTalker."
        button = self._button("🗣️", elem_id=elem_id, tooltip=tooltip)
        binding = self._infotext.ParamBinding(paste_button=button, tabname=TAB, source_image_component=picture)
        self._infotext.register_paste_params_button(binding)
