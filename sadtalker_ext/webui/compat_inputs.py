"""Compatibility of inputs: a Gradio 4 input offers several sources, Gradio 3 needs one component per source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import gradio as gr

from sadtalker_ext.errors import MediaError
from sadtalker_ext.webui.uploads import NOT_UPLOADED, received_file

NO_QUEUE: Final[dict[str, Any]] = {"show_progress": "hidden", "queue": False}
"""Arguments of events that are answered at once and show no progress of Gradio's own."""

PRESSED: Final[dict[str, Any]] = NO_QUEUE | ({} if gr.__version__.startswith("3.") else {"trigger_mode": "multiple"})
"""Arguments of the buttons' events. Gradio 4 ignores a button for good after it was pressed during a request that then
failed, unless every press sends a separate request."""

WEBCAM: Final = (
    '<div class="st-webcam"><button type="button" class="st-button" data-webcam="begin">Use the webcam</button></div>'
)
"""Replaces Gradio 3's webcam component, which asks for the camera as soon as the page opens."""


def picture_input(elem_id: str) -> gr.Image:
    """Make an input for a picture (upload, paste, drag, webcam); its value is the path of the file as it was sent."""
    options: dict[str, Any] = {"label": "Portrait", "type": "filepath", "elem_id": elem_id, "height": 300}
    if not is_gradio_3():
        return _accept_uploads_only(gr.Image(sources=["upload", "webcam", "clipboard"], format="png", **options))
    picture = gr.Image(source="upload", **options)
    gr.HTML(WEBCAM, elem_id=f"{elem_id}_webcam")
    return _accept_uploads_only(picture)


def audio_input(elem_id: str, microphone: bool = True) -> Any:  # noqa: ANN401 - a Gradio component
    """Make an input for audio (upload, and the microphone if ``microphone``); its value is the path of a file."""
    options: dict[str, Any] = {"label": "Voice", "type": "filepath", "elem_id": elem_id, "show_label": microphone}
    if not is_gradio_3():
        sources = ["upload", "microphone"] if microphone else ["upload"]
        return _accept_uploads_only(gr.Audio(sources=sources, **options))
    audio: Any = _accept_uploads_only(gr.Audio(source="upload", show_edit_button=False, **options))
    if not microphone:
        return audio
    with gr.Accordion("Microphone", open=False, elem_id=f"{elem_id}_microphone_part"):
        recorder = gr.Audio(
            source="microphone", type="filepath", show_label=False, show_edit_button=False,
            elem_id=f"{elem_id}_microphone",
        )  # fmt: skip
        _accept_uploads_only(recorder)
    recorder.change(_first_given, [recorder, audio], audio, **NO_QUEUE)
    return audio


def video_input(label: str, elem_id: str) -> gr.File:
    """Make an input for a video (upload); its value is the path of the file.

    A file component, because the video component of Gradio 4 downloads a program when it shows a video.
    """
    options: dict[str, Any] = {"label": label, "file_types": ["video"], "elem_id": elem_id, "height": 140}
    return _accept_uploads_only(gr.File(**options) if is_gradio_3() else gr.File(type="filepath", **options))


def is_gradio_3() -> bool:
    """Whether the installed Gradio is version 3."""
    return bool(gr.__version__.startswith("3."))


def _accept_uploads_only(component: Any) -> Any:  # noqa: ANN401 - a Gradio component
    """Make an input accept uploaded files only and pass them on unaltered; return the input.

    Gradio's own ``preprocess`` copies any file or URL that a request names to a folder that is served, decodes
    pictures in every format that Pillow supports, and converts audio with programs that many machines lack.
    """
    component.preprocess = _uploaded_path
    if move := getattr(component, "async_move_resource_to_block_cache", None):
        component.async_move_resource_to_block_cache = partial(_move_file, move)
    return component


def _uploaded_path(value: Any) -> str | None:  # noqa: ANN401 - text or a mapping in Gradio 3, a record in Gradio 4
    try:
        path = received_file(value)
    except MediaError as e:
        raise gr.Error(str(e)) from e
    return None if path is None else str(path)


async def _move_file(move: Callable[[Any], Awaitable[str | None]], value: Any) -> str | None:  # noqa: ANN401
    """Refuse URLs, which Gradio 4 would download before it calls ``preprocess``."""
    if value is not None and "://" in str(value):
        raise gr.Error(NOT_UPLOADED)
    return await move(value)


def _first_given(recorded: str | None, present: str | None) -> str | None:
    return recorded or present
