"""A long text is read in sections: its video starts before all of it is read, and is always the same."""

import json
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from sadtalker_ext import Inputs, Settings, Watcher, make_mesh, make_video, open_engine, render_frames
from sadtalker_ext.assets import demo_portrait
from sadtalker_ext.errors import Cancelled, MediaError, SettingsError
from sadtalker_ext.faces.find import find_faces
from sadtalker_ext.geometry.camera_path import path_through
from sadtalker_ext.pipeline import text_to_speech
from sadtalker_ext.pipeline.mesh_files import MeshFiles, VideoOutputs
from sadtalker_ext.pipeline.spoken_text import ReadingPlan, SpokenText, sections_of
from sadtalker_ext.tts.text_parts import split_text
from sadtalker_ext.video.read import probe, read_frames

SENTENCE = "This is one of many sentences of about eighty characters, which a tone reads out. "
TEXT = SENTENCE * 9
SETTINGS = Settings(resolution_limit=256, frame_rate=10)


class Tone:
    """A reader whose speech is a tone of 3 ms per character. at: called with the number of each part."""

    rate_hz = 8010

    def __init__(self, at=lambda _number: None, peak=0.5):
        self.number, self.at, self.peak = 0, at, peak

    def read(self, text):
        self.at(self.number)
        self.number += 1
        yield self.peak * np.sin(np.arange(24 * len(text)) * 0.3).astype(np.float32)
        yield np.zeros(800, np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Temporary files are in a folder of the test, which is empty at its end, and no thread is left."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield tmp_path
    assert list(temporary.iterdir()) == []
    assert "sadtalker-text" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture(scope="module")
def engine():
    with open_engine("starter") as opened:
        yield opened


@pytest.fixture
def speak(monkeypatch, engine):
    """A function that makes the video of the text with a reader."""

    def make(reader, path, watcher=None, settings=SETTINGS, **inputs):
        monkeypatch.setattr(text_to_speech, "_open_reader", lambda _task: reader)
        return make_video(Inputs(demo_portrait(), text=TEXT, **inputs), path, settings, None, watcher, engine=engine)

    return make


def test_a_short_end_is_read_with_the_section_before():
    text = SENTENCE * 9 + "And this is the end. "
    sections = sections_of(text)
    assert [len(section) for section in sections] == [1, 3]
    assert [part for section in sections for part in section] == split_text(text.strip())


def test_views_and_even_keyframes_start_before_the_text_is_read(folder, monkeypatch, engine):
    """The last keyframe is in the last frame, whatever was expected; the camera comes closer to the end."""
    go_on, reader = threading.Event(), Tone(lambda number: go_on.wait(30.0) if number else None)
    monkeypatch.setattr(text_to_speech, "_open_reader", lambda _task: reader)
    settings = replace(SETTINGS, view="dolly", yaw="-12,12")
    with closing(render_frames(Inputs(demo_portrait(), text=TEXT), settings, engine=engine)) as stream:
        first = next(stream)
        assert reader.number == 1
        go_on.set()
        duration_s = soundfile.info(stream.sound.path).duration
        frames = [first, *stream]
        assert len(frames) == len(stream) == stream.frame_count == round(10 * duration_s)
    files = MeshFiles(folder / "a.glb", folder / "a.json")
    result = make_mesh(Inputs(demo_portrait(), text=TEXT), files, settings, engine=engine)
    yaw_deg = np.rad2deg(np.array(json.loads(files.blendshapes.read_text())["headRotations"])[:, 1])
    assert len(yaw_deg) == result.frames == len(frames)
    np.testing.assert_allclose(yaw_deg[[0, -1]], [-12.0, 12.0], atol=1e-3)
    assert 0.0 < np.diff(yaw_deg).min() <= np.diff(yaw_deg).max() < 3.0 * np.diff(yaw_deg).mean()
    check_zoom(frames[0], frames[-1])


def check_zoom(first, last):
    """The face of the last frame is 1.3 times as large."""
    sizes = [find_faces(frame)[0].box.height for frame in (first, last)]
    assert sizes[1] / sizes[0] == pytest.approx(1.3, abs=0.06)


def test_sections_grow_and_lose_nothing():
    text = SENTENCE * 100
    sections = sections_of(text)
    assert [len(section) for section in sections] == [1, 2, 4, 8, 8, 8, 3]
    assert [part for section in sections for part in section] == split_text(text.strip())
    assert sections_of(SENTENCE * 5) == [split_text((SENTENCE * 5).strip())]


def test_the_video_starts_before_the_text_is_read(folder, speak):
    started, seen = threading.Event(), {}

    def wait_for_the_first_frame(number):
        if number:
            seen[number] = started.wait(30.0)

    def report(progress):
        if progress.stage == "frames" and progress.done:
            started.set()

    turning = replace(SETTINGS, yaw="0:0,0.5:20,1.6:50", pitch="-4", roll="0:0,1.5:8", still=True)
    files = VideoOutputs(folder / "a.mp4", MeshFiles(folder / "a.glb", folder / "a.json"))
    result = speak(Tone(wait_for_the_first_frame), files, Watcher(report), turning)
    assert seen == {1: True, 2: True}
    check_keyframes(folder / "a.json")
    assert "yaw of 50 degrees" in result.notes[-1]
    info = probe(folder / "a.mp4")
    assert info.has_audio
    assert result.duration_s == pytest.approx(0.2 + 3 * 0.1 + 0.003 * len(TEXT), abs=0.25)


def check_keyframes(path):
    """The head is at the keyframes' angles in all sections; the model was written when all of them were known."""
    written = json.loads(path.read_text())
    times_s = np.arange(written["numFrames"]) / 10
    assert times_s[-1] > 2.0
    yaw = path_through(np.array([0.0, 0.5, 1.6]), np.array([0.0, 20.0, 50.0]), times_s)
    roll = path_through(np.array([0.0, 1.5]), np.array([0.0, 8.0]), times_s)
    rotations = np.rad2deg(np.array(written["headRotations"]))
    np.testing.assert_allclose(rotations, np.stack([np.full_like(yaw, -4.0), yaw, roll], axis=-1), atol=0.01)


def test_the_video_depends_on_nothing_else(folder, speak):
    """Neither on the speed of the reader nor on whether a 3D model needs all of the motion first."""
    speak(Tone(), folder / "a.mp4")
    speak(Tone(lambda _number: time.sleep(0.3)), folder / "b.mp4")
    model = MeshFiles(folder / "c.glb")
    speak(Tone(), VideoOutputs(folder / "c.mp4", model))
    assert (folder / "a.mp4").read_bytes() == (folder / "b.mp4").read_bytes()
    one, other = (np.stack(list(read_frames(folder / name))) for name in ("a.mp4", "c.mp4"))
    assert np.array_equal(one, other)
    sound, rate_hz = soundfile.read(folder / "c.wav")
    assert len(sound) / rate_hz == pytest.approx(len(one) / 10, abs=1e-3)


def test_sound_and_frames_have_the_same_length(tmp_path):
    with SpokenText(SENTENCE * 60, Tone(), ReadingPlan(tmp_path, 24.0, 100.0)) as spoken:
        sections = list(spoken.sections(lambda: None))
        frames = sum(section.frames for section in sections)
        assert spoken.frames_when_read() == spoken.frames_expected() == sections[-1].expected == frames
        assert all(section.expected == pytest.approx(frames, rel=0.3) for section in sections)
        whole = soundfile.info(spoken.path)
        end = 0
        for section in sections:
            end += section.frames
            assert abs(soundfile.info(section.path).frames / 8010 - section.frames / 24.0) < 1.0 / 8010
        assert abs(whole.frames / 8010 - end / 24.0) < 1.0 / 8010


def test_failures_of_a_later_section_leave_no_file(folder, speak):
    def fail(number):
        if number == 2:
            raise MediaError("The voice has failed; choose another")

    with pytest.raises(MediaError, match="has failed"):
        speak(Tone(fail), folder / "a.mp4")
    assert [path.name for path in folder.iterdir()] == ["temporary"]


def test_cancellation_ends_the_reader(folder, speak):
    frames = []
    watcher = Watcher(lambda progress: frames.append(progress.frame is not None), lambda: any(frames))
    with pytest.raises(Cancelled):
        speak(Tone(), folder / "a.mp4", watcher)
    assert [path.name for path in folder.iterdir()] == ["temporary"]


def test_texts_that_are_too_long_or_silent_are_refused(folder, speak):
    with pytest.raises(MediaError, match="The text is longer than the allowed 2 s"):
        speak(Tone(), folder / "a.mp4", longest_s=2.0)
    with pytest.raises(SettingsError, match="reads nothing of the text"):
        speak(Tone(peak=0.0), folder / "a.mp4")
    assert [path.name for path in folder.iterdir()] == ["temporary"]
