"""Text as the voice of a video: it is read aloud into a temporary file before the video is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.system.work_folder import WorkFolder
from sadtalker_ext.weights.files import search_folders

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.pipeline.progress import Watcher
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

TEXT_STAGE: Final = "text"
"""Stage that reads a text aloud, if there is one, before all others."""


@contextmanager
def read_aloud(inputs: Inputs, settings: Settings, runtime: Runtime, watcher: Watcher) -> Iterator[Inputs]:
    """Within the block, a text in the inputs is replaced by a file of its speech; other inputs are returned as given.

    Uses the settings tts_voice and speech_rate; the same text gives the same speech. SettingsError if there is no such
    voice or the text cannot be read aloud; MissingPackageError if no voice is installed.
    """
    if inputs.text is None:
        yield inputs
        return
    from sadtalker_ext.tts.synthesis import write_speech
    from sadtalker_ext.tts.voices import find_voice, open_voice

    watcher.stage(TEXT_STAGE)
    voice = find_voice(check_voice_name(settings.tts_voice), search_folders(runtime.folders))
    reader = open_voice(voice, settings.speech_rate)
    with WorkFolder() as folder:
        path = folder.root() / "speech.wav"
        write_speech(inputs.text, reader, path, watcher.part_counter(TEXT_STAGE))
        yield replace(inputs, text=None, voice=path)


def check_voice_name(name: str) -> str:
    """Return the name; SettingsError if it contains a folder, which only the command line accepts."""
    if "/" in name or "\\" in name:
        raise SettingsError(
            f"The setting tts_voice is {name!r}, but it accepts a name without folders; put the voice file into a "
            "checkpoint folder"
        )
    return name
