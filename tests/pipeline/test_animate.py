"""Videos from files, with a stub engine whose frames are known."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.cli.demo import demo_voice
from sadtalker_ext.engines.session import open_engine
from sadtalker_ext.errors import Cancelled, EngineError, FaceError, MediaError, SettingsError
from sadtalker_ext.pipeline import batch
from sadtalker_ext.pipeline import portrait as portrait_module
from sadtalker_ext.pipeline.animate import animate, make_video, render_frames
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.prepare import STAGES
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.pipeline.restoration import registry as restorer_registry
from sadtalker_ext.pipeline.restoration.registry import register_restorer
from sadtalker_ext.pipeline.result_metadata import Record, read_record
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.read import probe, read_frames


def grey_levels(path):
    return np.array([float(frame.mean()) for frame in read_frames(path)])


def test_every_row_of_motion_is_a_frame_in_order(engine, files):
    result = animate(*files, Settings(seed=5, blink=0.5, expression_scale=0.5))
    frames = open_speech(files[1]).frames
    assert (result.path, result.frames, result.size) == (files[2], frames, (128, 128))
    assert result.duration_s == pytest.approx(frames / 25)
    np.testing.assert_allclose(grey_levels(files[2]), np.round(0.5 * np.arange(frames)), atol=2.0)
    assert (engine.style.seed, engine.style.blink) == (5, 0.5)
    assert set(result.stage_s) == set(STAGES)
    assert 0 < result.first_frame_s < result.total_s
    assert result.realtime_factor == pytest.approx(result.duration_s / result.total_s)


def test_result_contains_its_settings(engine, files):
    settings = Settings(seed=7, quality="small", frame_rate=30)
    animate(*files, settings)
    assert read_record(files[2]) == Record(settings)


def test_another_frame_rate_keeps_the_duration(engine, files):
    result = animate(*files, Settings(frame_rate=60))
    duration_s = open_speech(files[1]).duration_s
    assert 0 <= result.frames / 60 - duration_s < 1 / 60
    expected = np.clip((np.arange(result.frames) + 0.5) * 25 / 60 - 0.5, 0, open_speech(files[1]).frames - 1)
    np.testing.assert_allclose(grey_levels(files[2]), expected, atol=2.5)


def test_frames_are_streamed(engine, files):
    """The renderer is never more than a step ahead of the writer."""
    ahead = []
    animate(*files, watcher=Watcher(lambda progress: ahead.append(engine.rendered - progress.done)))
    assert len(ahead) > engine.rendered
    assert max(ahead) == 0


def test_result_has_the_notes(engine, files):
    Image.fromarray(np.hstack([astronaut(), astronaut()])).save(files[0])
    assert any("2 faces" in note for note in animate(*files).notes)
    result = animate(*files, Settings(face="2", resolution_limit=512))
    assert any("1024 x 512 to 512 x 256" in note for note in result.notes)
    assert result.size == (512, 256)
    assert engine.portrait.landmarks.box.x > 256


def test_cancellation_leaves_no_file_and_closes_the_engine(engine, files):
    with pytest.raises(Cancelled):
        animate(*files, watcher=Watcher(cancelled=lambda: engine.rendered >= 20))
    assert engine.rendered == 20
    assert engine.renderer_closed
    assert (engine.opened, engine.closed) == (1, 1)
    assert not files[2].parent.exists()


def test_cancellation_ends_reading_of_the_voice(engine, files):
    """predict_motion, which runs in a separate thread, ends within one block of audio."""
    blocks, ended = [], threading.Event()

    def predict(speech, source, style):
        try:
            for block in speech.with_check(speech.check).blocks():
                blocks.append(len(block))
        finally:
            ended.set()
        raise AssertionError("the whole voice was read")

    engine.predict_motion = predict
    with pytest.raises(Cancelled):
        animate(*files, watcher=Watcher(cancelled=lambda: len(blocks) >= 2))
    assert ended.wait(120)
    assert blocks == [16000, 16000]
    assert not files[2].parent.exists()


def test_motion_reports_each_second_of_the_voice(engine, files):
    reports, predicted = [], engine.predict_motion

    def predict(speech, source, style):
        list(speech.reported_blocks())
        return predicted(speech, source, style)

    engine.predict_motion = predict
    result = animate(*files, watcher=Watcher(report=reports.append))
    motion = [report for report in reports if report.stage == "motion"]
    assert [report.done for report in motion] == [0, *range(25, result.frames, 25), result.frames]
    assert {report.total for report in motion[1:]} == {result.frames}
    assert motion[-1].left_s == 0.0


def test_failure_keeps_an_earlier_result(engine, files):
    files[2].parent.mkdir()
    files[2].write_bytes(b"earlier")
    engine.fail_at = 30
    with pytest.raises(FaceError, match="render failed"):
        animate(*files)
    assert [path.read_bytes() for path in files[2].parent.iterdir()] == [b"earlier"]


def test_unsupported_settings_are_refused_before_the_work(engine, files):
    seen = []
    refused = (({"mode": "crop"}, "does not support the setting mode"), ({"pose_style": "9"}, "has no pose style '9'"))
    for changes, message in refused:
        with pytest.raises(SettingsError, match=message):
            animate(*files, Settings(**changes), watcher=Watcher(lambda progress: seen.append(progress.stage)))
    assert "motion" not in seen
    assert engine.rendered == 0
    assert not files[2].parent.exists()


def test_restorer_gets_every_frame(engine, files, monkeypatch):
    def restore(frames, portrait):
        assert portrait.picture.shape == (128, 128, 3)
        return (255 - frame for frame in frames)

    monkeypatch.setattr(restorer_registry, "_RESTORERS", {})
    register_restorer("negative", lambda: SimpleNamespace(restore=restore))
    result = animate(*files, Settings(restore="negative"))
    np.testing.assert_allclose(grey_levels(files[2]), 255 - np.arange(result.frames), atol=2.0)


def test_idle_clip_has_no_sound(engine, files):
    result = make_video(Inputs(files[0], idle_s=1.2), files[2])
    assert (result.frames, set(result.stage_s)) == (30, set(STAGES))
    assert not probe(files[2]).has_audio
    np.testing.assert_allclose(grey_levels(files[2]), np.arange(30), atol=2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"voice": demo_voice(), "idle_s": 2.0}, "has no voice"),
        ({}, "give a voice, a text, or the duration"),
        ({"idle_s": 2.0, "reference_use": "eyes"}, "no reference video to copy eyes from"),
    ],
)
def test_contradictory_inputs_are_refused(files, arguments, message):
    with pytest.raises(SettingsError, match=message):
        Inputs(files[0], **arguments)


def test_frames_are_rendered_without_a_file(engine, files):
    stream = render_frames(Inputs(files[0], idle_s=1.0), Settings(frame_rate=50))
    assert (stream.frame_count, stream.rate_hz, engine.closed) == (50, 50, 0)
    frames = list(stream)
    assert len(frames) == 50
    assert frames[0].shape == (128, 128, 3)
    assert (engine.opened, engine.closed) == (1, 1)
    assert [path.name for path in files[0].parent.iterdir()] == ["p.png"]


def test_stream_that_is_closed_early_releases_the_engine(engine, files):
    stream = render_frames(Inputs(files[0], idle_s=1.0))
    next(stream)
    stream.close()
    stream.close()
    assert (engine.opened, engine.closed) == (1, 1)
    assert engine.renderer_closed


@pytest.fixture
def reads(monkeypatch):
    """List of the portraits that are read, one entry per read."""
    read, paths = portrait_module._read_portrait, []
    monkeypatch.setattr(portrait_module, "_read_portrait", lambda path, *rest: paths.append(path) or read(path, *rest))
    return paths


def test_three_voices_for_one_portrait_open_the_engine_and_read_the_portrait_once(engine, files, reads, tmp_path):
    jobs = batch.plan([Inputs(files[0], files[1])] * 3, tmp_path / "results")
    outcomes = list(batch.run(jobs, Settings(), Runtime(), Watcher()))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert (engine.opened, len(reads), engine.closed) == (1, 1, 1)


def test_open_engine_is_used_for_several_videos(engine, files, reads, tmp_path):
    with open_engine("starter") as opened:
        for name in ("a.mp4", "b.mp4"):
            animate(files[0], files[1], tmp_path / name, engine=opened)
        assert (engine.opened, engine.closed) == (1, 0)
        Image.fromarray(astronaut()).resize((160, 160)).save(files[0])
        assert animate(files[0], files[1], tmp_path / "c.mp4", engine=opened).size == (160, 160)
    assert (engine.opened, len(reads), engine.closed) == (1, 2, 1)
    with pytest.raises(EngineError, match="is closed"):
        animate(*files, engine=opened)


def test_failed_video_closes_its_engine(engine, files):
    with pytest.raises(MediaError):
        animate(files[1], files[1], files[2])
    assert engine.opened == engine.closed
