"""Videos whose head and lids follow a reference video, with a stub engine."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from sadtalker_ext.errors import Cancelled, MediaError, SettingsError
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
