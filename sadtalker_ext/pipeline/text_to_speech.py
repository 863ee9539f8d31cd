"""Text as the voice of a video: it is read aloud into a temporary file.

A short text is read before the video is made. A long one is divided into sections of whole sentences, for each of which
motion is predicted, so that the first frames are rendered while later sections are read. Whether a text is divided
depends on the text and the settings only: a video, its 3D model and its frames have the same motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sadtalker_ext.engines.motion_editing import video_timing
from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.pipeline.stages import TEXT_STAGE
from sadtalker_ext.system.work_folder import WorkFolder
from sadtalker_ext.weights.files import search_folders

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.pipeline.prepare import Task
    from sadtalker_ext.tts.provider import Reader


@contextmanager
def with_voice(task: Task) -> Iterator[Task]:
    """Within the block, a text to read aloud is replaced by a file of its speech, which has a single audio track.

    A text that is read in sections remains in the inputs; it is in ``task.spoken`` and is read during the block. Uses
    the settings tts_voice and speech_rate; the same text gives the same speech. SettingsError if there is no such voice
    or the text cannot be read aloud; MissingPackageError if no voice is installed.
    """
    text = task.inputs.text
    if text is None:
        yield task
        return
    from sadtalker_ext.pipeline.spoken_text import ReadingPlan, SpokenText, sections_of

    with WorkFolder() as folder:
        if len(sections_of(text)) == 1:
            yield _with_file(task, _read_whole(task, text, folder.root()))
            return
        longest = video_timing(task.inputs.longest_s, task.settings)
        plan = ReadingPlan(folder.root(), longest.rate_hz, task.inputs.longest_s)
        with SpokenText(text, _open_reader(task), plan) as spoken:
            yield replace(task, spoken=spoken)


def _with_file(task: Task, voice: Path) -> Task:
    inputs = replace(task.inputs, text=None, voice=voice)
    return replace(task, inputs=inputs, settings=replace(task.settings, track=0))


def _read_whole(task: Task, text: str, folder: Path) -> Path:
    from sadtalker_ext.tts.synthesis import write_speech

    path, longest_s = folder / "speech.wav", task.inputs.longest_s
    task.watcher.stage(TEXT_STAGE)
    with task.stopwatch.stage(TEXT_STAGE):
        seconds = write_speech(text, _open_reader(task), path, task.watcher.part_counter(TEXT_STAGE))
    if seconds > longest_s:
        raise MediaError(f"The text is longer than the allowed {longest_s:.0f} s; use a shorter one")
    return path


def _open_reader(task: Task) -> Reader:
    from sadtalker_ext.tts.voices import find_voice, open_voice

    settings, folders = task.settings, search_folders(task.runtime.folders)
    voice = find_voice(check_voice_name(settings.tts_voice), folders, task.inputs.text or "")
    return open_voice(voice, settings.speech_rate)


def check_voice_name(name: str) -> str:
    """Return the name; SettingsError if it contains a folder, which only the command line accepts."""
    if "/" in name or "\\" in name:
        raise SettingsError(
            f"The setting tts_voice is {name!r}, but it accepts a name without folders; put the voice file into a "
            "checkpoint folder"
        )
    return name
