"""Tracking of one face through a video, and the intervals that are usable for training."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.puppet_coefficients import portrait_rotation
from sadtalker_ext.faces import mesh_provider
from sadtalker_ext.faces.detection import detect
from sadtalker_ext.faces.face_crop import ImagePyramid
from sadtalker_ext.faces.networks import face_networks
from sadtalker_ext.geometry.crop import face_square
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks, outside_share, oval_box, overlap, subset_68

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Frame

NO_FACE: Final = "no face"
SMALL: Final = "the face is too small"
TURNED: Final = "the head is turned too far"
BORDER: Final = "the face is cut by the border"
SIMILAR_FACES: Final = "two faces of about the same size"
CUT: Final = "the scene cuts"
JUMP: Final = "the face jumps"
SHORT: Final = "too short"
LEAVES: Final = "the face leaves its box"

THUMBNAIL_PX: Final = (32, 18)
CUT_LEVELS: Final = 14.0
"""Minimum mean difference of consecutive thumbnails at a scene cut, in levels of 255."""
CUT_RATIO: Final = 5.0
"""Minimum ratio of this difference to its median over the preceding second."""
MEDIAN_FRAMES: Final = 25
JUMP_HEIGHTS: Final = 0.3
"""A face that moves by more than this part of its height between frames is taken for another face."""
JUMP_SCALE: Final = 1.25
"""A face whose height changes by more than this factor between frames is also taken for another face."""
SIMILAR_SIZE: Final = 0.6
"""Minimum size of another face, relative to the tracked one, that makes it unclear who speaks."""
FACE_SEARCH_INTERVAL_FRAMES: Final = 12
"""Other faces are searched for at this interval."""
MAX_OUTSIDE_SHARE: Final = 0.04
"""Part of the face that may be outside the frame."""
TURN_LIMITS_RAD: Final = (0.6, 0.7)
"""Maximum pitch and yaw."""
MIN_FACE_SHARE: Final = 0.6
"""Minimum side of the face square relative to the clip, so that the face is not enlarged too much."""


@dataclass
class FaceTrack:
    """One tracked face.

    meshes: (478, 3) in pixels for each frame, None without a face. problems: why a frame cannot be used, "" if it can.
    breaks: reason for each frame that does not continue the previous one. shape: (H, W) of the frames.
    """

    meshes: list[Float32Array | None] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    breaks: dict[int, str] = field(default_factory=dict)
    shape: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.problems)


class FaceTracker:
    """Tracks one face from frame to frame; detects it again after a scene cut or when it is lost."""

    def __init__(self) -> None:
        self._last: Float32Array | None = None
        self._has_similar_face = False
        self._next_face_search = 0
        self._thumbnail: Float32Array | None = None
        self._changes: deque[float] = deque(maxlen=MEDIAN_FRAMES)

    def update(self, number: int, frame: Frame) -> tuple[Float32Array | None, bool, bool]:
        """Track the face in the next frame.

        Returns its mesh (478, 3) or None, whether another face of similar size is visible, and whether the scene was
        cut before this frame.
        """
        cut = self._is_cut(frame)
        if cut:
            self._last = None
        found = mesh_provider.follow(frame, self._last)
        if found is None:
            found = next(mesh_provider.track([frame]))
            self._next_face_search = number
        mesh = None if found is None else found.mesh
        if mesh is not None and number >= self._next_face_search:
            self._has_similar_face = has_similar_face(ImagePyramid(frame), mesh)
            self._next_face_search = number + FACE_SEARCH_INTERVAL_FRAMES
        self._last = mesh
        return mesh, self._has_similar_face, cut

    def _is_cut(self, frame: Frame) -> bool:
        import cv2

        thumbnail = np.asarray(cv2.resize(frame, THUMBNAIL_PX, interpolation=cv2.INTER_AREA), np.float32)
        change = 0.0 if self._thumbnail is None else float(np.abs(thumbnail - self._thumbnail).mean())
        median = float(np.median(self._changes)) if self._changes else 0.0
        self._thumbnail = thumbnail
        self._changes.append(change)
        return change > CUT_LEVELS and change > CUT_RATIO * median


def has_similar_face(pyramid: ImagePyramid, mesh: Float32Array) -> bool:
    """Return whether the picture has another face of at least :data:`SIMILAR_SIZE` times the size of ``mesh``."""
    own = oval_box(mesh)
    networks = face_networks()
    crops = [crop for reach in ("short", "full") for crop in detect(networks, [pyramid.picture], reach)[0]]
    others = [crop for crop in crops if not _inside(crop.x, crop.y, own)]
    meshes = mesh_provider.estimate_meshes(networks, pyramid, others, mesh_provider.MIN_PRESENCE)
    boxes = [oval_box(other) for other in meshes]
    return any(box.height >= SIMILAR_SIZE * own.height and overlap(box, own) < SIMILAR_SIZE / 2 for box in boxes)


def track_video(frames: Iterable[Frame], size_px: int) -> FaceTrack:
    """Track the face of a video; it must be large enough for clips of ``size_px``."""
    track, tracker = FaceTrack(), FaceTracker()
    previous: Float32Array | None = None
    for number, frame in enumerate(frames):
        track.shape = (frame.shape[0], frame.shape[1])
        mesh, similar_faces, cut = tracker.update(number, frame)
        if cut:
            track.breaks[number] = CUT
        elif mesh is not None and previous is not None and is_jump(previous, mesh):
            track.breaks[number] = JUMP
        track.meshes.append(mesh)
        problem = SIMILAR_FACES if similar_faces else None
        track.problems.append(NO_FACE if mesh is None else problem or problem_of(mesh, track.shape, size_px))
        previous = mesh
    return track


def problem_of(mesh: Float32Array, shape: tuple[int, int], size_px: int) -> str:
    """Return why a face (478, 3) cannot be used, "" if it can."""
    if outside_share(Landmarks.from_mesh(mesh, "track"), shape[1], shape[0]) > MAX_OUTSIDE_SHARE:
        return BORDER
    if face_square(subset_68(mesh)).side < MIN_FACE_SHARE * size_px:
        return SMALL
    return TURNED if np.any(np.abs(portrait_rotation(mesh)[:2]) > TURN_LIMITS_RAD) else ""


def is_jump(previous: Float32Array, mesh: Float32Array) -> bool:
    """Return whether the meshes of consecutive frames are too different to be the same face."""
    first, second = oval_box(previous), oval_box(mesh)
    moved = np.hypot(
        first.x + first.width / 2 - second.x - second.width / 2,
        first.y + first.height / 2 - second.y - second.height / 2,
    )
    ratio = max(first.height, second.height) / max(min(first.height, second.height), 1e-6)
    return bool(moved > JUMP_HEIGHTS * first.height or ratio > JUMP_SCALE)


def usable_intervals(track: FaceTrack) -> Iterator[tuple[int, int]]:
    """Yield the start and end (exclusive) of each interval without a problem or a break."""
    start = 0
    for number in range(len(track) + 1):
        ends = number == len(track) or track.problems[number] != ""
        if ends or number in track.breaks:
            if number > start:
                yield start, number
            start = number + 1 if ends else number


def cut_clips(start: int, end: int, shortest: int, longest: int) -> list[tuple[int, int]]:
    """Split an interval into equal parts of at most ``longest`` frames; no part if it is shorter than ``shortest``."""
    frames = end - start
    if frames < shortest:
        return []
    count = -(-frames // longest)
    if frames // count < shortest:
        count = frames // shortest
    size = min(longest, frames // count)
    return [(start + index * size, start + (index + 1) * size) for index in range(count)]


def lost_frames(track: FaceTrack) -> dict[str, int]:
    """Return the number of unusable frames by reason."""
    lost: dict[str, int] = {}
    for problem, frames in groupby(track.problems):
        if problem:
            lost[problem] = lost.get(problem, 0) + len(list(frames))
    return lost


def _inside(x: float, y: float, box: FaceBox) -> bool:
    return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height
