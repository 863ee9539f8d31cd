"""From a picture file to a portrait: read it, choose the face, cut out the person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sadtalker_ext.geometry.portrait import Portrait

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from sadtalker_ext.geometry.landmarks import Landmarks
    from sadtalker_ext.video.picture import Picture

ACCENT = (255, 122, 26)
"""Colour of drawn boxes, RGB."""


class PortraitSettings(Protocol):
    """What :class:`~sadtalker_ext.settings.Settings` says about the portrait."""

    @property
    def face(self) -> str:
        """``largest``, an index, or a box x,y,width,height in pixels of the picture file."""
        ...

    @property
    def resolution_limit(self) -> int:
        """Largest side to work at, pixels."""
        ...


@dataclass(frozen=True)
class PreparedPortrait:
    """A portrait ready to be animated.

    original_size_px: (width, height) of the picture file. faces: every face, in pixels of ``portrait.picture``; their
    place is their index. notes: sentences for the user.
    """

    portrait: Portrait
    original_size_px: tuple[int, int]
    faces: tuple[Landmarks, ...]
    notes: tuple[str, ...] = ()

    @property
    def shrink(self) -> float:
        """Size of the working picture over that of the file, 1 or less."""
        return self.portrait.picture.shape[1] / self.original_size_px[0]


def read_portrait(path: str | Path, wishes: PortraitSettings) -> PreparedPortrait:
    """Read a picture or a video's first frame, choose its face as wished, and cut out the person.

    MediaError for a file that is no picture, FaceError for a face that cannot be used. May be called from any thread.
    """
    from sadtalker_ext.faces.find import choose_face
    from sadtalker_ext.faces.person_mask import segment_person
    from sadtalker_ext.faces.worker_client import WorkerUnavailable, start_worker
    from sadtalker_ext.video.picture import read_picture

    start_worker()
    picture = read_picture(path, wishes.resolution_limit)
    choice = choose_face(picture.pixels, wishes.face, _shrink(picture))
    try:
        person = segment_person(picture.pixels, choice.landmarks.box)
    except WorkerUnavailable:
        person = None
    portrait = Portrait(picture.pixels, choice.landmarks, person)
    return PreparedPortrait(portrait, picture.original_size_px, choice.faces, (*picture.notes, *choice.notes))


def list_faces(path: str | Path, limit_px: int) -> tuple[Picture, list[Landmarks]]:
    """The picture at working size and every face in it, the largest first."""
    from sadtalker_ext.faces.find import find_faces
    from sadtalker_ext.faces.worker_client import start_worker
    from sadtalker_ext.video.picture import read_picture

    start_worker()
    picture = read_picture(path, limit_px)
    return picture, find_faces(picture.pixels)


def draw_faces(picture: NDArray[np.uint8], faces: Sequence[Landmarks]) -> NDArray[np.uint8]:
    """A copy of an RGB picture (H, W, 3) with a numbered box around each face."""
    import cv2

    drawn = picture.copy()
    line = max(2, round(max(picture.shape[:2]) / 500))
    for index, face in enumerate(faces):
        left, top = round(face.box.x), round(face.box.y)
        right, bottom = round(face.box.x + face.box.width), round(face.box.y + face.box.height)
        cv2.rectangle(drawn, (left, top), (right, bottom), ACCENT, line, cv2.LINE_AA)
        _draw_number(drawn, str(index), (left, top), line)
    return drawn


def _draw_number(drawn: NDArray[np.uint8], text: str, corner: tuple[int, int], line: int) -> None:
    """The index on a small plate inside the upper left corner of its box, wholly within the picture."""
    import cv2

    size = 0.28 * line
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, line)
    pad = 2 * line
    left = min(max(0, corner[0]), max(0, drawn.shape[1] - width - 2 * pad))
    top = min(max(0, corner[1]), max(0, drawn.shape[0] - height - below - 2 * pad))
    cv2.rectangle(drawn, (left, top), (left + width + 2 * pad, top + height + 2 * pad), ACCENT, cv2.FILLED)
    place = (left + pad, top + pad + height)
    cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), line, cv2.LINE_AA)


def _shrink(picture: Picture) -> float:
    return picture.pixels.shape[1] / picture.original_size_px[0]
