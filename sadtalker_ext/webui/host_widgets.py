"""Compatibility of widgets: parts of the webui's own style, or the nearest widget of Gradio where it has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from sadtalker_ext.webui.host_modules import find


def tool_button(text: str, elem_id: str, tooltip: str) -> Any:  # noqa: ANN401 - a Gradio component
    """Return a small button."""
    make = find("ui_components", "ToolButton")
    if make is None:
        return gr.Button(text, elem_id=elem_id, size="sm")
    return make(text, elem_id=elem_id, tooltip=tooltip)


@contextmanager
def checkbox_section(label: str, elem_id: str) -> Iterator[Any]:
    """Put the widgets of the block into a section that a checkbox enables; yield the checkbox."""
    make = find("ui_components", "InputAccordion")
    if make is None:
        with gr.Accordion(label, open=False):
            yield gr.Checkbox(False, label="Enable", elem_id=elem_id)
        return
    with make(False, label=label, elem_id=elem_id) as enabled:
        yield enabled
