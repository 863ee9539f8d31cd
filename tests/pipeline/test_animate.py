"""Videos from files, with a stub engine whose frames are known."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.cli.demo import demo_voice
from sadtalker_ext.engines import registry
from sadtalker_ext.engines.entry import EngineEntry, EngineState
from sadtalker_ext.engines.motion_editing import StandardMotionEditor
from sadtalker_ext.engines.protocol import EngineSpec
from sadtalker_ext.engines.session import open_engine
from sadtalker_ext.errors import Cancelled, EngineError, FaceError, MediaError, SettingsError
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.pipeline import batch
from sadtalker_ext.pipeline import portrait as portrait_module
from sadtalker_ext.pipeline.animate import animate, make_video, render_frames
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.prepare import STAGES
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.pipeline.restoration import registry as restorer_registry
from sadtalker_ext.pipeline.restoration.registry import register_restorer
from sadtalker_ext.pipeline.result_metadata import Record, read_record
from sadtalker_ext.pipeline.stages import ParallelStages, Stopwatch
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.read import probe, read_frames
from sadtalker_ext.video.write import VideoSpec, write_video


class GreyEngine:
    """Renders grey frames whose level is the first expression coefficient, which rises by one per frame."""

    def __init__(self):
        self.spec = EngineSpec("grey", "Grey", None, pose_styles=("calm",))
        self.editor = StandardMotionEditor((0,))
        self.rendered = 0
        self.renderer_closed = False
        self.opened = self.closed = 0
        self.fail_at = None

    def read_face(self, portrait):
        self.portrait = portrait
        return Motion(*(np.zeros((1, 3), np.float32) for _ in range(3)))

    def predict_motion(self, speech, source, style):
        self.style = style
        still = np.zeros((speech.frames, 3), np.float32)
        rising = still.copy()
        rising[:, 0] = np.arange(speech.frames)
        return Motion(rising, still, still)

    def render(self, portrait, source, motion):
        try:
            for row in motion.expression:
                if self.rendered == self.fail_at:
                    raise FaceError("render failed")
                self.rendered += 1
                yield np.full(portrait.picture.shape, round(float(row[0])), np.uint8)
        finally:
            self.renderer_closed = True

    def close(self):
        self.closed += 1


@pytest.fixture
def engine(monkeypatch):
    stub = GreyEngine()

    def open_stub(*_):
        stub.opened += 1
        return stub

    entry = EngineEntry("starter", "Grey", lambda _: (), open_stub, lambda *_: EngineState("starter", "Grey"))
    monkeypatch.setattr(registry, "_ENTRIES", {"starter": entry})
    return stub


@pytest.fixture
def files(tmp_path):
    Image.fromarray(astronaut()).resize((128, 128), Image.LANCZOS).save(tmp_path / "p.png")
    return tmp_path / "p.png", demo_voice(), tmp_path / "out" / "v.mp4"


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
    result = animate(*files, Settings(face="1", resolution_limit=512))
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
    """predict_motion, which runs in a thread of its own, ends within one block of audio."""
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
        ({}, "give a voice, or the duration"),
        ({"idle_s": 2.0, "reference_use": "eyes"}, "no reference video to copy eyes from"),
    ],
)
def test_contradictory_inputs_are_refused(files, arguments, message):
    with pytest.raises(SettingsError, match=message):
        Inputs(files[0], **arguments)


@pytest.fixture
def reference(tmp_path):
    """A video of a face that moves to the right: 80 frames at 50 Hz, read as 40 at 25 Hz."""
    path = tmp_path / "reference.mp4"
    picture = np.asarray(Image.fromarray(astronaut()).resize((256, 256), Image.LANCZOS))
    write_video((np.roll(picture, i // 2, axis=1) for i in range(80)), path, VideoSpec(50.0))
    return path


def test_reference_moves_the_head_and_the_lids(engine, files, reference):
    engine.spec = replace(engine.spec, references=("eyes+pose",))
    rendered, stages, seen = [], set(), []

    def render(portrait, source, motion):
        rendered.append(motion)
        return (np.zeros(portrait.picture.shape, np.uint8) for _ in range(len(motion)))

    def report(progress):
        stages.add(progress.stage)
        seen.extend([progress.done] if progress.stage == "reference" else [])

    engine.render = render
    make_video(Inputs(files[0], idle_s=1.0, reference=reference), files[2], watcher=Watcher(report))
    (motion,) = rendered
    assert stages == {*STAGES, "reference"}
    assert max(seen) == 25, "no more frames are read than are used"
    assert len(engine.style.lids) == 25
    path = motion.translation[:, 0]
    assert path[0] == 0
    assert np.polyfit(np.arange(25), path, 1)[0] == pytest.approx(path[24] / 24, rel=0.15)
    assert path[24] > 0.1


def test_invalid_references_are_refused(engine, files, reference):
    idle = Inputs(files[0], idle_s=1.0, reference=reference)
    with pytest.raises(SettingsError, match=r"grey cannot copy eyes\+pose from the reference"):
        make_video(idle, files[2])
    engine.spec = replace(engine.spec, references=("eyes+pose",))
    stages = set()
    watcher = Watcher(lambda progress: stages.add(progress.stage), lambda: "reference" in stages)
    with pytest.raises(Cancelled):
        make_video(idle, files[2], watcher=watcher)
    for path, message in ((files[1], "has no video stream"), (files[1].with_suffix(".none"), "does not exist")):
        with pytest.raises(MediaError, match=message):
            make_video(replace(idle, reference=path), files[2])
    assert not files[2].parent.exists()


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


def test_stages_run_in_parallel():
    barrier = threading.Barrier(2, timeout=120)
    watch = Stopwatch()
    with ParallelStages(Watcher(), watch) as stages:
        both = [stages.begin(name, barrier.wait) for name in ("a", "b")]
        assert sorted(stages.result(future) for future in both) == [0, 1]
    assert set(watch.stage_s) == {"a", "b"}


def test_error_of_the_first_requested_stage_is_raised():
    """Not that of the stage that fails first, so that the same inputs always raise the same error."""
    with ParallelStages(Watcher(), Stopwatch()) as stages:
        failed = threading.Event()

        def fail_late():
            failed.wait(120)
            raise KeyError

        late = stages.begin("late", fail_late)
        early = stages.begin("early", lambda: 1 // 0)
        assert isinstance(early.exception(120), ZeroDivisionError)
        failed.set()
        with pytest.raises(KeyError):
            stages.result(late)


def test_cancellation_ends_the_wait_for_a_stage():
    finish = threading.Event()
    cancelled = []
    with ParallelStages(Watcher(cancelled=lambda: len(cancelled) > 0), Stopwatch()) as stages:
        long = stages.begin("long", finish.wait, 300)
        cancelled.append(True)
        with pytest.raises(Cancelled):
            stages.result(long)
        finish.set()
