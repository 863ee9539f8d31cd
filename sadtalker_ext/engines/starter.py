"""The starter engine: our own networks for motion and the geometric puppet for pictures; everything ships with us."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.engine import EngineSpec, MotionStyle
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.puppet.basis import MOUTH_SHAPES, SHAPE_INDEX, SHAPES

if TYPE_CHECKING:
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.engine import Frame
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.puppet.renderer import Puppet
    from sadtalker_ext.runtime import Runtime

KNOBS: Final = frozenset(
    {
        "engine", "face", "still", "expression_scale", "head_motion_scale", "blink", "pose_style", "yaw", "pitch",
        "roll", "seed", "frame_rate", "resolution_limit", "quality", "restore",
    }
)  # fmt: skip
POSE_STYLES: Final = ("natural",)
"""Styles until the head-motion network says its own."""


class StarterEngine:
    """Opens at once; holds one prepared portrait at a time."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.spec = EngineSpec(
            name="starter",
            label="Starter (ships with the package, works at once)",
            frame_size_px=None,
            knobs=KNOBS,
            pose_styles=POSE_STYLES,
            expression_columns=tuple(SHAPE_INDEX[name] for name in (*MOUTH_SHAPES, "brows_up", "brows_down")),
        )
        self._prepared: tuple[Portrait, Puppet] | None = None

    def read_face(self, portrait: Portrait) -> Motion:
        """All zero: the starter's motion is relative to the picture. Prepares the portrait for rendering."""
        self._puppet(portrait)
        still = np.zeros((1, 3), np.float32)
        return Motion(np.zeros((1, len(SHAPES)), np.float32), still, still)

    def predict_motion(self, speech: Speech, source: Motion, style: MotionStyle) -> Motion:
        """Mouth, brows, lids, gaze and head for the whole of ``speech``."""
        from sadtalker_ext.audio.prosody import read_prosody
        from sadtalker_ext.engines.blink import blink_tracks, brow_track, gaze_tracks

        frames = speech.frames
        prosody = read_prosody(speech.blocks(), frames)
        blink_rng, brow_rng, gaze_rng = (
            np.random.default_rng(seed) for seed in np.random.SeedSequence(style.seed).spawn(3)
        )
        expression = np.zeros((frames, len(SHAPES)), np.float32)
        expression[:, SHAPE_INDEX["jaw_open"]] = 0.45 * prosody.energy
        rotation = np.zeros((frames, 3), np.float32)
        blinks = blink_tracks(frames, blink_rng, style.blink, prosody.phrase_ends)
        expression[:, [SHAPE_INDEX["blink_left"], SHAPE_INDEX["blink_right"]]] = blinks
        expression[:, SHAPE_INDEX["brows_up"]] = brow_track(prosody.emphasis, brow_rng)
        gaze = gaze_tracks(rotation, gaze_rng, prosody.phrase_starts)
        expression[:, [SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"]]] = gaze
        return Motion(expression, rotation, np.zeros((frames, 3), np.float32))

    def render(self, portrait: Portrait, source: Motion, motion: Motion) -> Iterator[Frame]:
        """Frames at the portrait's own size, computed by several threads, a few ahead of the one that is asked for."""
        puppet = self._puppet(portrait)
        threads = self.runtime.cpu_threads()
        pending: deque[Future[Frame]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="puppet") as pool:
            try:
                for index in range(len(motion)):
                    parts = (motion.expression[index], motion.rotation[index], motion.translation[index])
                    pending.append(pool.submit(puppet.frame, *parts))
                    if len(pending) > threads:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def close(self) -> None:
        """Forget the prepared portrait."""
        self._prepared = None

    def _puppet(self, portrait: Portrait) -> Puppet:
        from sadtalker_ext.puppet.renderer import Puppet

        if self._prepared is None or self._prepared[0] is not portrait:
            self._prepared = (portrait, Puppet(portrait.picture, portrait.landmarks.mesh, portrait.person))
        return self._prepared[1]
