"""Read a portrait: the picture, the chosen face, and the mask of the person."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.geometry.quarter_turns import turn_landmarks, turn_picture, upright_turns
from sadtalker_ext.pipeline.portrait_moment import read_portrait_picture
from sadtalker_ext.setting_spec import AUTO_MOMENT

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from sadtalker_ext.arrays import Image
    from sadtalker_ext.engines.recent_values import RecentValues
    from sadtalker_ext.geometry.landmarks import Landmarks
    from sadtalker_ext.video.picture import Picture

SEARCH_PX: Final = 2048
"""Longest side of the picture in which faces are searched, so that their numbers do not depend on the working size."""
BOX_RGB: Final = (255, 122, 26)
"""Colour of drawn boxes."""


class PortraitSettings(Protocol):
    """The part of :class:`~sadtalker_ext.settings.Settings` that concerns the portrait."""

    @property
    def face(self) -> str:
        """``largest``, a number from 1, or a box x,y,width,height in pixels of the picture file."""
        ...

    @property
    def at(self) -> str:
        """Moment of a video: ``auto``, or seconds as text."""
        ...

    @property
    def resolution_limit(self) -> int:
        """Longest side after scaling down, pixels."""
        ...


@dataclass(frozen=True)
class PreparedPortrait:
    """A portrait ready to be animated, with an upright face.

    original_size_px: (width, height) of the picture file.
    faces: all faces, in pixels of the picture at working size, from left to right; their numbers count from 1.
    notes: sentences for the user.
    quarter_turns: counterclockwise turns by 90 degrees from the picture at working size to ``portrait.picture``, 0 to
        3; rendered frames are turned back.
    """

    portrait: Portrait
    original_size_px: tuple[int, int]
    faces: tuple[Landmarks, ...]
    notes: tuple[str, ...] = ()
    quarter_turns: int = 0

    @property
    def scale(self) -> float:
        """Size of the working picture divided by that of the file, at most 1."""
        return max(self.portrait.picture.shape[:2]) / max(self.original_size_px)


def read_portrait(
    path: str | Path, settings: PortraitSettings, cache: RecentValues[PreparedPortrait] | None = None,
    mouth_cover: Path | None = None,
) -> PreparedPortrait:  # fmt: skip
    """Read a picture or a frame of a video, choose the face, and segment the person.

    cache: returns the portrait without reading it again if neither the file nor the settings have changed.
    mouth_cover: file of the network that finds covers of the mouth; None: the shipped one.

    Raises MediaError if the file is not a picture, FaceError if there is no usable face. Callable from any thread.
    """
    face, at, limit_px = settings.face, settings.at, settings.resolution_limit
    if cache is None:
        return _read_portrait(path, face, at, limit_px, mouth_cover)
    key = (*_file_version(Path(path)), face, at, limit_px, mouth_cover)
    return cache.get_or_make(key, lambda: _read_portrait(path, face, at, limit_px, mouth_cover))


def _file_version(path: Path) -> tuple[Hashable, ...]:
    """Return values that change when the file is replaced or written, and are the same for its hard links."""
    status = path.stat()
    return (path.suffix, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def _read_portrait(path: str | Path, face: str, at: str, limit_px: int, cover: Path | None) -> PreparedPortrait:
    from sadtalker_ext.faces.find import PictureScale, select_face, with_mouth_cover
    from sadtalker_ext.faces.networks import face_networks
    from sadtalker_ext.faces.person_mask import segment_person

    picture = read_portrait_picture(path, limit_px, at)
    searched = _searched_picture(path, picture)
    width = searched.pixels.shape[1]
    working = picture.pixels.shape[1] / width
    size = picture.original_size_px
    choice = select_face(searched.pixels, face, PictureScale(size[0] / width, working, size))
    faces = {id(found): _scaled(found, working) for found in (*choice.faces, choice.landmarks)}
    landmarks = faces[id(choice.landmarks)]
    turns = upright_turns(landmarks)
    pixels, upright = turn_picture(picture.pixels, turns), turn_landmarks(landmarks, picture.pixels.shape[:2], turns)
    with ThreadPoolExecutor(1, thread_name_prefix="mouth-cover") as pool:
        examined = pool.submit(with_mouth_cover, searched.pixels, choice, face_networks(mouth_cover=cover))
        person = segment_person(pixels, upright.box)
        choice = examined.result()
    portrait = Portrait(pixels, upright, person, choice.mouth_covered)
    listed = tuple(faces[id(found)] for found in choice.faces)
    return PreparedPortrait(portrait, picture.original_size_px, listed, (*picture.notes, *choice.notes), turns)


def _searched_picture(path: str | Path, picture: Picture) -> Picture:
    """Return the picture in which faces are searched; ``picture`` itself if it has the right size."""
    from sadtalker_ext.video.picture import read_picture

    side = max(picture.pixels.shape[:2])
    if side == min(SEARCH_PX, max(picture.original_size_px)):
        return picture
    return read_picture(path, SEARCH_PX, "portrait", picture.at_s or 0.0)


def _scaled(face: Landmarks, factor: float) -> Landmarks:
    """Return the landmarks in a picture that is ``factor`` times as large."""
    from sadtalker_ext.geometry.landmarks import Landmarks

    return face if factor == 1 else Landmarks.from_mesh(face.mesh * factor, face.provider, face.lip_spread)


def list_faces(path: str | Path, at: str = AUTO_MOMENT) -> tuple[Picture, list[Landmarks]]:
    """Return the picture in which faces are searched, and all its faces from left to right (numbers from 1).

    at: moment of a video, as in the setting.
    """
    from sadtalker_ext.faces.find import find_faces

    picture = read_portrait_picture(path, SEARCH_PX, at)
    return picture, find_faces(picture.pixels)


@dataclass(frozen=True)
class PictureFaces:
    """The faces of a picture.

    faces: from left to right, in pixels of ``picture``; their numbers count from 1. chosen: number of the face that is
    used if the user chooses none, 0 if there is none. mouth_covered: whether something covers its mouth.
    problem: why none of the faces can be used, or empty.
    """

    picture: Picture
    faces: Sequence[Landmarks]
    chosen: int = 0
    mouth_covered: bool = False
    problem: str = ""


def inspect_faces(path: str | Path, at: str = AUTO_MOMENT) -> PictureFaces:
    """Return the faces of a picture and whether they can be animated; MediaError if the file is not a picture.

    at: moment of a video, as in the setting.
    """
    from sadtalker_ext.errors import FaceError
    from sadtalker_ext.faces.find import LARGEST, PictureScale, choose_face, find_faces

    picture = read_portrait_picture(path, SEARCH_PX, at)
    size = picture.original_size_px
    try:
        choice = choose_face(picture.pixels, LARGEST, PictureScale(size[0] / picture.pixels.shape[1], 1.0, size))
    except FaceError as e:
        return PictureFaces(picture, find_faces(picture.pixels), problem=str(e))
    chosen = next(number for number, face in enumerate(choice.faces, 1) if face is choice.landmarks)
    return PictureFaces(picture, choice.faces, chosen, choice.mouth_covered)


def draw_faces(picture: Image, faces: Sequence[Landmarks]) -> Image:
    """Return a copy of an RGB picture (H, W, 3) with a numbered box around each face."""
    import cv2

    drawn = picture.copy()
    line = max(2, round(max(picture.shape[:2]) / 500))
    for number, face in enumerate(faces, 1):
        left, top = round(face.box.x), round(face.box.y)
        right, bottom = round(face.box.x + face.box.width), round(face.box.y + face.box.height)
        cv2.rectangle(drawn, (left, top), (right, bottom), BOX_RGB, line, cv2.LINE_AA)
        _draw_number(drawn, str(number), (left, top), line)
    return drawn


def _draw_number(drawn: Image, text: str, corner: tuple[int, int], line: int) -> None:
    """Draw a number on a filled rectangle in the upper left corner of its box, entirely within the picture."""
    import cv2

    size = 0.28 * line
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, line)
    pad = 2 * line
    left = min(max(0, corner[0]), max(0, drawn.shape[1] - width - 2 * pad))
    top = min(max(0, corner[1]), max(0, drawn.shape[0] - height - below - 2 * pad))
    cv2.rectangle(drawn, (left, top), (left + width + 2 * pad, top + height + 2 * pad), BOX_RGB, cv2.FILLED)
    place = (left + pad, top + pad + height)
    cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), line, cv2.LINE_AA)
