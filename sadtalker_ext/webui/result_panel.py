"""The result, the progress of the job, and the gallery of earlier results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from sadtalker_ext.webui.html import GREETING, placeholder
from sadtalker_ext.webui.model_viewer import ModelWidgets, build_model_viewer
from sadtalker_ext.webui.page_context import PageContext

HIDDEN: Final = "st-hidden"
"""CSS class of fields that only the page's script uses."""
FIELDS: Final = ("job_id", "new_job_id", "uploaded_voice", "large_voice", "shown_result", "chosen_result")
BUTTONS: Final = (
    "show_result", "compare_result", "delete_result", "page_result", "poll", "refresh", "show_faces", "show_moment",
    "check_voice", "select_engine", "forget_error", "show_model", "use_voice",
)  # fmt: skip


@dataclass
class ResultWidgets:
    """Components of the result.

    compared: second video, beside the result. hidden: fields and buttons that only the page's script uses, by name.
    """

    progress: Any
    video: Any
    compared: Any
    details: Any
    reuse_settings: Any
    open_folder: Any
    model: ModelWidgets
    gallery: Any
    hidden: dict[str, Any]


@dataclass
class MainButtons:
    """The buttons that start and stop a job."""

    generate: Any
    interrupt: Any


def build_main_buttons() -> MainButtons:
    """Build the buttons at the current place in the layout; on a narrow page they stay in view."""
    with gr.Row(elem_id="sadtalker_main_buttons"):
        generate = gr.Button("Generate", variant="primary", elem_id="sadtalker_generate")
        interrupt = gr.Button("Interrupt", variant="stop", elem_id="sadtalker_interrupt")
    return MainButtons(generate, interrupt)


def build_results(context: PageContext) -> ResultWidgets:
    """Build the result and the gallery at the current place in the layout."""
    progress = gr.HTML(placeholder(GREETING), elem_id="sadtalker_progress")
    with gr.Row(elem_id="sadtalker_videos"):
        video = gr.Video(label="Result", elem_id="sadtalker_video", interactive=False, height=420)
        compared = gr.Video(label="Compared with", elem_id="sadtalker_compared", interactive=False, height=420)
    details = gr.HTML("", elem_id="sadtalker_details")
    with gr.Row(elem_id="sadtalker_result_buttons"):
        reuse = gr.Button("Use these settings", elem_id="sadtalker_reuse_settings", size="sm")
        folder = gr.Button("Open folder", elem_id="sadtalker_open_folder", size="sm", visible=context.has_desktop)
    model = build_model_viewer()
    gallery = gr.HTML("", elem_id="sadtalker_gallery")
    with gr.Row(elem_id="sadtalker_script_fields", elem_classes=[HIDDEN]):
        hidden = {name: gr.Textbox("", label=name, elem_id=f"sadtalker_{name}") for name in FIELDS}
        hidden |= {name: gr.Button(name, elem_id=f"sadtalker_{name}") for name in BUTTONS}
    return ResultWidgets(progress, video, compared, details, reuse, folder, model, gallery, hidden)
