"""The note under the voice: its length, or why it cannot be used."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.webui.html import format_duration, message
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
    return f'<div class="st-text" role="status">{escape(_length(speech.duration_s))} of speech</div>{notes}'


def _length(seconds: float) -> str:
    """Return a length as the player above the note shows it, which drops the fraction of a second."""
    return format_duration(math.floor(seconds)) if seconds >= 1.0 else f"{seconds:.1f} s"
