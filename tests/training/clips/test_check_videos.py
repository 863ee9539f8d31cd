"""``sadtalker train check`` of videos before they are prepared: each unusable video is named with its problem."""

from __future__ import annotations

import json
import subprocess

import cv2
import numpy as np
import pytest
from synthetic_videos import astronaut, empty_scene, talking_frames, write

from sadtalker_ext.cli.main import main
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.training.clips.check_motion import check_brightness
from sadtalker_ext.training.clips.check_videos import flickering_lips

FRAMES, SHORT = 100, 25


def ffmpeg(*arguments):
    subprocess.run([ffmpeg_program(), "-v", "error", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """The places of each problem in a folder of good and bad videos, by the name of the check."""
    folder = tmp_path_factory.mktemp("videos")
    actor = astronaut(tmp_path_factory.mktemp("actor"))
    frames = [cv2.resize(frame, (384, 384), interpolation=cv2.INTER_AREA) for frame in talking_frames(actor, FRAMES)]
    talk = tmp_path_factory.mktemp("source") / "talk.mp4"
    write(talk, frames)
    ffmpeg("-i", talk, "-itsoffset", 0.32, "-i", talk, "-map", "0:v", "-map", "1:a", "-c", "copy", folder / "late.mp4")
    ffmpeg("-i", talk, "-t", 2, folder / "good.mp4")
    write(folder / "still.mp4", frames[:1] * SHORT)
    write(folder / "slow.mp4", frames[:FRAMES:2][:SHORT], rate_hz=12.5)
    write(folder / "mute.mp4", frames[:5], sound=False)
    ffmpeg("-i", talk, "-t", 1, "-af", "volume=0.0001", folder / "quiet.mp4")
    write(folder / "meadow.mp4", empty_scene((96, 128, 3), SHORT))
    pulse = "eq=brightness='0.06*(mod(n,2)*2-1)':eval=frame"
    ffmpeg("-i", talk, "-ss", 2, "-t", 1.2, "-vf", pulse, folder / "pulse.mp4")
    (folder / "cut.mp4").write_bytes(talk.read_bytes()[:20000])
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("builtins.print", printed.append)
        code = main(["train", "check", str(folder), "--json"])
    report = json.loads(printed[0])
    assert code == 1
    return report["summary"], {problem["check"]: problem["places"] for problem in report["problems"]}


def test_each_bad_video_is_named_once(checked):
    summary, places = checked
    assert summary == {"videos": 9, "speakers": 9, "checked": 9, "compared": 4}
    assert {check: sorted(found) for check, found in places.items()} == {
        "sync": ["late.mp4"],
        "no_motion": ["still.mp4"],
        "frame_rate": ["slow.mp4"],
        "silent": ["mute.mp4", "quiet.mp4"],
        "damaged": ["cut.mp4"],
        "framing": ["meadow.mp4"],
        "flicker": ["pulse.mp4"],
    }


def test_what_was_measured_is_given(checked):
    _, places = checked
    late = places["sync"]["late.mp4"]
    assert "behind the lips" in late
    assert abs(float(late.split("sound ")[1].split()[0]) - 0.32) < 0.07
    assert places["frame_rate"]["slow.mp4"] == "12.5 per second"
    assert places["silent"]["mute.mp4"] == "no sound"
    assert "face is seen in 0 %" in places["framing"]["meadow.mp4"]


def test_frames_in_a_wrong_order_flicker_if_the_face_is_large():
    times_s = np.arange(250) / 25.0
    gap = 0.05 * (np.sin(2.0 * np.pi * 1.4 * times_s) + 0.5 * np.sin(2.0 * np.pi * 2.3 * times_s)) + 0.1
    order = np.arange(250).reshape(-1, 5)[:, [3, 0, 2, 1, 4]].ravel()
    for face_px, flickers in ((200.0, True), (55.0, False)):
        lips = np.stack([gap, np.ones(250), np.full(250, face_px)], axis=1)
        assert not flickering_lips(lips)
        assert bool(flickering_lips(lips[order])) is flickers
    shaken = lips + np.random.default_rng(0).normal(0.0, 0.1, (250, 1)) * [1.0, 0.0, 0.0]
    assert "roughness" in flickering_lips(shaken)


def test_cuts_and_slow_changes_of_the_light_do_not_flicker():
    times = np.arange(250)
    cuts = np.repeat([40.0, 180.0, 90.0, 220.0, 60.0], 50)
    slow = 100.0 + 60.0 * np.sin(2.0 * np.pi * times / 50.0)
    for levels in (cuts, slow, cuts + slow / 4.0, np.zeros(1)):
        assert not check_brightness("clip", levels)
    for period in (2, 3, 5):
        measured = check_brightness("clip", slow + 8.0 * (times % period == 0))
        assert "brightness changes by" in measured[0].places["clip"]


def test_a_run_is_not_checked_with_videos(tmp_path, capsys):
    write(tmp_path / "one.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3, sound=False)
    assert main(["train", "check", str(tmp_path), str(tmp_path)]) == 2
    assert "check a run with the data set that was prepared" in capsys.readouterr().err
