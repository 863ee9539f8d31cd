"""A text becomes the voice of a video; the temporary speech is removed."""

import tempfile
from contextlib import closing
from pathlib import Path

import pytest
import soundfile

from sadtalker_ext import Inputs, Settings, Watcher, make_video, render_frames
from sadtalker_ext.assets import demo_portrait
from sadtalker_ext.errors import Cancelled, SettingsError
from sadtalker_ext.pipeline.animate import prepare_task
from sadtalker_ext.pipeline.stages import TEXT_STAGE
from sadtalker_ext.pipeline.text_to_speech import with_voice
from sadtalker_ext.video.read import probe

TEXT = "Hello Bob."
SETTINGS = Settings(tts_voice="en-us", resolution_limit=256, still=True)


@pytest.fixture(autouse=True)
def empty_temporary_folder(tmp_path, monkeypatch):
    """Temporary files are in a folder of the test, which is empty at its end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def speak(settings=SETTINGS, watcher=None):
    return with_voice(prepare_task(Inputs(demo_portrait(), text=TEXT), (settings, None, watcher), None))


def test_the_text_is_replaced_by_a_file():
    with speak() as task:
        assert task.inputs.text is None
        info = soundfile.info(task.inputs.voice)
        assert 0.5 < info.duration < 3.0
        assert info.channels == 1
    idle = prepare_task(Inputs(demo_portrait(), idle_s=1), (SETTINGS, None, None), None)
    with with_voice(idle) as task:
        assert task == idle


def test_a_video_speaks_the_text(tmp_path):
    seen = []
    watcher = Watcher(lambda progress: seen.append((progress.stage, progress.done, progress.total)))
    result = make_video(Inputs(demo_portrait(), text=TEXT), tmp_path / "a.mp4", SETTINGS, None, watcher)
    with speak() as task:
        assert result.duration_s == pytest.approx(soundfile.info(task.inputs.voice).duration, abs=0.08)
    assert [counts for stage, *counts in seen if stage == TEXT_STAGE] == [[0, 0], [0, 1], [1, 1]]
    assert TEXT_STAGE in result.stage_s
    assert probe(tmp_path / "a.mp4").has_audio


def test_frames_can_be_read_without_a_file():
    with closing(render_frames(Inputs(demo_portrait(), text=TEXT), SETTINGS)) as stream:
        next(stream)
        assert list(Path(tempfile.gettempdir()).iterdir())


def test_cancellation_and_wrong_names_leave_nothing():
    with pytest.raises(Cancelled), speak(watcher=Watcher(cancelled=lambda: True)):
        pass
    for name, sentence in (("../x", "without folders"), ("klingon", "no voice named 'klingon'")):
        with pytest.raises(SettingsError, match=sentence), speak(Settings(tts_voice=name)):
            pass


def test_only_one_source_of_speech():
    with pytest.raises(SettingsError, match="give only one"):
        Inputs(Path("a.png"), Path("b.wav"), text="c")
    with pytest.raises(SettingsError, match="give only one"):
        Inputs(Path("a.png"), idle_s=2.0, text="c")
    with pytest.raises(SettingsError, match="a voice, a text, or"):
        Inputs(Path("a.png"))
