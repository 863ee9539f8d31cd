"""Layout and events of the page, which is the same standalone and as a tab of the webui."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from sadtalker_ext.pipeline.inputs import EYES_AND_POSE
from sadtalker_ext.settings import Settings
from sadtalker_ext.tts.voices import list_voices
from sadtalker_ext.webui.actions import REFERENCE_USES, PageActions, store_upload
from sadtalker_ext.webui.compat_events import js_argument
from sadtalker_ext.webui.compat_inputs import NO_QUEUE, audio_input, is_gradio_3, picture_input, video_input
from sadtalker_ext.webui.html import message
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.setting_widgets import COMMON, GROUPS, SettingWidgets, engine_specific, ungrouped

HIDDEN: Final = "st-hidden"
"""CSS class of fields that only the page's script uses."""
LONGEST_IDLE_S: Final = 120
"""End of the slider; the REST API and the command line accept longer silent videos."""
BEFORE_REQUEST: Final = "(...values) => window.sadtalkerUi ? window.sadtalkerUi.beforeRequest(values) : values"
AFTER_REQUEST: Final = "() => window.sadtalkerUi && window.sadtalkerUi.afterRequest()"
BEFORE_INTERRUPT: Final = "(job) => [window.sadtalkerUi ? window.sadtalkerUi.jobToInterrupt(job) : job]"
VOICE_CHOSEN: Final = "(...values) => (window.sadtalkerUi && window.sadtalkerUi.voiceChosen(values[0]), values)"
VOICE_UPLOADED: Final = "(path) => window.sadtalkerUi && window.sadtalkerUi.voiceUploaded(path)"
"""Calls of the functions in javascript/job_request.js; events also work if the host has not loaded the script."""
NO_READING_VOICE: Final = (
    "No voice is installed. Install the Python packages piper-tts and espeakng-loader, then restart."
)
GREETING: Final = "Drop a portrait and a voice into their fields, then press Generate."


@dataclass
class InputWidgets:
    """Components on the left side."""

    portrait: Any
    faces: Any
    voice: Any
    text: Any
    idle: Any
    reference: Any
    reference_use: Any
    reference_part: Any
    settings: SettingWidgets
    engine_parts: list[Any]
    checkpoints: Any
    panel: Any
    mirror: Any
    verify: Any
    download: Any
    stop: Any


@dataclass
class OutputWidgets:
    """Components on the right side, and hidden fields that only the page's script uses."""

    generate: Any
    interrupt: Any
    progress: Any
    video: Any
    details: Any
    open_folder: Any
    reuse_settings: Any
    gallery: Any
    job_id: Any
    new_job_id: Any
    uploaded_voice: Any
    shown_result: Any
    chosen_result: Any
    show_result: Any
    poll: Any
    refresh: Any


def build_tab(context: PageContext) -> InputWidgets:
    """Build the page inside the current Blocks and connect its events; return the inputs."""
    with gr.Row(elem_id="sadtalker_page", equal_height=False):
        with gr.Column(scale=1, min_width=320, elem_id="sadtalker_inputs"):
            inputs = _build_inputs(context)
        with gr.Column(scale=1, min_width=320, elem_id="sadtalker_outputs"):
            outputs = _build_outputs()
    _connect_events(inputs, outputs, PageActions(context))
    return inputs


def _build_inputs(context: PageContext) -> InputWidgets:
    settings = SettingWidgets()
    portrait = picture_input("sadtalker_portrait")
    faces = gr.HTML("", elem_id="sadtalker_faces")
    settings.add("face")
    voice = audio_input("sadtalker_voice")
    text = _build_text(settings, context)
    idle = _build_idle()
    settings.add("engine")
    checkpoints = _build_checkpoints()
    reference = _build_reference()
    with gr.Group(elem_id="sadtalker_common"):
        for name in COMMON:
            settings.add(name)
    for title, names in {**GROUPS, "More": tuple(ungrouped())}.items():
        if names:
            with gr.Accordion(title, open=False, elem_id=f"sadtalker_part_{title.split(' ', maxsplit=1)[0].lower()}"):
                for name in names:
                    settings.add(name, context.restorers)
    engine_parts = _build_engine_parts(settings)
    return InputWidgets(portrait, faces, voice, text, idle, *reference, settings, engine_parts, *checkpoints)


def _build_engine_parts(settings: SettingWidgets) -> list[Any]:
    parts = []
    for engines, names in engine_specific().items():
        title, elem_id = f"Engine {' and '.join(engines)}", f"sadtalker_part_engine_{'_'.join(engines)}"
        with gr.Accordion(title, open=False, visible=Settings().engine in engines, elem_id=elem_id) as part:
            for name in names:
                settings.add(name)
        parts.append(part)
    return parts


def _build_text(settings: SettingWidgets, context: PageContext) -> Any:  # noqa: ANN401 - a Gradio component
    voices = list_voices(context.checkpoint_folders())
    with gr.Accordion("Text instead of a voice", open=False, elem_id="sadtalker_text_part"):
        text = gr.Textbox(
            "", label="Text", lines=3, max_lines=12, elem_id="sadtalker_text", interactive=bool(voices),
            info="" if voices else NO_READING_VOICE, placeholder="Text that is read aloud" if voices else "",
        )  # fmt: skip
        settings.add("tts_voice", [(f"{voice.name} ({voice.label})", voice.name) for voice in voices], info="")
        settings.add("speech_rate", info="")
    return text


def _build_idle() -> Any:  # noqa: ANN401 - a Gradio component
    with gr.Accordion("Silent video", open=False, elem_id="sadtalker_idle_part"):
        return gr.Slider(
            0, LONGEST_IDLE_S, 0, step=1, label="Length (seconds)", elem_id="sadtalker_idle",
            info="Without a voice, the portrait blinks and moves slightly for this long. 0: it speaks with the voice.",
        )  # fmt: skip


def _build_reference() -> tuple[Any, Any, Any]:
    with gr.Accordion("Reference video", open=False, visible=False, elem_id="sadtalker_reference_part") as part:
        video = video_input("Video whose face motion is copied", "sadtalker_reference")
        use = gr.Radio(list(REFERENCE_USES), value=EYES_AND_POSE, label="Copy", elem_id="sadtalker_reference_use")
    return video, use, part


def _build_checkpoints() -> tuple[Any, ...]:
    from sadtalker_ext.weights.catalog import DEFAULT_MIRROR, MIRRORS

    with gr.Accordion("Checkpoints", open=True, visible=False, elem_id="sadtalker_checkpoints") as part:
        panel = gr.HTML("", elem_id="sadtalker_panel")
        mirror = gr.Dropdown(
            choices=list(MIRRORS), value=DEFAULT_MIRROR, label="Download from", elem_id="sadtalker_mirror"
        )
        with gr.Row():
            verify = gr.Button("Verify files", elem_id="sadtalker_verify", size="sm")
            download = gr.Button("Download", elem_id="sadtalker_download", size="sm")
            stop = gr.Button("Stop download", elem_id="sadtalker_download_stop", size="sm")
    return part, panel, mirror, verify, download, stop


def _build_outputs() -> OutputWidgets:
    with gr.Row(elem_id="sadtalker_main_buttons"):
        generate = gr.Button("Generate", variant="primary", elem_id="sadtalker_generate")
        interrupt = gr.Button("Interrupt", elem_id="sadtalker_interrupt")
    progress = gr.HTML(message(GREETING), elem_id="sadtalker_progress")
    video = gr.Video(label="Result", elem_id="sadtalker_video", interactive=False, height=420)
    details = gr.HTML("", elem_id="sadtalker_details")
    with gr.Row():
        open_folder = gr.Button("Open folder", elem_id="sadtalker_open_folder", size="sm")
        reuse_settings = gr.Button("Reuse settings", elem_id="sadtalker_reuse_settings", size="sm")
    with gr.Accordion("Earlier results", open=True, elem_id="sadtalker_gallery_part"):
        gallery = gr.HTML("", elem_id="sadtalker_gallery")
    with gr.Row(elem_id="sadtalker_script_fields", elem_classes=[HIDDEN]):
        fields = [
            gr.Textbox("", label=name, elem_id=f"sadtalker_{name}")
            for name in ("job_id", "new_job_id", "uploaded_voice", "shown_result", "chosen_result")
        ]
        buttons = [gr.Button(name, elem_id=f"sadtalker_{name}") for name in ("show_result", "poll", "refresh")]
    return OutputWidgets(
        generate, interrupt, progress, video, details, open_folder, reuse_settings, gallery, *fields, *buttons
    )


def _connect_events(inputs: InputWidgets, out: OutputWidgets, actions: PageActions) -> None:
    settings, by_name = inputs.settings.in_order(), inputs.settings.by_name
    engine = by_name["engine"]
    inputs.portrait.change(actions.show_faces, [inputs.portrait, by_name["face"]], inputs.faces, **NO_QUEUE)
    if is_gradio_3():
        _upload_when_chosen(inputs.voice, out.uploaded_voice)
    form = [inputs.portrait, inputs.voice, inputs.idle, inputs.reference, inputs.reference_use, inputs.text]
    requested = out.generate.click(
        actions.generate, [out.new_job_id, *form, *settings], [out.job_id, out.progress], **NO_QUEUE,
        **js_argument(BEFORE_REQUEST),
    )  # fmt: skip
    requested.then(None, None, None, **js_argument(AFTER_REQUEST))
    out.interrupt.click(actions.interrupt, out.job_id, out.progress, **NO_QUEUE, **js_argument(BEFORE_INTERRUPT))
    job_outputs = [
        out.job_id, out.progress, out.video, out.details, out.gallery, out.shown_result, inputs.panel,
    ]  # fmt: skip
    out.poll.click(actions.poll, [out.job_id, engine], job_outputs, **NO_QUEUE)
    out.refresh.click(actions.refresh, engine, [out.job_id, out.progress, out.gallery, inputs.panel], **NO_QUEUE)
    result_outputs = [out.progress, out.video, out.details, out.shown_result]
    out.show_result.click(actions.show_result, out.chosen_result, result_outputs, **NO_QUEUE)
    out.reuse_settings.click(actions.reuse_settings, out.shown_result, [*settings, out.progress], **NO_QUEUE)
    out.open_folder.click(actions.open_folder, None, out.progress, **NO_QUEUE)
    engine_outputs = [*inputs.engine_parts, inputs.checkpoints, inputs.reference_part, inputs.reference_use]
    engine.change(actions.select_engine, engine, engine_outputs, **NO_QUEUE)
    engine.change(actions.engine_panel, engine, inputs.panel, **NO_QUEUE)
    inputs.verify.click(actions.verify_checkpoints, engine, inputs.panel, queue=False)
    inputs.download.click(actions.start_download, [engine, inputs.mirror], inputs.panel, **NO_QUEUE)
    inputs.stop.click(actions.stop_download, engine, inputs.panel, **NO_QUEUE)


def _upload_when_chosen(voice: Any, uploaded_voice: Any) -> None:  # noqa: ANN401 - Gradio components
    """Upload a voice as soon as it is chosen; the request of a job then contains only its name.

    Gradio 3 sends the whole audio file as text with every request, which would delay the start of the job.
    """
    uploaded = voice.upload(store_upload, voice, uploaded_voice, **NO_QUEUE, **js_argument(VOICE_CHOSEN))
    uploaded.then(None, uploaded_voice, None, **js_argument(VOICE_UPLOADED))
