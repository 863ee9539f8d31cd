"""A stub engine whose frames are known, and the files of a video."""

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from sadtalker_ext.cli.demo import demo_voice
from sadtalker_ext.engines import registry
from sadtalker_ext.engines.entry import EngineEntry, EngineState
from sadtalker_ext.engines.motion_editing import StandardMotionEditor
from sadtalker_ext.engines.protocol import EngineSpec
from sadtalker_ext.errors import FaceError
from sadtalker_ext.geometry.motion import Motion


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
