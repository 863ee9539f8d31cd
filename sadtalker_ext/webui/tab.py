"""Layout of the page, which is the same standalone and as a tab of the webui."""

from __future__ import annotations

import gradio as gr

from sadtalker_ext.webui.actions import PageActions
from sadtalker_ext.webui.input_fields import build_portrait, build_voice
from sadtalker_ext.webui.model_viewer import connect_model_viewer
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.page_parts import Page
from sadtalker_ext.webui.result_panel import build_main_buttons, build_results
from sadtalker_ext.webui.setting_panel import build_settings
from sadtalker_ext.webui.setting_widgets import SettingWidgets
from sadtalker_ext.webui.tab_events import connect_events


def build_tab(context: PageContext) -> Page:
    """Build the page inside the current Blocks and connect its events; return its components."""
    settings = SettingWidgets(context.defaults)
    with gr.Row(elem_id="sadtalker_page", equal_height=False):
        with gr.Column(min_width=280, elem_id="sadtalker_inputs"):
            portrait = build_portrait(settings)
            voice = build_voice(settings, context)
            buttons = build_main_buttons()
        with gr.Column(min_width=280, elem_id="sadtalker_outputs"):
            results = build_results(context)
        with gr.Column(min_width=280, elem_id="sadtalker_settings"):
            panel = build_settings(settings, context)
    page = Page(portrait, voice, buttons, results, panel, settings)
    connect_events(page, PageActions(context))
    connect_model_viewer(results.model, results.hidden, context)
    return page
