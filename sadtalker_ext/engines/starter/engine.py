"""The starter engine: our own networks for motion and the geometric puppet for pictures; everything ships with us."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.protocol import EngineSpec, MotionStyle
from sadtalker_ext.geometry.motion import FRAME_RATE_HZ, Motion
from sadtalker_ext.puppet.basis import MOUTH_SHAPES, SCALED_COLUMNS, SHAPE_INDEX, SHAPES
from sadtalker_ext.puppet.imaging import CpuImaging

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.audio.prosody import Prosody
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.protocol import Frame
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.puppet.imaging import Imaging
    from sadtalker_ext.puppet.renderer import PortraitRenderer
    from sadtalker_ext.runtime import Runtime

KNOBS: Final = frozenset(
    {
        "engine", "face", "still", "expression_scale", "head_motion_scale", "blink", "pose_style", "yaw", "pitch",
        "roll", "seed", "frame_rate", "resolution_limit", "quality", "restore",
    }
)  # fmt: skip

ONSET_S: Final = 0.24
"""How fast an open-mouthed portrait closes its lips before it speaks."""

PIXEL_CENTRE: Final = (0.5, 0.5, 0.0)
"""Landmarks count pixel corners as whole numbers; the puppet counts pixel centres."""


class StarterEngine:
    """Opens in a moment; holds its two motion networks and one prepared portrait."""

    def __init__(self, runtime: Runtime) -> None:
        from sadtalker_ext.engines.starter.speech_motion import open_speech_to_motion
        from sadtalker_ext.weights.starter import load_pose_cvae

        self.runtime = runtime
        self._speech = open_speech_to_motion()
        self._pose = load_pose_cvae()
        self.spec = EngineSpec(
            name="starter",
            label="Starter (ships with the package, works at once)",
            frame_size_px=None,
            knobs=KNOBS,
            pose_styles=self._pose.config.styles,
            expression_columns=SCALED_COLUMNS,
        )
        self._prepared: tuple[Portrait, PortraitRenderer] | None = None

    def read_face(self, portrait: Portrait) -> Motion:
        """All zero: the starter's motion is relative to the picture. Prepares the portrait for rendering."""
        self._puppet(portrait)
        still = np.zeros((1, 3), np.float32)
        return Motion(np.zeros((1, len(SHAPES)), np.float32), still, still)

    def predict_motion(self, speech: Speech, source: Motion, style: MotionStyle) -> Motion:
        """Mouth, brows, lids, gaze and head for the whole of ``speech``, added to ``source``."""
        from sadtalker_ext.audio.prosody import read_prosody
        from sadtalker_ext.engines.starter.eyes_and_brows import blink_tracks, brow_track, gaze_tracks
        from sadtalker_ext.engines.starter.head_motion import head_motion

        frames = speech.frames
        prosody = read_prosody(speech.blocks(), frames)
        seeds = np.random.SeedSequence(style.seed).spawn(4)
        pose_rng, blink_rng, brow_rng, gaze_rng = (np.random.default_rng(seed) for seed in seeds)
        rotation, translation = head_motion(self._pose, prosody, style.pose_style, pose_rng)
        tracks: dict[tuple[str, ...], NDArray[np.float32]] = {
            MOUTH_SHAPES: self._speech.predict(speech.blocks(), frames),
            ("blink_left", "blink_right"): blink_tracks(frames, blink_rng, style.blink, prosody.phrase_ends),
            ("brows_up",): brow_track(prosody.emphasis, brow_rng)[:, None],
            ("gaze_x", "gaze_y"): gaze_tracks(np.zeros_like(rotation), gaze_rng, prosody.phrase_starts),
        }
        if self._mouth_is_open():
            tracks["mouth_neutral",] = speaking_envelope(prosody)[:, None]
        expression = np.repeat(source.expression[:1], frames, axis=0)
        for names, track in tracks.items():
            expression[:, [SHAPE_INDEX[name] for name in names]] += track
        return Motion(expression, source.rotation[:1] + rotation, source.translation[:1] + translation)

    def render(self, portrait: Portrait, source: Motion, motion: Motion) -> Iterator[Frame]:
        """Frames at the portrait's own size, computed by several threads, a few ahead of the one that is asked for."""
        puppet = self._puppet(portrait)
        expression = _keep_eye_contact(motion, source)
        threads = self.runtime.cpu_threads()
        pending: deque[Future[Frame]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="puppet") as pool:
            try:
                for index in range(len(motion)):
                    parts = (expression[index], motion.rotation[index], motion.translation[index])
                    pending.append(pool.submit(puppet.render_frame, *parts))
                    if len(pending) > threads:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def _mouth_is_open(self) -> bool:
        return self._prepared is not None and self._prepared[1].rig.mouth.gap > 0.0

    def close(self) -> None:
        """Forget the prepared portrait."""
        self._prepared = None

    def _puppet(self, portrait: Portrait) -> PortraitRenderer:
        from sadtalker_ext.puppet.renderer import PortraitRenderer

        if self._prepared is None or self._prepared[0] is not portrait:
            mesh = portrait.landmarks.mesh - np.array(PIXEL_CENTRE, np.float32)
            puppet = PortraitRenderer(portrait.picture, mesh, portrait.person, self._imaging())
            self._prepared = (portrait, puppet)
        return self._prepared[1]

    def _imaging(self) -> Imaging:
        """OpenCV on a CPU, torch on a GPU."""
        device = self.runtime.torch_device()
        if device.type == "cpu":
            return CpuImaging()
        from sadtalker_ext.puppet.imaging_torch import TorchImaging

        return TorchImaging(device)


def _keep_eye_contact(motion: Motion, source: Motion) -> NDArray[np.float32]:
    """(T, E) expression whose eyes stay on the viewer while the head turns, whatever made it turn."""
    from sadtalker_ext.engines.starter.eyes_and_brows import eye_contact

    expression = motion.expression.copy()
    columns = [SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"]]
    expression[:, columns] += eye_contact(motion.rotation - source.rotation[:1]).astype(np.float32)
    return expression


def speaking_envelope(prosody: Prosody) -> NDArray[np.float32]:
    """(T,) 0 until somebody speaks, rising to 1 just before, and 1 from then on; all 0 where nobody does.

    A voice that speaks at once finds the lips already on their way.
    """
    if len(prosody.phrase_starts) == 0:
        return np.zeros(len(prosody), np.float32)
    times_s = np.arange(len(prosody)) / FRAME_RATE_HZ
    begin_s = float(prosody.phrase_starts[0]) / FRAME_RATE_HZ - ONSET_S
    rise = np.clip((times_s - begin_s) / ONSET_S, 0.0, 1.0)
    eased: NDArray[np.float32] = (rise * rise * (3.0 - 2.0 * rise)).astype(np.float32)
    return eased
