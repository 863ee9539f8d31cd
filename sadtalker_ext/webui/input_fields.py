"""The fields of the portrait and of the voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from sadtalker_ext.tts.voices import list_voices
from sadtalker_ext.webui.compat_inputs import audio_input, picture_input
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.setting_choices import voice_labels
from sadtalker_ext.webui.setting_widgets import SettingWidgets

UPLOAD, MICROPHONE, TEXT, SILENT = "upload", "microphone", "text", "silent"
VOICE_SOURCES: Final = (
    ("Upload", UPLOAD), ("Microphone", MICROPHONE), ("Text", TEXT), ("Silent video", SILENT),
)  # fmt: skip
"""Tabs of the voice; the style sheet refers to them by their order."""
LONGEST_SILENT_S: Final = 120
"""End of the slider; the REST API and the command line accept longer silent videos."""
SILENT_S: Final = 5
NO_READING_VOICE: Final = (
    "Text to speech is not installed on this server. The README describes how to add piper-tts and espeakng-loader."
)
BOX_HELP: Final = "Left, top, width and height in pixels."
RECORDER: Final = (
    '<div class="st-recorder"><div class="st-row"><button type="button" class="st-button" data-recorder="begin">Record'
    '</button><span class="st-text">Press Record, speak, then press Stop.</span></div></div>'
)
"""Replaced by javascript/voice_recorder.js while it records."""


@dataclass
class VoiceWidgets:
    """Components of the voice. source: the tab. silent_s: length of a silent video in seconds."""

    source: Any
    voice: Any
    note: Any
    text: Any
    silent_s: Any


@dataclass
class PortraitWidgets:
    """Components of the portrait. faces: the picture with a marker on every face."""

    picture: Any
    faces: Any
    example: Any


def build_portrait(settings: SettingWidgets) -> PortraitWidgets:
    """Build the field of the portrait at the current place in the layout."""
    with gr.Column(elem_id="sadtalker_portrait_field"):
        picture = picture_input("sadtalker_portrait")
        faces = gr.HTML("", elem_id="sadtalker_faces")
        settings.add("face", label="Box around the face", placeholder="120,80,200,240", info=BOX_HELP)
        example = gr.Button("Try it with the example", elem_id="sadtalker_example", size="sm")
    return PortraitWidgets(picture, faces, example)


def build_voice(settings: SettingWidgets, context: PageContext) -> VoiceWidgets:
    """Build the field of the voice at the current place in the layout; the style sheet shows one tab."""
    with gr.Column(elem_id="sadtalker_voice_field"):
        source = gr.Radio(list(VOICE_SOURCES), value=UPLOAD, label="Voice", elem_id="sadtalker_voice_source")
        with gr.Column(elem_id="sadtalker_sound_part"):
            gr.HTML(RECORDER, elem_id="sadtalker_recorder")
            voice = audio_input("sadtalker_voice", microphone=False)
            note = gr.HTML("", elem_id="sadtalker_voice_note")
        with gr.Column(elem_id="sadtalker_text_part"):
            text = _build_text(settings, context)
        with gr.Column(elem_id="sadtalker_silent_part"):
            silent_s = gr.Slider(
                1, LONGEST_SILENT_S, SILENT_S, step=1, label="Length (seconds)", elem_id="sadtalker_idle",
                info="The portrait does not speak; it blinks and moves slightly.",
            )  # fmt: skip
    return VoiceWidgets(source, voice, note, text, silent_s)


def _build_text(settings: SettingWidgets, context: PageContext) -> Any:  # noqa: ANN401 - a Gradio component
    voices = list_voices(context.checkpoint_folders())
    text = gr.Textbox(
        "", label="Text", lines=3, max_lines=12, elem_id="sadtalker_text", interactive=bool(voices),
        info="" if voices else NO_READING_VOICE, placeholder="Text that is read aloud" if voices else "",
    )  # fmt: skip
    with gr.Row():
        settings.add("tts_voice", voice_labels(voices), info="", visible=bool(voices))
        settings.add("speech_rate", label="Speed", info="", visible=bool(voices))
    return text
