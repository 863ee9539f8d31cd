"""A complete engine in one file: it shows a grey picture of the size of the portrait."""

import numpy as np

from sadtalker_ext.engines.entry import EngineEntry, EngineState
from sadtalker_ext.engines.motion_editing import StandardMotionEditor
from sadtalker_ext.engines.protocol import EngineSpec
from sadtalker_ext.geometry.motion import Motion

LEVEL = 90


class ToyEngine:
    def __init__(self):
        self.spec = EngineSpec("toy", "Toy", None, pose_styles=("none",))
        self.editor = StandardMotionEditor((0,))

    def read_face(self, portrait):
        return Motion(*(np.zeros((1, 3), np.float32) for _ in range(3)))

    def predict_motion(self, speech, source, style):
        return Motion(*(np.zeros((speech.frames, 3), np.float32) for _ in range(3)))

    def render(self, portrait, source, motion):
        return (np.full(portrait.picture.shape, LEVEL, np.uint8) for _ in range(len(motion)))

    def close(self):
        pass


TOY = EngineEntry("toy", "Toy", lambda _: (), lambda *_: ToyEngine(), lambda *_: EngineState("toy", "Toy"))
