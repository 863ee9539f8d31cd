"""Gradio 4 inputs offer several sources in one field; Gradio 3 needs a field for each, which hands its value over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False}

WEBCAM = (
    '<div class="st-webcam"><button type="button" class="st-button" data-webcam="begin">Use the webcam</button></div>'
)
"""Gradio 3's own webcam field asks for the camera when the page opens; ours, in the page's script, when pressed."""


def picture_input(elem_id: str) -> gr.Image:
    """A picture by upload, paste, drag or webcam; its value is the path of a file."""
    words: dict[str, Any] = {"label": "Portrait", "type": "filepath", "elem_id": elem_id, "height": 300}
    if not gradio_3():
        return _as_it_came(gr.Image(sources=["upload", "webcam", "clipboard"], format="png", **words))
    picture = gr.Image(source="upload", **words)
    gr.HTML(WEBCAM, elem_id=f"{elem_id}_webcam")
    return picture


def sound_input(elem_id: str) -> gr.Audio:
    """A sound by upload or microphone; its value is the path of a file."""
    words: dict[str, Any] = {"label": "Voice", "type": "filepath", "elem_id": elem_id}
    if not gradio_3():
        return _undecoded(gr.Audio(sources=["upload", "microphone"], **words))
    sound = _undecoded(gr.Audio(source="upload", show_edit_button=False, **words))
    with gr.Accordion("Microphone", open=False, elem_id=f"{elem_id}_microphone_part"):
        microphone = gr.Audio(
            source="microphone", type="filepath", show_label=False, show_edit_button=False,
            elem_id=f"{elem_id}_microphone",
        )  # fmt: skip
        _undecoded(microphone)
    microphone.change(_handed_over, [microphone, sound], sound, **QUIET)
    return sound


def video_input(label: str, elem_id: str) -> gr.File:
    """A video by upload; its value is the path of the file.

    Not Gradio's field for videos: that of Gradio 4 fetches a program from the internet as soon as it shows one.
    """
    words: dict[str, Any] = {"label": label, "file_types": ["video"], "elem_id": elem_id, "height": 140}
    if not gradio_3():
        return gr.File(type="filepath", **words)
    file = gr.File(**words)
    file.preprocess = partial(_name_of, file.preprocess)
    return file


def gradio_3() -> bool:
    """Whether this is Gradio 3."""
    return bool(gr.__version__.startswith("3."))


def _as_it_came(picture: gr.Image) -> gr.Image:
    """Gradio 4 writes every picture anew, with a function that Forge replaces by one that does not take its words."""
    picture.preprocess = _path_in
    return picture


def _path_in(given: Any) -> str | None:  # noqa: ANN401 - Gradio 4's record of a file
    return None if given is None else str(given.path)


def _name_of(read: Callable[[Any], Any], given: Any) -> str | None:  # noqa: ANN401
    """Gradio 3 gives an open file."""
    return None if given is None else str(read(given).name)


def _undecoded(sound: gr.Audio) -> gr.Audio:
    """Gradio decodes and rewrites sounds with programs that many machines lack; the file as it came is what we want."""
    sound.preprocess = partial(_path_of, sound)
    return sound


def _path_of(sound: gr.Audio, given: Any) -> str | None:  # noqa: ANN401 - a mapping in Gradio 3, a record in Gradio 4
    if given is None:
        return None
    if not isinstance(given, dict):
        return str(given.path)
    if given.get("is_file"):
        return str(sound.make_temp_copy_if_needed(given["name"]))
    return str(sound.base64_to_temp_file_if_needed(given["data"], given["name"]))


def _handed_over(given: str | None, present: str | None) -> str | None:
    return given or present
