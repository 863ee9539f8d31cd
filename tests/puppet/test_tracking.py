"""An independent face tracker measures the requested motion in rendered frames."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from puppet_portraits import NAMES, STILL, mesh_of, shape

from sadtalker_ext.faces.find import track_faces
from sadtalker_ext.geometry.measures import eye_opening, head_pose, mouth_opening, mouth_width

SWEEP_DEG = np.array([-12.0, -6.0, 0.0, 6.0, 12.0])
TRACKED_SIZE_PX = 384
MAX_FAILURES = 1
"""One of the twelve shared portraits may miss a threshold, but not the astronaut."""


def crops(renderer, name: str, poses: list) -> Iterator[np.ndarray]:
    """Yield the head region of each rendered frame at the size that the tracker works best with."""
    mesh = mesh_of(name)
    middle, reach = mesh[:468, :2].mean(0), 1.1 * np.ptp(mesh[:468, 1])
    for pose in poses:
        frame = renderer.render_frame(*pose)
        top, left = (int(max(0, value - reach)) for value in middle[::-1])
        part = frame[top : int(middle[1] + reach), left : int(middle[0] + reach)]
        scale = TRACKED_SIZE_PX / max(part.shape[:2])
        yield cv2.resize(
            part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )


def track(renderer, name: str, poses: list) -> list:
    tracked = list(track_faces(crops(renderer, name, poses)))
    assert all(face is not None for face in tracked), f"{name}: the tracker lost the face"
    return tracked


def fit_line(requested: np.ndarray, measured: np.ndarray) -> tuple[float, float]:
    return float(np.corrcoef(requested, measured)[0, 1]), float(np.polyfit(requested, measured, 1)[0])


def mouth_opens(renderer, name: str) -> bool:
    requested = np.linspace(0.0, 1.0, 7)
    measured = [
        mouth_opening(face) for face in track(renderer, name, [(shape(jaw_open=a), STILL, STILL) for a in requested])
    ]
    return fit_line(requested, np.array(measured))[0] >= 0.95


def head_turns(renderer, name: str) -> bool:
    good = []
    for axis in range(3):
        turns = [np.float32(np.deg2rad(angle) * np.eye(3)[axis]) for angle in SWEEP_DEG]
        faces = track(renderer, name, [(shape(), turn, STILL) for turn in turns])
        measured = np.rad2deg([head_pose(face, faces[2])[axis] for face in faces])
        r, gain = fit_line(SWEEP_DEG, measured)
        good.append(r >= 0.97 and 0.75 <= gain <= 1.25)
    return all(good)


def lids_close(renderer, name: str) -> bool:
    rest, closed = track(
        renderer, name, [(shape(), STILL, STILL), (shape(blink_left=1.0, blink_right=1.0), STILL, STILL)]
    )
    return all(eye_opening(closed, side) < 0.62 * eye_opening(rest, side) for side in ("left", "right"))


def lips_take_shape(renderer, name: str) -> bool:
    """Pucker narrows and spread widens the mouth; lips_closed closes it although the jaw is open."""
    poses = [shape(), shape(pucker=1.0, jaw_open=0.15), shape(spread=1.0), shape(jaw_open=0.3, lips_closed=1.0)]
    rest, narrow, wide, closed = track(renderer, name, [(pose, STILL, STILL) for pose in poses])
    width = [mouth_width(face) for face in (narrow, rest, wide)]
    return width[0] < 0.9 * width[1] < width[1] < 0.97 * width[2] and mouth_opening(closed) < 0.035


@pytest.mark.parametrize("succeeds", [mouth_opens, head_turns, lids_close, lips_take_shape], ids=lambda f: f.__name__)
def test_the_tracker_measures_the_requested_motion(make_renderer, succeeds):
    failed = [name for name in NAMES if not succeeds(make_renderer(name), name)]
    assert "astronaut" not in failed
    assert len(failed) <= MAX_FAILURES, failed
