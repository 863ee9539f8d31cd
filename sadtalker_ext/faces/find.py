"""Detection of the faces in a picture and choice of one of them, with all providers."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from sadtalker_ext.arrays import Image
from sadtalker_ext.errors import FaceError
from sadtalker_ext.faces import face_alignment_provider, mesh_provider
from sadtalker_ext.faces.mouth_state import examine_mouth
from sadtalker_ext.faces.networks import FaceNetworks, face_networks
from sadtalker_ext.faces.picture_limit import sufficient_limit_px
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks, common_area, outside_share, overlap
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.measures import head_pose
from sadtalker_ext.geometry.quarter_turns import turn_landmarks, upright_turns

log = logging.getLogger(__name__)

LARGEST = "largest"
MIN_FACE_PX = 16.0
"""Distance from eyes to chin; a smaller face has too few pixels for a mouth."""
MAX_YAW_DEG = 42.0
"""Largest turn to the side. Measured on 900 pictures, faces that show both eyes have up to 37, a profile 48."""
MIN_BOX_PX = 24
MAX_OUTSIDE = 0.2
"""Fraction of the face that may be outside the picture."""
MIN_BOX_INSIDE = 0.5
"""Fraction of a given box that must be inside the picture."""
BOX_FORMAT = "x,y,width,height in pixels"
EYE_CORNERS = (33, 133, 362, 263)
CHIN = 152


@dataclass(frozen=True)
class SearchResult:
    """Faces of a picture.

    faces: from left to right; the number of a face is its position, counted from 1. remarks: messages about providers
    that could not be used.
    """

    faces: tuple[Landmarks, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class FaceChoice:
    """The chosen face, all faces (from left to right, numbered from 1), and notes for the user.

    mouth_covered: whether a mask, a hand or an object covers the mouth of the chosen face.
    """

    landmarks: Landmarks
    faces: tuple[Landmarks, ...]
    notes: tuple[str, ...] = ()
    mouth_covered: bool = False


@dataclass(frozen=True)
class PictureScale:
    """Sizes relative to the picture in which faces are searched.

    original: the user's picture; boxes in settings and messages are in pixels of it. working: the picture that is
    animated; a face must have enough pixels in it. size_px: (width, height) of the user's picture, for messages; None
    if it is ``original`` times the size of the picture in which faces are searched.
    """

    original: float = 1.0
    working: float = 1.0
    size_px: tuple[int, int] | None = None


SAME_SIZE = PictureScale()


def find_faces(picture: Image) -> list[Landmarks]:
    """Return all faces of an RGB picture (H, W, 3) uint8, from left to right; empty if there are none.

    Coordinates and depth are in pixels of the picture, where (0.5, 0.5) is the centre of the first pixel.
    """
    return list(search_faces(picture).faces)


def track_faces(frames: Iterable[Image], device: str = "cpu") -> Iterator[Landmarks | None]:
    """Yield the largest face of each frame, None if there is none; each frame is measured on its own.

    Faster than :func:`find_faces`, without tiles and averaging; a few frames are read ahead. device: name of a torch
    device.
    """
    return mesh_provider.track(frames, face_networks(device))


class FaceFollower:
    """Follows one face through a video; if it is lost, the largest face of the frame is used."""

    def __init__(self, start: Landmarks | None = None) -> None:
        self._last = start

    def update(self, frame: Image) -> Landmarks | None:
        """Return the face of the next frame (H, W, 3), None if there is none; may be called from any thread."""
        known = None if self._last is None else self._last.mesh
        found = mesh_provider.follow(frame, known) or next(mesh_provider.track([frame]))
        self._last = found or self._last
        return found


def search_faces(picture: Image) -> SearchResult:
    """Return the faces of the first provider that finds any, from left to right."""
    faces = mesh_provider.find(picture)
    remarks = []
    if not faces:
        try:
            faces = face_alignment_provider.find(picture)
        except FaceError as error:
            log.info("%s", error)
            remarks.append(str(error))
    return SearchResult(tuple(sorted(faces, key=_reading_order)), tuple(remarks))


def choose_face(picture: Image, selection: str = LARGEST, scale: PictureScale = SAME_SIZE) -> FaceChoice:
    """Return the selected face: ``largest``, a number (from 1, left to right) or a box ``x,y,width,height``.

    FaceError if there is no such face, or it cannot be used.
    """
    return with_mouth_cover(picture, select_face(picture, selection, scale))


def select_face(picture: Image, selection: str = LARGEST, scale: PictureScale = SAME_SIZE) -> FaceChoice:
    """Return the face that :func:`choose_face` returns, without looking for what covers its mouth."""
    if "," in selection:
        box = FaceBox(*(float(part) / scale.original for part in selection.split(",")))
        face = face_in_box(picture, box, scale)
        return FaceChoice(face, (face,), _mean_face_notes(face))
    found = search_faces(picture)
    if not found.faces:
        why = "".join(f" ({remark})" for remark in found.remarks)
        raise FaceError(
            f"No face was found in the picture of {_size(picture, scale)}: set the face to a box around it, "
            f"{BOX_FORMAT}, or choose a picture with a frontal face{why}"
        )
    if selection != LARGEST:
        return _choose_number(picture, found.faces, selection, scale)
    by_size = sorted(found.faces, key=lambda face: -face.box.width * face.box.height)
    problems = [_problem(picture, face, scale) for face in by_size]
    usable = [face for face, problem in zip(by_size, problems, strict=True) if problem is None]
    if not usable:
        raise FaceError(str(problems[0]))
    notes = _several_faces_notes(found.faces, usable[0], scale, is_largest=usable[0] is by_size[0])
    return FaceChoice(usable[0], found.faces, notes)


def with_mouth_cover(picture: Image, choice: FaceChoice, networks: FaceNetworks | None = None) -> FaceChoice:
    """Return ``choice`` with what covers its mouth; landmarks that may show no human face are not examined."""
    face = choice.landmarks
    if face.lip_spread is None and face.provider != face_alignment_provider.PROVIDER:
        return choice
    covered, notes = examine_mouth(picture, face, networks)
    return replace(choice, notes=(*choice.notes, *notes), mouth_covered=covered)


def face_in_box(picture: Image, box: FaceBox, scale: PictureScale = SAME_SIZE) -> Landmarks:
    """Return the landmarks of the face in a box in pixels of ``picture``; the mean face if no model finds one.

    FaceError if the box is too small or outside the picture.
    """
    height, width = picture.shape[:2]
    if common_area(box, FaceBox(0, 0, width, height)) < MIN_BOX_INSIDE * box.width * box.height:
        raise FaceError(
            f"The face box {_format_box(box, scale)} is outside the picture of {_size(picture, scale)}: "
            f"set it to {BOX_FORMAT} inside the picture"
        )
    if min(box.width, box.height) * scale.working < MIN_BOX_PX:
        needed = MIN_BOX_PX * scale.original / scale.working
        limit_px = sufficient_limit_px(picture, min(box.width, box.height) / MIN_BOX_PX, scale.original)
        remedy = f"set resolution_limit to {limit_px} or more" if limit_px else "choose a larger picture"
        raise FaceError(
            f"The face box {_format_box(box, scale)} is too small, at least {needed:.0f} pixels on each side are "
            f"needed: choose a larger box, or {remedy} (this one has {_size(picture, scale)})"
        )
    face = mesh_provider.find_in_box(picture, box)
    return face or _aligned_in_box(picture, box) or Landmarks.from_mesh(place_in_box(box), "box")


def _aligned_in_box(picture: Image, box: FaceBox) -> Landmarks | None:
    try:
        faces = face_alignment_provider.find(picture, box)
    except FaceError as error:
        log.info("%s", error)
        return None
    return faces[0] if faces and overlap(faces[0].box, box) > mesh_provider.IN_BOX_OVERLAP else None


def _reading_order(face: Landmarks) -> tuple[float, float]:
    """Return the sort key of the numbers of faces: the centre of the box, from left to right, then downwards."""
    return (face.box.x + face.box.width / 2, face.box.y + face.box.height / 2)


def _choose_number(picture: Image, faces: tuple[Landmarks, ...], number: str, scale: PictureScale) -> FaceChoice:
    index = int(number) - 1 if number.isdecimal() else -1
    if not 0 <= index < len(faces):
        raise FaceError(
            f"There is no face {number} in the picture, only {_list_faces(faces, scale)}: choose one of these, "
            f"'{LARGEST}', or a box {BOX_FORMAT}"
        )
    problem = _problem(picture, faces[index], scale)
    if problem is not None:
        raise FaceError(problem)
    return FaceChoice(faces[index], faces)


def _problem(picture: Image, face: Landmarks, scale: PictureScale) -> str | None:
    """Return a message that says why a face cannot be used, or None if it can."""
    height_px = eyes_to_chin_px(face)
    if height_px * scale.working < MIN_FACE_PX:
        needed = MIN_FACE_PX * scale.original / scale.working
        limit_px = sufficient_limit_px(picture, height_px / MIN_FACE_PX, scale.original)
        remedy = f"set resolution_limit to {limit_px} or more" if limit_px else "choose a larger picture of it"
        return (
            f"The face at {_format_box(face.box, scale)} is too small, {height_px * scale.original:.0f} pixels from "
            f"eyes to chin where {needed:.0f} are needed: {remedy}"
        )
    outside = outside_share(face, picture.shape[1], picture.shape[0])
    if outside > MAX_OUTSIDE:
        return (
            f"The face at {_format_box(face.box, scale)} is cut by the picture's border, {outside:.0%} of it is "
            "outside: choose a picture that shows the whole face"
        )
    reference = Landmarks.from_mesh(place_in_box(face.box), "box")
    upright = turn_landmarks(face, picture.shape[:2], upright_turns(face))
    turn_deg = abs(math.degrees(head_pose(upright, reference)[1]))
    if turn_deg > MAX_YAW_DEG:
        return (
            f"The face at {_format_box(face.box, scale)} is seen from the side, turned by about {turn_deg:.0f} "
            "degrees, and a part of the mouth is hidden: choose a picture that shows both eyes, or set the face to a "
            f"box around it, {BOX_FORMAT}"
        )
    return None


def eyes_to_chin_px(face: Landmarks) -> float:
    """Return the distance from the mean of the eye corners to the chin."""
    eyes = face.mesh[list(EYE_CORNERS), :2].mean(axis=0)
    return float(np.linalg.norm(face.mesh[CHIN, :2] - eyes))


def _several_faces_notes(
    faces: tuple[Landmarks, ...], chosen: Landmarks, scale: PictureScale, *, is_largest: bool
) -> tuple[str, ...]:
    if len(faces) == 1:
        return ()
    which = "the largest" if is_largest else "the largest that is complete"
    number = next(number for number, face in enumerate(faces, 1) if face is chosen)
    return (
        f"The picture shows {_list_faces(faces, scale)}; face {number}, {which}, is used: choose another by its "
        f"number or a box {BOX_FORMAT}.",
    )


def _mean_face_notes(face: Landmarks) -> tuple[str, ...]:
    if face.provider != "box":
        return ()
    return ("No model finds a face in the given box, so an average face was placed in it: mouth and eyes may not fit.",)


def _list_faces(faces: tuple[Landmarks, ...], scale: PictureScale) -> str:
    boxes = "; ".join(f"{number} at {_format_box(face.box, scale)}" for number, face in enumerate(faces, 1))
    return f"{len(faces)} face{'s' if len(faces) > 1 else ''} ({boxes})"


def _format_box(box: FaceBox, scale: PictureScale) -> str:
    return ",".join(f"{max(0, round(value * scale.original))}" for value in box)


def _size(picture: Image, scale: PictureScale) -> str:
    rounded = round(picture.shape[1] * scale.original), round(picture.shape[0] * scale.original)
    width, height = scale.size_px or rounded
    return f"{width} x {height} px"
