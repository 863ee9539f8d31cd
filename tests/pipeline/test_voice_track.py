"""The setting ``track`` in a whole video."""

import subprocess
from pathlib import Path

import pytest

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.pipeline import animate, text_to_speech
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.result_metadata import read_record
from sadtalker_ext.settings import Settings


@pytest.fixture
def two_tracks(tmp_path):
    """A quiet hum as default track of 1 s, and the demo voice as second track of 2 s."""
    path = tmp_path / "two.mka"
    sources = ["-f", "lavfi", "-i", "sine=110:d=1,volume=0.5", "-f", "lavfi", "-i", "sine=500:d=2"]
    command = [ffmpeg_program(), "-v", "error", *sources, "-map", "0", "-map", "1", "-c:a", "flac", path]
    subprocess.run(command, check=True)
    return path


@pytest.mark.parametrize(("track", "seconds"), [(0, 1), (1, 1), (2, 2)])
def test_video_has_the_length_and_sound_of_the_track(engine, files, two_tracks, track, seconds):
    portrait, _, out = files
    result = animate.make_video(Inputs(portrait, two_tracks), out, Settings(track=track))
    assert result.frames == 25 * seconds
    assert open_speech(out).duration_s == pytest.approx(seconds, abs=0.08)
    assert read_record(out).settings.track == track


def test_missing_track_is_refused(engine, files, two_tracks):
    portrait, _, out = files
    with pytest.raises(MediaError, match="has 2 audio tracks, but not track 3"):
        animate.make_video(Inputs(portrait, two_tracks), out, Settings(track=3))
    assert not out.exists()


def test_text_is_read_aloud_whatever_the_track(engine, files, monkeypatch):
    portrait, voice, out = files
    monkeypatch.setattr(text_to_speech, "_read_whole", lambda *_: Path(voice))
    assert animate.make_video(Inputs(portrait, text="hello"), out, Settings(track=2)).frames > 25
