"""Find the faces of a picture and choose one: one door to all providers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.errors import FaceError
from sadtalker_ext.faces import face_alignment_provider, mediapipe_provider
from sadtalker_ext.faces.worker_client import WorkerUnavailable
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks, common_area, overlap
from sadtalker_ext.geometry.mean_face import place_in_box

log = logging.getLogger(__name__)
Picture = NDArray[np.uint8]

LARGEST = "largest"
SMALLEST_FACE_PX = 16.0
"""Eyes to chin; below it there are too few pixels for a mouth."""
SMALLEST_BOX_PX = 24
MOST_OUTSIDE = 0.2
"""Part of the face oval that may lie outside the picture."""
BY_HAND = "x,y,width,height in pixels"


@dataclass(frozen=True)
class Search:
    """faces: the largest first. remarks: sentences on what kept a provider from looking."""

    faces: tuple[Landmarks, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The chosen face, every face there is (its index is its place), and sentences for the user."""

    landmarks: Landmarks
    faces: tuple[Landmarks, ...]
    notes: tuple[str, ...] = ()


def find_faces(picture: Picture) -> list[Landmarks]:
    """Every face of an RGB picture (H, W, 3) uint8, the largest first; an empty list when there is none.

    Lengths and depth are in pixels of the picture, where (0.5, 0.5) is the centre of the first pixel.
    """
    return list(search(picture).faces)


def track_faces(frames: Iterable[Picture]) -> Iterator[Landmarks | None]:
    """The largest face of each frame, every frame measured on its own; None where there is none.

    No second looks and no averaging: for reading many rendered frames fast.
    """
    return mediapipe_provider.track(frames)


class FaceFollower:
    """One face through a video, looked for where it was; where it is lost, the largest face of the frame."""

    def __init__(self, start: Landmarks | None = None) -> None:
        self._last = start

    def look(self, frame: Picture) -> Landmarks | None:
        """The face of the next frame (H, W, 3), None where there is none; may be called from any thread."""
        known = None if self._last is None else self._last.mesh
        found = mediapipe_provider.follow(frame, known) or next(mediapipe_provider.track([frame]))
        self._last = found or self._last
        return found


def search(picture: Picture) -> Search:
    """The faces of a picture by the first provider that sees any; FaceError when no provider can look at all."""
    remarks: list[str] = []
    try:
        faces = mediapipe_provider.find(picture)
        if faces:
            return Search(tuple(faces))
        looked = True
    except WorkerUnavailable as error:
        looked = False
        remarks.append(str(error))
    try:
        return Search(tuple(face_alignment_provider.find(picture)), tuple(remarks))
    except FaceError as error:
        if not looked:
            raise FaceError("; ".join([*remarks, str(error)])) from error
        log.info("%s", error)
        remarks.append(str(error))
    return Search((), tuple(remarks))


def choose_face(picture: Picture, wish: str = LARGEST, shrink: float = 1.0) -> Choice:
    """The face that a person asked for: ``largest``, an index (largest first, from 0) or a box ``x,y,width,height``.

    shrink: how much smaller ``picture`` is than the one the person knows; boxes in ``wish`` and in messages are in
    pixels of that one.
    """
    if "," in wish:
        x, y, width, height = (float(part) * shrink for part in wish.split(","))
        face = face_in_box(picture, FaceBox(x, y, width, height), shrink)
        return Choice(face, (face,), _notes_on_guess(face))
    found = search(picture)
    if not found.faces:
        why = "".join(f" ({remark})" for remark in found.remarks)
        raise FaceError(
            f"No face was found in the picture of {_size(picture, shrink)}: give a box around it by hand as "
            f"face={BY_HAND}, or take a picture with a face seen from the front{why}"
        )
    if wish != LARGEST:
        return _choose_index(picture, found.faces, wish, shrink)
    problems = [_problem(picture, face, shrink) for face in found.faces]
    usable = [index for index, problem in enumerate(problems) if problem is None]
    if not usable:
        raise FaceError(str(problems[0]))
    return Choice(found.faces[usable[0]], found.faces, _notes_on_several(found.faces, usable[0], shrink))


def face_in_box(picture: Picture, box: FaceBox, shrink: float = 1.0) -> Landmarks:
    """Landmarks fitted inside a box in pixels of ``picture``: found there by a model, else the mean face.

    FaceError only where the box is too small or not in the picture; ``shrink`` is as in :func:`choose_face`.
    """
    height, width = picture.shape[:2]
    if common_area(box, FaceBox(0, 0, width, height)) < 0.5 * box.width * box.height:
        raise FaceError(
            f"The face box {_words(box, shrink)} lies outside the picture of {_size(picture, shrink)}: "
            f"give {BY_HAND} inside it"
        )
    if min(box.width, box.height) < SMALLEST_BOX_PX:
        raise FaceError(
            f"The face box {_words(box, shrink)} is too small, at least {SMALLEST_BOX_PX / shrink:.0f} pixels on each "
            f"side are needed: give a larger box or a larger picture (this one has {_size(picture, shrink)})"
        )
    try:
        face = mediapipe_provider.find_in_box(picture, box)
    except WorkerUnavailable as error:
        log.info("%s", error)
        face = None
    return face or _aligned_in_box(picture, box) or Landmarks.from_mesh(place_in_box(box), "box")


def _aligned_in_box(picture: Picture, box: FaceBox) -> Landmarks | None:
    try:
        faces = face_alignment_provider.find(picture, box)
    except FaceError as error:
        log.info("%s", error)
        return None
    return faces[0] if faces and overlap(faces[0].box, box) > mediapipe_provider.IN_BOX_OVERLAP else None


def _choose_index(picture: Picture, faces: tuple[Landmarks, ...], wish: str, shrink: float) -> Choice:
    index = int(wish) if wish.isdigit() else -1
    if not 0 <= index < len(faces):
        raise FaceError(
            f"There is no face {wish} in the picture, only {_listing(faces, shrink)}: choose one of these, "
            f"'{LARGEST}', or give a box {BY_HAND}"
        )
    problem = _problem(picture, faces[index], shrink)
    if problem is not None:
        raise FaceError(problem)
    return Choice(faces[index], faces)


def _problem(picture: Picture, face: Landmarks, shrink: float) -> str | None:
    """A sentence why a face cannot be used, None if it can."""
    tall = eyes_to_chin_px(face)
    if tall < SMALLEST_FACE_PX:
        return (
            f"The face at {_words(face.box, shrink)} is too small, {tall / shrink:.0f} pixels from eyes to chin where "
            f"{SMALLEST_FACE_PX / shrink:.0f} are needed: use a larger picture of it"
        )
    outside = outside_share(face, picture.shape[1], picture.shape[0])
    if outside > MOST_OUTSIDE:
        return (
            f"The face at {_words(face.box, shrink)} is cut by the picture's border, {outside:.0%} of it lies outside: "
            "use a picture that shows the whole face"
        )
    return None


def eyes_to_chin_px(face: Landmarks) -> float:
    """Distance from the middle of the eye corners to the chin."""
    eyes = face.mesh[[33, 133, 362, 263], :2].mean(axis=0)
    return float(np.linalg.norm(face.mesh[152, :2] - eyes))


def outside_share(face: Landmarks, width: int, height: int) -> float:
    """Part of the face, 0 to 1, that lies outside a picture of this size, by the mesh's own points."""
    x, y = face.mesh[:468, 0], face.mesh[:468, 1]
    return float(np.mean((x < 0) | (y < 0) | (x > width) | (y > height)))


def _notes_on_several(faces: tuple[Landmarks, ...], taken: int, shrink: float) -> tuple[str, ...]:
    if len(faces) == 1:
        return ()
    which = "the largest" if taken == 0 else "the largest that is whole"
    return (
        f"The picture shows {_listing(faces, shrink)}; face {taken}, {which}, was taken: choose another by its index "
        f"or a box {BY_HAND}.",
    )


def _notes_on_guess(face: Landmarks) -> tuple[str, ...]:
    if face.provider != "box":
        return ()
    return ("No model sees a face in the given box, so an average face was placed in it: mouth and eyes may not fit.",)


def _listing(faces: tuple[Landmarks, ...], shrink: float) -> str:
    boxes = "; ".join(f"{index} at {_words(face.box, shrink)}" for index, face in enumerate(faces))
    return f"{len(faces)} face{'s' if len(faces) > 1 else ''} ({boxes})"


def _words(box: FaceBox, shrink: float) -> str:
    return ",".join(f"{max(0, round(value / shrink))}" for value in box)


def _size(picture: Picture, shrink: float) -> str:
    return f"{round(picture.shape[1] / shrink)} x {round(picture.shape[0] / shrink)} px"
