"""The portrait with its faces drawn on it, to choose one by a click or to draw a box by hand."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.webui.html import jpeg_url, message

if TYPE_CHECKING:
    from sadtalker_ext.geometry.landmarks import FaceBox

WORKING_PX = 1280
SHOWN_PX = 640


def faces_view(path: str | None, chosen: str) -> str:
    """HTML of the picture with a box for each face; a sentence where it cannot be read, nothing without a path."""
    if not path:
        return ""
    from sadtalker_ext.pipeline.portrait import list_faces

    try:
        picture, faces = list_faces(path, WORKING_PX)
    except SadTalkerError as e:
        return message(str(e), "error")
    width, height = picture.original_size_px
    scale = width / picture.pixels.shape[1]
    boxes = [_scaled(face.box, scale) for face in faces]
    return (
        f'<div class="st-faces" data-width="{width}" data-height="{height}" data-chosen="{escape(chosen)}">'
        f'<div class="st-canvas"><img alt="The portrait" draggable="false" src="{jpeg_url(picture.pixels, SHOWN_PX)}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f'{"".join(_rectangle(index, box) for index, box in enumerate(boxes))}'
        f'<rect class="st-hand" x="0" y="0" width="0" height="0"/></svg></div>'
        f'{_buttons(boxes)}<div class="st-words">{_words(len(boxes))}</div></div>'
    )


def _scaled(box: FaceBox, scale: float) -> tuple[int, int, int, int]:
    x, y, width, height = (round(value * scale) for value in box)
    return max(0, x), max(0, y), width, height


def _rectangle(index: int, box: tuple[int, int, int, int]) -> str:
    x, y, width, height = box
    return f'<rect class="st-face-box" data-face="{index}" x="{x}" y="{y}" width="{width}" height="{height}"/>'


def _buttons(boxes: list[tuple[int, int, int, int]]) -> str:
    """A button for each face, for the keyboard; one face needs no choice."""
    if len(boxes) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" class="st-face" data-face="{index}">Face {index + 1}</button>'
        for index in range(len(boxes))
    )
    return f'<div class="st-row">{buttons}</div>'


def _words(count: int) -> str:
    if count == 0:
        return "No face was found: draw a box around it with the mouse, from forehead to chin."
    if count == 1:
        return "This face will speak. Not the right place? Draw a box with the mouse."
    return f"{count} faces: click the one that should speak, or draw a box with the mouse."
