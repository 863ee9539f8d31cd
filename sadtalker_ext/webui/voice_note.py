"""The note under the voice: its length, or why it cannot be used."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.webui.html import format_length, message, with_unit
from sadtalker_ext.webui.page_words import page_text
from sadtalker_ext.webui.uploads import upload_name

if TYPE_CHECKING:
    from pathlib import Path


def voice_note(path: Path | None) -> str:
    """Return the length of a voice as HTML, or a message if it is unreadable, too short or silent; empty for None."""
    if path is None:
        return ""
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.pipeline.prepare import load_speech, speech_notes

    try:
        speech = load_speech(Inputs(path, path))
    except SadTalkerError as e:
        return message(page_text(e.describe({path: upload_name(path)})), "error")
    notes = "".join(message(note, "warning") for note in speech_notes(speech))
    seconds = speech.duration_s
    length = format_length(seconds) if seconds >= 1.0 else with_unit(f"{seconds:.1f}", "s")
    return f'<div class="st-text" role="status">{escape(length)} of speech</div>{notes}'
