"""Event handlers of the results: show, compare, delete, reuse settings, open the folder."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr

from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.html import message
from sadtalker_ext.webui.page_context import PageContext, open_in_file_manager
from sadtalker_ext.webui.page_words import page_text
from sadtalker_ext.webui.results import (
    comparison_view,
    delete_result,
    details_view,
    find_result,
    gallery_view,
    page_of_result,
)
from sadtalker_ext.webui.setting_widgets import widget_values

GONE: Final = "This result no longer exists."
MAX_PAGE_DIGITS: Final = 9
"""Longer numbers of pages are no pages of a gallery, and Python reads very long ones slowly."""
NOTHING_SHOWN: Final = "Make a video or choose a result first."


class ResultActions:
    """Event handlers of the results."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    def show_result(self, name: Any) -> list[Any]:  # noqa: ANN401 - a value of a request
        """Return an earlier result: progress, video, compared video, details, name."""
        path = find_result(as_text(name), self._context.results_folder())
        if path is None:
            return [message(GONE, "error"), gr.update(), gr.update(), "", ""]
        return ["", str(path), None, details_view(path), name]

    def compare_results(self, shown: Any, other: Any) -> list[Any]:  # noqa: ANN401 - values of a request
        """Return progress, the compared video beside the shown one, and the settings in which they differ."""
        folder = self._context.results_folder()
        first, second = (find_result(as_text(name), folder) for name in (shown, other))
        if first is None:
            return [message(NOTHING_SHOWN, "error"), gr.update(), gr.update()]
        if second is None:
            gone = message(GONE, "error") if as_text(other) else ""
            return [gone, None, details_view(first)]
        return ["", str(second), comparison_view(first, second)]

    def delete_result(self, name: Any, shown: Any) -> list[Any]:  # noqa: ANN401 - values of a request
        """Delete a result; return progress, video, compared video, details, name of the shown result, gallery."""
        folder = self._context.results_folder()
        page = page_of_result(folder / as_text(name), folder)
        try:
            if not self._context.local:
                raise SadTalkerError("Results can be deleted only in a browser on the machine of the server.")
            removed = delete_result(as_text(name), folder)
        except SadTalkerError as e:
            shown_page = gallery_view(folder, self._context.local, page)
            return [message(page_text(str(e)), "error"), *[gr.update()] * 4, shown_page]
        gallery = gallery_view(folder, self._context.local, page)
        text = message(f"Deleted {removed}.")
        if name == shown:
            return [text, None, None, "", "", gallery]
        return [text, gr.update(), None, gr.update(), gr.update(), gallery]

    def show_page(self, number: Any) -> str:  # noqa: ANN401 - a value of a request
        """Return a page of the gallery by its number, from 1."""
        text = as_text(number)
        page = int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_PAGE_DIGITS else 1
        return gallery_view(self._context.results_folder(), self._context.local, page)

    def reuse_settings(self, name: Any) -> list[Any]:  # noqa: ANN401 - a value of a request
        """Return the settings of a result for all widgets, and a message."""
        from sadtalker_ext.pipeline.result_metadata import read_record

        unchanged = [gr.update() for _ in Settings.specs()]
        path = find_result(as_text(name), self._context.results_folder()) if name else None
        if path is None:
            return [*unchanged, message(NOTHING_SHOWN, "error")]
        try:
            values = widget_values(read_record(path).settings)
        except SadTalkerError as e:
            return [*unchanged, message(page_text(e.describe({path: path.name})), "error")]
        return [*values, message("The fields now show the settings of this result.")]

    def open_folder(self) -> str:
        """Open the folder of the results, or say where it is."""
        folder = self._context.results_folder()
        return message(open_in_file_manager(folder) if self._context.local else f"The results are in {folder}")


def as_text(value: Any) -> str:  # noqa: ANN401 - a value of a request
    """Return a text of a request; requests that the page does not send may have any JSON value in its place."""
    return value if isinstance(value, str) else ""
