"""The page itself, the same alone and as a tab of the webui."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from sadtalker_ext.pipeline.inputs import EYES_AND_POSE
from sadtalker_ext.webui.actions import USES_IN_WORDS, Actions, keep
from sadtalker_ext.webui.compat_events import script
from sadtalker_ext.webui.compat_inputs import gradio_3, picture_input, sound_input, video_input
from sadtalker_ext.webui.html import message
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.setting_widgets import COMMON, GROUPS, SettingWidgets, engine_specific, unplaced

HIDDEN = "st-hidden"
"""Part of the page for our script, not for the eye."""
QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False}
LONGEST_IDLE_S = 120
"""The page's own end of the slider; REST and the command line go further."""
ORDER = "(...values) => window.sadtalkerOrder ? window.sadtalkerOrder(values) : values"
ANSWERED = "() => window.sadtalkerAnswered && window.sadtalkerAnswered()"
STOP = "(job) => [window.sadtalkerStop ? window.sadtalkerStop(job) : job]"
SENT = "(...values) => (window.sadtalkerSent && window.sadtalkerSent(values[0]), values)"
KEPT = "(path) => window.sadtalkerKept && window.sadtalkerKept(path)"
"""Our script gives orders a ticket and voices a path; it is there where the host has loaded it."""
GREETING = "Drop a portrait and a voice into their fields, then press Generate."


@dataclass
class Inputs:
    """The left side."""

    portrait: Any
    faces: Any
    voice: Any
    idle: Any
    reference: Any
    reference_use: Any
    reference_part: Any
    knobs: SettingWidgets
    own_knobs: Any
    checkpoints: Any
    panel: Any
    mirror: Any
    check: Any
    download: Any
    stop: Any


@dataclass
class Outputs:
    """The right side, and the fields that only our script uses."""

    generate: Any
    interrupt: Any
    progress: Any
    video: Any
    details: Any
    open_folder: Any
    send_back: Any
    gallery: Any
    job: Any
    ticket: Any
    kept: Any
    current: Any
    pick: Any
    show: Any
    poll: Any
    refresh: Any


def build_tab(studio: PageContext) -> Inputs:
    """Lay the page out inside the Blocks that are open, and wire it."""
    with gr.Row(elem_id="sadtalker_page", equal_height=False):
        with gr.Column(scale=1, min_width=320, elem_id="sadtalker_inputs"):
            inputs = _inputs(studio)
        with gr.Column(scale=1, min_width=320, elem_id="sadtalker_outputs"):
            outputs = _outputs()
    _wire(inputs, outputs, Actions(studio))
    return inputs


def _inputs(studio: PageContext) -> Inputs:
    knobs = SettingWidgets()
    portrait = picture_input("sadtalker_portrait")
    faces = gr.HTML("", elem_id="sadtalker_faces")
    knobs.add("face")
    voice = sound_input("sadtalker_voice")
    idle = _idle()
    knobs.add("engine")
    parts = _checkpoints()
    reference = _reference()
    with gr.Group(elem_id="sadtalker_common"):
        for name in COMMON:
            knobs.add(name)
    for title, names in {**GROUPS, "More": tuple(unplaced())}.items():
        if names:
            with gr.Accordion(title, open=False, elem_id=f"sadtalker_part_{title.split(' ', maxsplit=1)[0].lower()}"):
                for name in names:
                    knobs.add(name, studio.restorers)
    with gr.Accordion("SadTalker engine", open=False, visible=False, elem_id="sadtalker_part_official") as own_knobs:
        for name in engine_specific():
            knobs.add(name)
    return Inputs(portrait, faces, voice, idle, *reference, knobs, own_knobs, *parts)


def _idle() -> Any:  # noqa: ANN401 - a Gradio component
    with gr.Accordion("Without a voice", open=False, elem_id="sadtalker_idle_part"):
        return gr.Slider(
            0, LONGEST_IDLE_S, 0, step=1, label="Length of a silent video (seconds)", elem_id="sadtalker_idle",
            info="The portrait blinks and moves a little. 0: it speaks with the voice above.",
        )  # fmt: skip


def _reference() -> tuple[Any, Any, Any]:
    with gr.Accordion("Reference video", open=False, visible=False, elem_id="sadtalker_reference_part") as part:
        video = video_input("Video of a face to take after", "sadtalker_reference")
        use = gr.Radio(
            list(USES_IN_WORDS), value=EYES_AND_POSE, label="Take from it", elem_id="sadtalker_reference_use"
        )
    return video, use, part


def _checkpoints() -> tuple[Any, ...]:
    from sadtalker_ext.weights.catalog import DEFAULT_MIRROR, MIRRORS

    with gr.Accordion("Checkpoints", open=True, visible=False, elem_id="sadtalker_checkpoints") as part:
        panel = gr.HTML("", elem_id="sadtalker_panel")
        mirror = gr.Dropdown(
            choices=list(MIRRORS), value=DEFAULT_MIRROR, label="Download from", elem_id="sadtalker_mirror"
        )
        with gr.Row():
            check = gr.Button("Check", elem_id="sadtalker_check", size="sm")
            download = gr.Button("Download", elem_id="sadtalker_download", size="sm")
            stop = gr.Button("Stop download", elem_id="sadtalker_download_stop", size="sm")
    return part, panel, mirror, check, download, stop


def _outputs() -> Outputs:
    with gr.Row(elem_id="sadtalker_main_buttons"):
        generate = gr.Button("Generate", variant="primary", elem_id="sadtalker_generate")
        interrupt = gr.Button("Interrupt", elem_id="sadtalker_interrupt")
    progress = gr.HTML(message(GREETING), elem_id="sadtalker_progress")
    video = gr.Video(label="Result", elem_id="sadtalker_video", interactive=False, height=420)
    details = gr.HTML("", elem_id="sadtalker_details")
    with gr.Row():
        open_folder = gr.Button("Open folder", elem_id="sadtalker_open_folder", size="sm")
        send_back = gr.Button("Send settings back", elem_id="sadtalker_send_back", size="sm")
    with gr.Accordion("Earlier results", open=True, elem_id="sadtalker_gallery_part"):
        gallery = gr.HTML("", elem_id="sadtalker_gallery")
    with gr.Row(elem_id="sadtalker_wires", elem_classes=[HIDDEN]):
        job, ticket, kept, current, pick = (
            gr.Textbox("", label=name, elem_id=f"sadtalker_{name}")
            for name in ("job", "ticket", "kept", "current", "pick")
        )
        show, poll, refresh = (gr.Button(name, elem_id=f"sadtalker_{name}") for name in ("show", "poll", "refresh"))
    return Outputs(
        generate, interrupt, progress, video, details, open_folder, send_back, gallery, job, ticket, kept, current,
        pick, show, poll, refresh,
    )  # fmt: skip


def _wire(inputs: Inputs, outputs: Outputs, actions: Actions) -> None:
    knobs, out = inputs.knobs, outputs
    engine, face = knobs.by_name["engine"], knobs.by_name["face"]
    inputs.portrait.change(actions.look, [inputs.portrait, face], inputs.faces, **QUIET)
    if gradio_3():
        _send_early(inputs.voice, out.kept)
    wish = [inputs.portrait, inputs.voice, inputs.idle, inputs.reference, inputs.reference_use]
    values = [*wish, *knobs.in_order()]
    ordered = out.generate.click(
        actions.generate, [out.ticket, *values], [out.job, out.progress], **QUIET, **script(ORDER)
    )
    ordered.then(None, None, None, **script(ANSWERED))
    out.interrupt.click(actions.interrupt, out.job, out.progress, **QUIET, **script(STOP))
    shown = [out.job, out.progress, out.video, out.details, out.gallery, out.current, inputs.panel]
    out.poll.click(actions.poll, [out.job, engine], shown, **QUIET)
    out.refresh.click(actions.refresh, engine, [out.job, out.progress, out.gallery, inputs.panel], **QUIET)
    out.show.click(actions.show, out.pick, [out.progress, out.video, out.details, out.current], **QUIET)
    out.send_back.click(actions.send_back, out.current, [*knobs.in_order(), out.progress], **QUIET)
    out.open_folder.click(actions.open_folder, None, out.progress, **QUIET)
    parts = [inputs.own_knobs, inputs.checkpoints, inputs.reference_part, inputs.reference_use]
    engine.change(actions.switch, engine, parts, **QUIET)
    engine.change(actions.panel, engine, inputs.panel, **QUIET)
    inputs.check.click(actions.check, engine, inputs.panel, queue=False)
    inputs.download.click(actions.fetch, [engine, inputs.mirror], inputs.panel, **QUIET)
    inputs.stop.click(actions.stop_fetch, engine, inputs.panel, **QUIET)


def _send_early(voice: Any, kept: Any) -> None:  # noqa: ANN401 - Gradio components
    """Gradio 3 sends a sound as text together with the order: send it when it is chosen, and only its name later."""
    sent = voice.upload(keep, voice, kept, **QUIET, **script(SENT))
    sent.then(None, kept, None, **script(KEPT))
