"""Tracked faces: usable intervals, exclusion reasons, and the clips cut from them."""

from __future__ import annotations

import itertools

import numpy as np
from small_plan import PLAN, SIZE

from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.training.clips.prepare_clips import find_spans, frame_span
from sadtalker_ext.training.clips.prepare_report import VideoReport
from sadtalker_ext.training.clips.prepare_tracking import (
    BORDER,
    CUT,
    JUMP,
    LEAVES,
    NO_FACE,
    SHORT,
    SMALL,
    TURNED,
    FaceTrack,
    cut_clips,
    is_jump,
    problem_of,
    usable_intervals,
)


def test_clips_fill_an_interval_in_equal_parts():
    for frames in range(0, 400, 7):
        parts = cut_clips(10, 10 + frames, 50, 100)
        assert all(50 <= end - start <= 100 for start, end in parts)
        assert all(first[1] == second[0] for first, second in itertools.pairwise(parts))
        if frames >= 50:
            lost = frames - sum(end - start for start, end in parts)
            assert lost <= len(parts)
        else:
            assert parts == []
    assert cut_clips(0, 110, 80, 100) == [(0, 100)]


def track_of(problems, breaks=()):
    mesh = mean_face_mesh() * 100 + np.float32([200, 150, 0])
    meshes = [None if problem == NO_FACE else mesh for problem in problems]
    return FaceTrack(meshes, list(problems), dict(breaks), (300, 400))


def test_intervals_end_at_problems_and_breaks():
    problems = [""] * 5 + [TURNED] + [""] * 4 + [NO_FACE, NO_FACE] + [""] * 3
    assert list(usable_intervals(track_of(problems))) == [(0, 5), (6, 10), (12, 15)]
    breaks = {2: CUT, 6: JUMP, 13: CUT}
    assert list(usable_intervals(track_of(problems, breaks))) == [(0, 2), (2, 5), (6, 10), (12, 13), (13, 15)]
    assert list(usable_intervals(track_of([NO_FACE] * 3))) == []


def test_unusable_faces_have_reasons():
    face = mean_face_mesh() * 100 + np.float32([200, 150, 0])
    assert problem_of(face, (300, 400), 128) == ""
    assert problem_of(face, (300, 400), 512) == SMALL
    assert problem_of(face + np.float32([180, 0, 0]), (300, 400), 128) == BORDER
    turn = np.array([[0.62, 0, -0.78], [0, 1, 0], [0.78, 0, 0.62]], np.float32)
    assert problem_of(mean_face_mesh() @ turn.T * 100 + np.float32([200, 150, 0]), (300, 400), 128) == TURNED


def test_jumps_are_distinguished_from_movement():
    face = mean_face_mesh() * 100
    assert not is_jump(face, face + np.float32([20, 5, 0]))
    assert is_jump(face, face + np.float32([60, 0, 0]))
    assert is_jump(face, face * np.float32(1.4))


def test_clips_without_face_in_box_or_sound_are_excluded():
    report, track = VideoReport("", ""), track_of([""] * 60)
    assert [span.end for span in find_spans(track, PLAN, 60 * 640, report)] == [30, 60]
    assert report.lost_s == {}
    assert [span.end for span in find_spans(track, PLAN, 40 * 640, report)] == [30]
    walking = track_of([""] * 30)
    walking.meshes = [mesh + np.float32([4 * number, 0, 0]) for number, mesh in enumerate(walking.meshes)]
    report = VideoReport("", "")
    assert find_spans(walking, PLAN, 60 * 640, report) == []
    assert report.lost_s == {LEAVES: 1.2}
    report = VideoReport("", "")
    assert find_spans(track_of([""] * 10), PLAN, 60 * 640, report) == []
    assert report.lost_s == {SHORT: 0.4}
    span = frame_span(track, 0, 30, SIZE)
    assert 0 < span.landmarks68.min() < span.landmarks68.max() < SIZE
