"""Lips measured in videos for LipMotion: what is left out, late sound, resumption, and speakers counted first."""

import json
import logging
import os
import subprocess

import numpy as np
import pytest
from synthetic_videos import astronaut, empty_scene, talking_frames, write

from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.training.starter import lip_tracking
from sadtalker_ext.training.starter.lip_recordings import read_recordings
from sadtalker_ext.training.starter.lip_tracking import LipTrack, collect_recordings, measure_videos


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A video of 2.4 s of a talking person."""
    path = tmp_path_factory.mktemp("talk") / "talk.mp4"
    write(path, talking_frames(astronaut(tmp_path_factory.mktemp("actor")), 60))
    return path


def ffmpeg(*arguments):
    subprocess.run([ffmpeg_program(), "-v", "error", "-y", *map(str, arguments)], check=True)


def test_a_video_is_measured_and_named_by_its_file_only(talk, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "anna_001.mp4").write_bytes(talk.read_bytes())
    recording = measure_videos([tmp_path / "videos"], tmp_path / "run")[0]
    assert (recording.speaker, recording.source) == ("anna", "anna_001.mp4")
    assert recording.sound.name == "anna_001.mp4"
    assert np.isfinite(recording.lips).all()
    assert np.ptp(recording.lips[:, 0]) > 0.02
    np.testing.assert_array_equal(read_recordings(tmp_path / "run")[0].lips, recording.lips)


def test_lips_are_read_at_the_times_of_sound_that_starts_later_or_ends_earlier(talk, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    ffmpeg("-i", talk, "-c", "copy", videos / "a.mkv")
    ffmpeg("-i", talk, "-itsoffset", 0.2, "-i", talk, "-map", "0:v", "-map", "1:a", "-c", "copy", videos / "late.mkv")
    ffmpeg("-i", talk, "-t", 2.1, "-i", talk, "-map", "0:v", "-map", "1:a", "-c:v", "copy", videos / "short.mkv")
    plain, late, short = (recording.lips for recording in measure_videos([videos], tmp_path / "run"))
    np.testing.assert_allclose(late[:54], plain[5:59], atol=2e-4)
    assert np.isnan(late[56:]).all()
    np.testing.assert_array_equal(short[:50], plain[:50])
    assert np.isnan(short[54:]).all()


def test_unusable_videos_are_left_out_with_their_reason(talk, tmp_path, caplog):
    videos = tmp_path / "videos"
    write(videos / "meadow.mp4", empty_scene((96, 128, 3), 10))
    ffmpeg("-i", talk, "-t", 1, "-c", "copy", videos / "brief.mp4")
    ffmpeg("-i", talk, "-an", "-c", "copy", videos / "mute.mp4")
    ffmpeg("-i", talk, "-af", "volume=0.0001", "-c:v", "copy", videos / "quiet.mp4")
    ffmpeg("-i", talk, "-vf", "trim=end_frame=1,loop=59:1", videos / "still.mp4")
    (videos / "cut.mp4").write_bytes(talk.read_bytes()[:9000])
    with pytest.raises(MediaError, match="No video shows a talking face"):
        measure_videos([videos], tmp_path / "run")
    reasons = "\n".join(record.message for record in caplog.records if record.levelno == logging.WARNING)
    for name, reason in {
        "brief": "together last", "cut": "contains no samples", "meadow": "A face was found in only 0 of 10",
        "mute": "no audio", "quiet": "sound in only 0 %", "still": "lips do not move",
    }.items():  # fmt: skip
        line = next(line for line in reasons.splitlines() if name in line)
        assert reason in line
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="There are no videos"):
        measure_videos([tmp_path / "empty"], tmp_path / "run")


def test_an_interrupted_run_tracks_only_the_videos_that_are_left(talk, tmp_path, monkeypatch):
    videos, run = tmp_path / "videos", tmp_path / "run"
    videos.mkdir()
    for name in ("b.mp4", "c.mp4", "d.mp4"):
        (videos / name).write_bytes(talk.read_bytes())
    tracked = []
    lips = np.stack([0.1 + 0.1 * np.sin(np.arange(60)), np.full(60, 0.5)], axis=1)

    def tracks(stops_at=""):
        def fake(path, seconds):
            if path.name == stops_at:
                raise KeyboardInterrupt
            tracked.append(path.name)
            return LipTrack(25.0, lips.copy())

        monkeypatch.setattr(lip_tracking, "track_lips", fake)

    tracks(stops_at="d.mp4")
    with pytest.raises(KeyboardInterrupt):
        measure_videos([videos], run)
    (videos / "a.mp4").write_bytes(talk.read_bytes())
    os.utime(videos / "c.mp4", (1, 1))
    tracks(stops_at="c.mp4")
    with pytest.raises(KeyboardInterrupt):
        measure_videos([videos], run)
    tracks()
    assert [recording.name for recording in measure_videos([videos], run)] == ["0000_a", "0001_b", "0002_c", "0003_d"]
    assert tracked == ["b.mp4", "c.mp4", "a.mp4", "c.mp4", "d.mp4"]
    measure_videos([videos], run, seconds=2.2)
    assert len(tracked) == 9


def test_lips_of_others_are_not_replaced(talk, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "lips.json").write_text(json.dumps({"mine": {"speaker": "a", "fps": 25}}))
    with pytest.raises(SettingsError, match="would be replaced; choose another --out"):
        measure_videos([talk.parent], run)


def test_speakers_are_counted_before_anything_is_tracked(talk, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lip_tracking, "track_lips", lambda *given: pytest.fail("tracked"))
    for name in ("clip_001.mp4", "clip_002.mp4", "bert/x.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "videos" / name).write_bytes(talk.read_bytes())
    command = ["train", "lip_motion", "--data", str(tmp_path / "videos"), "--out", str(tmp_path / "run")]
    assert main(command) == 2
    printed = capsys.readouterr().err
    assert "have 2 speakers (bert, clip); use those of 5 or more" in printed
    assert "put the videos of each into a separate folder" in printed
    assert main([*command, "--seconds", "0"]) == 2
    assert "--seconds is 0" in capsys.readouterr().err
    with pytest.raises(MediaError, match="does not exist"):
        collect_recordings([tmp_path / "nowhere"], tmp_path / "run")
