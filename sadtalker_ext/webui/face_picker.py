"""The face picker: the portrait with a marker on every face, to choose one or to draw a box."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.setting_spec import AUTO_MOMENT
from sadtalker_ext.webui.html import jpeg_url, message
from sadtalker_ext.webui.page_words import page_text
from sadtalker_ext.webui.uploads import upload_name

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.geometry.landmarks import FaceBox
    from sadtalker_ext.pipeline.portrait import PictureFaces

PREVIEW_PX: Final = 960
"""Longest side of the picture on the page."""
COVERED: Final = (
    "The mouth seems to be covered. The head and the eyes will move, but not the lips: choose a picture that shows the "
    "mouth."
)
NO_FACE: Final = "No face was found. Draw a box around it on the picture, from forehead to chin."
ONE_FACE: Final = "This face will be animated."
DRAWN_BOX: Final = "The face in the box will be animated."
CHANGE_BUTTON: Final = (
    '<label class="st-button" data-label="Change picture">Change picture'
    '<input type="file" class="st-unseen" accept="image/*" data-portrait="change" aria-label="Change picture"></label>'
)
BUTTONS: Final = (
    '<div class="st-row">{draw}'
    '<button type="button" class="st-button st-when-drawn" data-box="remove" aria-label="Undo the box">Undo</button>'
    + CHANGE_BUTTON
    + '<button type="button" class="st-button" data-portrait="remove" aria-label="Remove the picture">Remove</button>'
    "</div>"
)
DRAW_BUTTON: Final = '<button type="button" class="st-button" data-box="draw" aria-pressed="false">Draw a box</button>'


def faces_view(path: Path | None, at: str = AUTO_MOMENT) -> str:
    """Return the picture with a marker on every face as HTML; empty without a path, an error if it is unreadable.

    at: moment of a video, as in the setting.
    """
    if path is None:
        return ""
    from sadtalker_ext.pipeline.portrait import inspect_faces

    try:
        found = inspect_faces(path, at)
    except SadTalkerError as e:
        text = page_text(e.describe({path: upload_name(path)}))
        return f'<div class="st-portrait-view">{message(text, "error")}{BUTTONS.format(draw="")}</div>'
    width, height = found.picture.original_size_px
    scale = width / found.picture.pixels.shape[1]
    boxes = [_scaled(face.box, scale) for face in found.faces]
    return (
        f'<div class="st-faces st-portrait-view" data-width="{width}" data-height="{height}" '
        f'data-largest="{found.chosen}" '
        f'data-count="{len(boxes)}">'
        '<div class="st-canvas">'
        f'<img alt="Portrait" draggable="false" src="{jpeg_url(found.picture.pixels, PREVIEW_PX)}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(_rectangle(number, box) for number, box in enumerate(boxes, 1))}"
        '<rect class="st-drawn" x="0" y="0" width="0" height="0"/></svg>'
        f"{_chips(boxes, (width, height))}</div>"
        f'{BUTTONS.format(draw=DRAW_BUTTON)}<div class="st-hint">{_hint(found)}</div>'
        f'<div class="st-text st-when-drawn" role="status">{DRAWN_BOX}</div></div>'
    )


def _scaled(box: FaceBox, scale: float) -> tuple[int, int, int, int]:
    x, y, width, height = (round(value * scale) for value in box)
    return max(0, x), max(0, y), width, height


def _rectangle(number: int, box: tuple[int, int, int, int]) -> str:
    x, y, width, height = box
    return f'<rect class="st-face-box" data-face="{number}" x="{x}" y="{y}" width="{width}" height="{height}"/>'


def _chips(boxes: list[tuple[int, int, int, int]], size: tuple[int, int]) -> str:
    """Return a button with the number of each face at its upper left corner; none for a single face."""
    if len(boxes) < 2:
        return ""
    return "".join(
        f'<button type="button" class="st-face" data-face="{number}" aria-label="Face {number}" aria-pressed="false" '
        f'style="left:{100 * x / size[0]:.2f}%;top:{100 * y / size[1]:.2f}%">{number}</button>'
        for number, (x, y, _, _) in enumerate(boxes, 1)
    )


def _hint(found: PictureFaces) -> str:
    """Return a sentence on the faces, or what the user must do before a video can be made."""
    count = len(found.faces)
    if count == 0:
        return message(NO_FACE, "warning")
    if found.problem:
        return message(page_text(found.problem), "warning")
    if found.mouth_covered:
        return message(COVERED, "warning")
    text = ONE_FACE if count == 1 else f"{count} faces. Choose the one to animate, or draw a box."
    return f'<div class="st-text" role="status">{escape(text)}</div>'
