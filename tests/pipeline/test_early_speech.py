"""What an engine computes from the speech alone runs while the portrait is prepared."""

import threading

import pytest

from sadtalker_ext.engines.recent_values import SingleUseValue
from sadtalker_ext.errors import Cancelled, FaceError, MediaError
from sadtalker_ext.pipeline import portrait as portraits
from sadtalker_ext.pipeline.animate import animate
from sadtalker_ext.pipeline.progress import Watcher

LIMIT_S = 20


class Readings:
    """Adds ``read_speech`` to an engine; it reads until ``finish`` is set or the check of the speech raises."""

    def __init__(self, engine):
        self.begun, self.finish, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.frames, self.error = 0, None
        engine.read_speech = self.read

    def read(self, speech):
        self.begun.set()
        try:
            while not self.finish.wait(0.005):
                speech.check()
            speech.progress(speech.frames)
            self.frames = speech.frames
        except BaseException as e:
            self.error = e
            raise
        finally:
            self.ended.set()


@pytest.fixture
def readings(engine):
    return Readings(engine)


def test_speech_is_read_while_the_portrait_is_prepared(engine, readings, files, monkeypatch):
    read_portrait = portraits._read_portrait
    seen = []

    def prepare(*arguments):
        assert readings.begun.wait(LIMIT_S)
        readings.finish.set()
        return read_portrait(*arguments)

    predict = engine.predict_motion

    def predict_motion(*arguments):
        seen.append(readings.frames)
        return predict(*arguments)

    monkeypatch.setattr(portraits, "_read_portrait", prepare)
    engine.predict_motion = predict_motion
    reported = []
    result = animate(*files, watcher=Watcher(reported.append))
    assert seen == [result.frames]
    assert [p.done for p in reported if p.stage == "motion" and p.total] == [result.frames]


def test_reading_stops_when_the_portrait_cannot_be_used(readings, files, monkeypatch):
    def refuse(*_):
        assert readings.begun.wait(LIMIT_S)
        raise FaceError("No face was found")

    monkeypatch.setattr(portraits, "_read_portrait", refuse)
    with pytest.raises(FaceError, match="No face"):
        animate(*files)
    assert readings.ended.wait(LIMIT_S)
    assert isinstance(readings.error, Cancelled)


def test_the_portrait_is_named_if_neither_can_be_used(engine, files, tmp_path):
    portrait, _, output = files
    for name in ("portrait.png", "voice.wav"):
        (tmp_path / name).write_text("no media")
    with pytest.raises(MediaError, match="portrait"):
        animate(tmp_path / "portrait.png", tmp_path / "voice.wav", output)
    with pytest.raises(MediaError, match="voice"):
        animate(portrait, tmp_path / "voice.wav", output)


def test_reading_stops_when_the_user_cancels(readings, files):
    with pytest.raises(Cancelled):
        animate(*files, watcher=Watcher(cancelled=readings.begun.is_set))
    assert readings.ended.wait(LIMIT_S)
    assert isinstance(readings.error, Cancelled)


def test_a_kept_value_is_used_once_for_its_key():
    kept = SingleUseValue()
    assert kept.take("a") is None
    kept.keep("a", 1)
    assert kept.take("b") is None
    assert kept.take("a") == 1
    assert kept.take("a") is None
    kept.keep("a", 1)
    kept.keep("b", 2)
    assert kept.take("a") is None
    kept.clear()
    assert kept.take("b") is None
