"""One face followed through a video, and the stretches in which it can be learnt from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.puppet_coefficients import portrait_rotation
from sadtalker_ext.faces import mediapipe_provider
from sadtalker_ext.faces.face_crop import Pyramid
from sadtalker_ext.faces.find import outside_share
from sadtalker_ext.geometry.crop import face_square
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks, oval_box, overlap, subset_68

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Mesh = NDArray[np.float32]

NO_FACE: Final = "no face"
SMALL: Final = "the face is too small"
TURNED: Final = "the head is turned too far"
BORDER: Final = "the face is cut by the border"
RIVALS: Final = "two faces of about the same size"
CUT: Final = "the scene cuts"
JUMP: Final = "the face jumps"
SHORT: Final = "too short"
LEAVES: Final = "the face leaves its box"

THUMB: Final = (32, 18)
CUT_LEVELS: Final = 14.0
"""Mean difference of two frames' thumbnails, in levels of 255, from which the scene may have cut."""
CUT_RATIO: Final = 5.0
"""It has if that is so many times what it was in the second before."""
REMEMBERED: Final = 25
JUMP_HEIGHTS: Final = 0.3
"""A face that moves by this part of its height from one frame to the next has not moved, but is another."""
JUMP_SCALE: Final = 1.25
RIVAL_SIZE: Final = 0.6
"""Another face of this part of the first one's size makes it unclear who talks."""
RIVALS_EVERY: Final = 12
"""Frames between two looks for other faces."""
MOST_OUTSIDE: Final = 0.04
TURN_LIMITS_RAD: Final = (0.6, 0.7)
"""Pitch and yaw."""
SMALLEST_PART: Final = 0.6
"""The face's square must have this part of the clip's side at least, so that little of the picture is made up."""


@dataclass
class FaceTrack:
    """meshes: (478, 3) of each frame, None where there is no face. problems: why a frame cannot be used, "" if it can.
    breaks: frames that do not continue the one before, and why. shape: (H, W) of the frames.
    """

    meshes: list[Mesh | None] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    breaks: dict[int, str] = field(default_factory=dict)
    shape: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.problems)


class Follower:
    """Looks for one face, frame after frame, where it was before; anew after a cut or where it is lost."""

    def __init__(self) -> None:
        self._last: Mesh | None = None
        self._rivals = False
        self._next_look = 0
        self._thumb: NDArray[np.float32] | None = None
        self._changes: deque[float] = deque(maxlen=REMEMBERED)

    def look(self, number: int, frame: Picture) -> tuple[Mesh | None, bool, bool]:
        """The face (478, 3) of the next frame, whether others rival it, and whether the scene has just cut."""
        cut = self._cuts(frame)
        if cut:
            self._last = None
        found = mediapipe_provider.follow(frame, self._last)
        if found is None:
            found = next(mediapipe_provider.track([frame]))
            self._next_look = number
        mesh = None if found is None else found.mesh
        if mesh is not None and number >= self._next_look:
            self._rivals = has_rival(Pyramid(frame), mesh)
            self._next_look = number + RIVALS_EVERY
        self._last = mesh
        return mesh, self._rivals, cut

    def _cuts(self, frame: Picture) -> bool:
        import cv2

        thumb = np.asarray(cv2.resize(frame, THUMB, interpolation=cv2.INTER_AREA), np.float32)
        change = 0.0 if self._thumb is None else float(np.abs(thumb - self._thumb).mean())
        usual = float(np.median(self._changes)) if self._changes else 0.0
        self._thumb = thumb
        self._changes.append(change)
        return change > CUT_LEVELS and change > CUT_RATIO * usual


def has_rival(pyramid: Pyramid, mesh: Mesh) -> bool:
    """Whether another face of about the size of ``mesh`` is in the picture."""
    own = oval_box(mesh)
    whole = FaceBox(0, 0, pyramid.picture.shape[1], pyramid.picture.shape[0])
    crops = mediapipe_provider.detect(pyramid, whole, "short") + mediapipe_provider.detect(pyramid, whole, "full")
    others = [crop for crop in crops if not _inside(crop.x, crop.y, own)]
    meshes = mediapipe_provider.rough_meshes(pyramid, others, mediapipe_provider.SURE)
    boxes = [oval_box(other) for other in meshes]
    return any(box.height >= RIVAL_SIZE * own.height and overlap(box, own) < RIVAL_SIZE / 2 for box in boxes)


def track_video(frames: Iterable[Picture], size_px: int) -> FaceTrack:
    """Follow the face of a video; ``size_px`` is the side of the clips that it must be large enough for."""
    track, follower = FaceTrack(), Follower()
    before: Mesh | None = None
    for number, frame in enumerate(frames):
        track.shape = (frame.shape[0], frame.shape[1])
        mesh, rivals, cut = follower.look(number, frame)
        if cut:
            track.breaks[number] = CUT
        elif mesh is not None and before is not None and jumps(before, mesh):
            track.breaks[number] = JUMP
        track.meshes.append(mesh)
        track.problems.append(NO_FACE if mesh is None else RIVALS if rivals else problem_of(mesh, track.shape, size_px))
        before = mesh
    return track


def problem_of(mesh: Mesh, shape: tuple[int, int], size_px: int) -> str:
    """Why a face cannot be used, "" if it can."""
    if outside_share(Landmarks.from_mesh(mesh, "track"), shape[1], shape[0]) > MOST_OUTSIDE:
        return BORDER
    if face_square(subset_68(mesh)).side < SMALLEST_PART * size_px:
        return SMALL
    return TURNED if np.any(np.abs(portrait_rotation(mesh)[:2]) > TURN_LIMITS_RAD) else ""


def jumps(before: Mesh, mesh: Mesh) -> bool:
    """Whether two meshes of neighbouring frames cannot be one face that moves."""
    first, second = oval_box(before), oval_box(mesh)
    moved = np.hypot(
        first.x + first.width / 2 - second.x - second.width / 2,
        first.y + first.height / 2 - second.y - second.height / 2,
    )
    ratio = max(first.height, second.height) / max(min(first.height, second.height), 1e-6)
    return bool(moved > JUMP_HEIGHTS * first.height or ratio > JUMP_SCALE)


def stretches(track: FaceTrack) -> Iterator[tuple[int, int]]:
    """First frame and the frame after the last of each stretch without a problem or a break."""
    start = 0
    for number in range(len(track) + 1):
        ends = number == len(track) or track.problems[number] != ""
        if ends or number in track.breaks:
            if number > start:
                yield start, number
            start = number + 1 if ends else number


def cut_clips(start: int, end: int, shortest: int, longest: int) -> list[tuple[int, int]]:
    """A stretch in equal parts of at most ``longest`` frames, none where it has fewer than ``shortest``."""
    frames = end - start
    if frames < shortest:
        return []
    count = -(-frames // longest)
    if frames // count < shortest:
        count = frames // shortest
    size = min(longest, frames // count)
    return [(start + index * size, start + (index + 1) * size) for index in range(count)]


def lost_frames(track: FaceTrack) -> dict[str, int]:
    """Frames that cannot be used, by reason."""
    lost: dict[str, int] = {}
    for problem, frames in groupby(track.problems):
        if problem:
            lost[problem] = lost.get(problem, 0) + len(list(frames))
    return lost


def _inside(x: float, y: float, box: FaceBox) -> bool:
    return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height
