"""Events of the page: which action handles them, and the JavaScript that runs before and after."""

from __future__ import annotations

from typing import Any, Final

from sadtalker_ext.webui.actions import PageActions, store_upload
from sadtalker_ext.webui.change_events import Request, connect_action, connect_change
from sadtalker_ext.webui.compat_events import js_argument
from sadtalker_ext.webui.compat_inputs import NO_QUEUE, PRESSED, is_gradio_3
from sadtalker_ext.webui.page_parts import Page

BEFORE_REQUEST: Final = "(...values) => window.sadtalkerUi ? window.sadtalkerUi.beforeRequest(values) : values"
AFTER_REQUEST: Final = "() => window.sadtalkerUi && window.sadtalkerUi.afterRequest()"
POLL_ANSWERED: Final = "() => { window.sadtalkerUi && window.sadtalkerUi.pollAnswered(); }"
BEFORE_INTERRUPT: Final = "(job) => [window.sadtalkerUi ? window.sadtalkerUi.jobToInterrupt(job) : job]"
VOICE_CHOSEN: Final = "(...values) => (window.sadtalkerUi && window.sadtalkerUi.voiceChosen(values[0]), values)"
VOICE_UPLOADED: Final = "(path) => window.sadtalkerUi && window.sadtalkerUi.voiceUploaded(path)"
"""Calls of functions in javascript/; events also work if the host has not loaded the scripts."""


def connect_events(page: Page, actions: PageActions) -> None:
    """Connect all events of the page."""
    _connect_inputs(page, actions)
    _connect_job(page, actions)
    _connect_results(page, actions)
    _connect_engine(page, actions)


def _connect_inputs(page: Page, actions: PageActions) -> None:
    portrait, voice = page.portrait, page.voice
    face, at = page.settings.by_name["face"], page.settings.by_name["at"]
    hidden = page.results.hidden
    shown = [portrait.faces, face, at]
    faces = Request(actions.show_faces, portrait.picture, shown)
    moment = Request(actions.show_moment, [portrait.picture, at], portrait.faces)
    note = Request(actions.check_voice, voice.voice, voice.note)
    connect_change([portrait.picture.change], hidden["show_faces"], faces)
    connect_change([at.blur, at.submit], hidden["show_moment"], moment)
    connect_change([voice.voice.change], hidden["check_voice"], note)
    if is_gradio_3():
        _upload_when_chosen(voice.voice, hidden["uploaded_voice"])
        hidden["use_voice"].click(actions.use_voice, hidden["large_voice"], voice.voice, **PRESSED)
    portrait.example.click(actions.use_example, None, [portrait.picture, voice.voice, voice.source], **PRESSED)


def _connect_job(page: Page, actions: PageActions) -> None:
    portrait, voice, out, panel = page.portrait, page.voice, page.results, page.panel
    hidden, engine = out.hidden, page.settings.by_name["engine"]
    form = [
        portrait.picture, voice.voice, voice.silent_s, panel.reference, panel.reference_use, voice.text, voice.source,
    ]  # fmt: skip
    requested = page.buttons.generate.click(
        actions.generate, [hidden["new_job_id"], *form, *page.settings.in_order()], [hidden["job_id"], out.progress],
        **PRESSED, **js_argument(BEFORE_REQUEST),
    )  # fmt: skip
    requested.then(None, None, None, **js_argument(AFTER_REQUEST))
    page.buttons.interrupt.click(
        actions.interrupt, hidden["job_id"], out.progress, **PRESSED, **js_argument(BEFORE_INTERRUPT)
    )
    job_outputs = [
        hidden["job_id"], out.progress, out.video, out.compared, out.details, out.gallery, hidden["shown_result"],
        *_panel_outputs(page),
    ]  # fmt: skip
    polled = hidden["poll"].click(actions.poll, [hidden["job_id"], engine], job_outputs, **PRESSED)
    polled.then(None, None, None, **js_argument(POLL_ANSWERED))
    refreshed = [hidden["job_id"], out.progress, out.gallery, *_panel_outputs(page)]
    hidden["refresh"].click(actions.refresh, engine, refreshed, **PRESSED)


def _connect_results(page: Page, actions: PageActions) -> None:
    out, hidden = page.results, page.results.hidden
    shown, chosen = hidden["shown_result"], hidden["chosen_result"]
    videos = [out.progress, out.video, out.compared, out.details, shown]
    compared = Request(actions.compare_results, [shown, chosen], [out.progress, out.compared, out.details])
    connect_action(hidden["show_result"], Request(actions.show_result, chosen, videos))
    connect_action(hidden["compare_result"], compared)
    connect_action(hidden["delete_result"], Request(actions.delete_result, [chosen, shown], [*videos, out.gallery]))
    connect_action(hidden["page_result"], Request(actions.show_page, chosen, out.gallery))
    settings = page.settings.in_order()
    out.reuse_settings.click(actions.reuse_settings, shown, [*settings, out.progress], **PRESSED)
    out.open_folder.click(actions.open_folder, None, out.progress, **PRESSED)


def _connect_engine(page: Page, actions: PageActions) -> None:
    panel, widgets = page.panel, page.panel.checkpoints
    engine, styles = page.settings.by_name["engine"], page.settings.by_name["pose_style"]
    parts = [*panel.engine_parts, widgets.part, panel.reference_part, panel.reference_use, styles]
    outputs, hidden = _panel_outputs(page), page.results.hidden
    selected = Request(actions.select_engine, engine, [*parts, *outputs])
    connect_change([engine.change], hidden["select_engine"], selected)
    connect_change([widgets.source.change], hidden["forget_error"], Request(actions.forget_error, engine, outputs))
    widgets.verify.click(actions.verify_checkpoints, engine, outputs, **(PRESSED | {"show_progress": "full"}))
    widgets.download.click(actions.start_download, [engine, widgets.source], outputs, **PRESSED)
    widgets.stop.click(actions.stop_download, engine, outputs, **PRESSED)


def _panel_outputs(page: Page) -> list[Any]:
    """Return the components that :meth:`PageActions.engine_panel` updates."""
    widgets = page.panel.checkpoints
    return [widgets.panel, widgets.download, widgets.source, widgets.verify]


def _upload_when_chosen(voice: Any, uploaded_voice: Any) -> None:  # noqa: ANN401 - Gradio components
    """Upload a voice as soon as it is chosen; the request of a job then contains only its name.

    Gradio 3 sends the whole audio file as text with every request, which would delay the start of the job.
    """
    uploaded = voice.upload(store_upload, voice, uploaded_voice, **NO_QUEUE, **js_argument(VOICE_CHOSEN))
    uploaded.then(None, uploaded_voice, None, **js_argument(VOICE_UPLOADED))
