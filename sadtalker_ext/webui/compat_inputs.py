"""Gradio 4 inputs offer several sources in one field; Gradio 3 needs a field for each, which hands its value over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import gradio as gr

from sadtalker_ext.errors import MediaError
from sadtalker_ext.webui.uploads import NOT_UPLOADED, received_file

QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False}

WEBCAM = (
    '<div class="st-webcam"><button type="button" class="st-button" data-webcam="begin">Use the webcam</button></div>'
)
"""Gradio 3's own webcam field asks for the camera when the page opens; ours, in the page's script, when pressed."""


def picture_input(elem_id: str) -> gr.Image:
    """A picture by upload, paste, drag or webcam; its value is the path of the file as it was sent."""
    words: dict[str, Any] = {"label": "Portrait", "type": "filepath", "elem_id": elem_id, "height": 300}
    if not gradio_3():
        return _takes_uploads(gr.Image(sources=["upload", "webcam", "clipboard"], format="png", **words))
    picture = gr.Image(source="upload", **words)
    gr.HTML(WEBCAM, elem_id=f"{elem_id}_webcam")
    return _takes_uploads(picture)


def sound_input(elem_id: str) -> gr.Audio:
    """A sound by upload or microphone; its value is the path of a file."""
    words: dict[str, Any] = {"label": "Voice", "type": "filepath", "elem_id": elem_id}
    if not gradio_3():
        return _takes_uploads(gr.Audio(sources=["upload", "microphone"], **words))
    sound = _takes_uploads(gr.Audio(source="upload", show_edit_button=False, **words))
    with gr.Accordion("Microphone", open=False, elem_id=f"{elem_id}_microphone_part"):
        microphone = gr.Audio(
            source="microphone", type="filepath", show_label=False, show_edit_button=False,
            elem_id=f"{elem_id}_microphone",
        )  # fmt: skip
        _takes_uploads(microphone)
    microphone.change(_handed_over, [microphone, sound], sound, **QUIET)
    return sound


def video_input(label: str, elem_id: str) -> gr.File:
    """A video by upload; its value is the path of the file.

    Not Gradio's field for videos: that of Gradio 4 fetches a program from the internet as soon as it shows one.
    """
    words: dict[str, Any] = {"label": label, "file_types": ["video"], "elem_id": elem_id, "height": 140}
    return _takes_uploads(gr.File(**words) if gradio_3() else gr.File(type="filepath", **words))


def gradio_3() -> bool:
    """Whether this is Gradio 3."""
    return bool(gr.__version__.startswith("3."))


def _takes_uploads(component: Any) -> Any:  # noqa: ANN401 - a Gradio component
    """Let an input accept uploaded files only, and hand them on as they came.

    Gradio's own ``preprocess`` copies whatever file or address a request names to where the page serves it, decodes
    pictures in every format that Pillow knows, and rewrites sounds with programs that many machines lack.
    """
    component.preprocess = _uploaded
    if move := getattr(component, "async_move_resource_to_block_cache", None):
        component.async_move_resource_to_block_cache = partial(_moved, move)
    return component


def _uploaded(given: Any) -> str | None:  # noqa: ANN401 - text or a mapping in Gradio 3, a record in Gradio 4
    try:
        path = received_file(given)
    except MediaError as e:
        raise gr.Error(str(e)) from e
    return None if path is None else str(path)


async def _moved(move: Callable[[Any], Awaitable[str | None]], given: Any) -> str | None:  # noqa: ANN401
    """Gradio 4 fetches addresses before it calls ``preprocess``."""
    if given is not None and "://" in str(given):
        raise gr.Error(NOT_UPLOADED)
    return await move(given)


def _handed_over(given: str | None, present: str | None) -> str | None:
    return given or present
