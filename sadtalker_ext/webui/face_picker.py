"""The face picker: the portrait with a box around every face, to choose one or to draw a box."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.webui.html import jpeg_url, message
from sadtalker_ext.webui.uploads import upload_name

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.geometry.landmarks import FaceBox

PREVIEW_PX: Final = 640
"""Longest side of the picture on the page."""


def faces_view(path: Path | None, chosen: str) -> str:
    """Return the picture with a box around every face as HTML; empty without a path, an error if it is unreadable.

    chosen: value of the setting ``face``.
    """
    if path is None:
        return ""
    from sadtalker_ext.pipeline.portrait import list_faces

    try:
        picture, faces = list_faces(path)
    except SadTalkerError as e:
        return message(e.describe({path: upload_name(path)}), "error")
    width, height = picture.original_size_px
    scale = width / picture.pixels.shape[1]
    boxes = [_scaled(face.box, scale) for face in faces]
    largest = max(range(len(boxes)), key=lambda index: boxes[index][2] * boxes[index][3], default=-1) + 1
    return (
        f'<div class="st-faces" data-width="{width}" data-height="{height}" data-chosen="{escape(chosen)}" '
        f'data-largest="{largest}">'
        f'<div class="st-canvas"><img alt="Portrait" draggable="false" src="{jpeg_url(picture.pixels, PREVIEW_PX)}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f'{"".join(_rectangle(number, box) for number, box in enumerate(boxes, 1))}'
        f'<rect class="st-drawn" x="0" y="0" width="0" height="0"/></svg></div>'
        f'{_buttons(len(boxes))}<div class="st-text">{_hint(len(boxes))}</div></div>'
    )


def _scaled(box: FaceBox, scale: float) -> tuple[int, int, int, int]:
    x, y, width, height = (round(value * scale) for value in box)
    return max(0, x), max(0, y), width, height


def _rectangle(number: int, box: tuple[int, int, int, int]) -> str:
    x, y, width, height = box
    return f'<rect class="st-face-box" data-face="{number}" x="{x}" y="{y}" width="{width}" height="{height}"/>'


def _buttons(count: int) -> str:
    """Return a button per face, for the keyboard; empty for a single face."""
    if count < 2:
        return ""
    buttons = "".join(
        f'<button type="button" class="st-face" data-face="{number}">Face {number}</button>'
        for number in range(1, count + 1)
    )
    return f'<div class="st-row">{buttons}</div>'


def _hint(count: int) -> str:
    if count == 0:
        return "No face was found. Draw a box around the face with the mouse, from forehead to chin."
    if count == 1:
        return "This face will speak. To choose another area, draw a box with the mouse."
    return f"{count} faces found. Click the one that should speak, or draw a box with the mouse."
