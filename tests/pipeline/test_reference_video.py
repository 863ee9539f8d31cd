"""Videos whose head and lids follow a reference video, with a stub engine."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from sadtalker_ext.errors import Cancelled, MediaError, SettingsError
from sadtalker_ext.pipeline import text_to_speech
from sadtalker_ext.pipeline.animate import make_video
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.prepare import STAGES
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.video.write import VideoSpec, write_video


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


class Tone:
    """A reader of 10 ms per character. at: called with the number of each part."""

    rate_hz = 8000

    def __init__(self, at):
        self.at, self.number = at, 0

    def read(self, text):
        self.at(self.number)
        self.number += 1
        yield 0.5 * np.sin(np.arange(80 * len(text)) * 0.3).astype(np.float32)


def test_a_long_text_starts_before_it_is_read_and_continues_the_reference(engine, files, reference, monkeypatch):
    """The path of the head is that of the reference, repeated without regard to sections; edges may be smoothed."""
    engine.spec = replace(engine.spec, references=("eyes+pose",))
    parts, lids, first_frame, known = [], [], threading.Event(), {}
    predict = engine.predict_motion

    def predict_motion(speech, source, style):
        lids.append(style.lids)
        return predict(speech, source, style)

    def render(portrait, source, motion):
        parts.append(motion.translation[:, 0])
        for _ in range(len(motion)):
            yield np.zeros(portrait.picture.shape, np.uint8)
            first_frame.set()

    def wait(number):
        if number:
            known[number] = first_frame.wait(20.0)

    engine.predict_motion, engine.render = predict_motion, render
    monkeypatch.setattr(text_to_speech, "_open_reader", lambda _task: Tone(wait))
    text = "This is one of many sentences of about eighty characters, which a tone reads out. " * 9
    make_video(Inputs(files[0], text=text, reference=reference), files[2])
    assert known == {1: True, 2: True}
    assert len(parts) == len(lids) == 2
    path, begin = np.concatenate(parts), len(parts[0])
    whole = np.tile(path[:40], len(path) // 40 + 1)[: len(path)]
    smoothed = np.zeros(len(path), bool)
    smoothed[begin : begin + 31] = True
    np.testing.assert_allclose(path[~smoothed], whole[~smoothed], atol=1e-6)
    assert begin % 40 not in (0, 1), "the second section begins within the reference"
    np.testing.assert_array_equal(lids[1], np.roll(lids[0], -begin))
