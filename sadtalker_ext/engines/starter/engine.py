"""The starter engine: motion networks and a geometric portrait renderer, all shipped with the package."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.arrays import smoothstep
from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.engines.motion_editing import StandardMotionEditor
from sadtalker_ext.engines.protocol import EngineSpec, MotionStyle
from sadtalker_ext.engines.recent_values import RecentValues, SingleUseValue
from sadtalker_ext.engines.starter import LABEL, NAME
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.puppet.basis import MOUTH_SHAPES, SCALED_COLUMNS, SHAPE_INDEX, SHAPES
from sadtalker_ext.puppet.imaging import CpuImaging
from sadtalker_ext.system.torch_threads import one_torch_thread

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array, Frame
    from sadtalker_ext.audio.prosody import Prosody
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.protocol import MotionEditor
    from sadtalker_ext.engines.starter.lip_response import LipResponse
    from sadtalker_ext.engines.starter.mesh_motion import MeshFitter
    from sadtalker_ext.engines.starter.mouth_motion import MouthPredictions
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.puppet.imaging import Imaging
    from sadtalker_ext.puppet.renderer import PortraitRenderer
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.weights.trained import TrainedWeights

MOUTH_CLOSING_S: Final = 0.24
"""Seconds in which a portrait with an open mouth closes its lips before it speaks."""

SPEAKS_AT_ONCE_S: Final = 1.0
"""If the mouth moves within this time, such a portrait closes its lips at the start: speakers wait with closed lips."""

MOVING: Final = 0.05
"""Value of ``jaw_open`` or ``lips_closed`` from which the mouth counts as moving."""

PIXEL_CENTRE: Final = (0.5, 0.5, 0.0)
"""Landmarks have integers at pixel corners, the renderer at pixel centres."""

VIEW_LIMITS_DEG: Final = (20.0, 30.0, 18.0)
"""Largest pitch, yaw and roll of the renderer's free view."""

KEPT_RENDERERS: Final = 2
"""Portraits that stay prepared for rendering while the engine is open."""


class StarterEngine:
    """Two motion networks, and the portraits that were prepared last."""

    @one_torch_thread()
    def __init__(self, runtime: Runtime, trained: TrainedWeights | None = None) -> None:
        from sadtalker_ext.engines.starter.head_motion import open_pose_cvae
        from sadtalker_ext.engines.starter.mouth_motion import open_mouth_motion

        runtime.torch_dtype()  # refuses any other than float32
        runtime.torch_device()  # refuses a device that is not available, before the speech is analysed
        self.runtime = runtime
        self._mouth_motion = open_mouth_motion(trained)
        self._pose_cvae = open_pose_cvae(trained.pose_cvae if trained else None)
        self._renderers: RecentValues[tuple[Portrait, PortraitRenderer]] = RecentValues(KEPT_RENDERERS)
        self._fitters: RecentValues[tuple[Portrait, MeshFitter]] = RecentValues(KEPT_RENDERERS)
        self._responses: RecentValues[tuple[Portrait, LipResponse]] = RecentValues(KEPT_RENDERERS)
        self._analysed: SingleUseValue[Speech, tuple[Prosody, MouthPredictions]] = SingleUseValue()
        self._current: PortraitRenderer | None = None
        self._response: LipResponse | None = None
        self.editor: MotionEditor = StandardMotionEditor(SCALED_COLUMNS)
        self.spec = EngineSpec(
            name=NAME, label=LABEL, frame_size_px=None, pose_styles=self._pose_cvae.config.styles,
            view_limits_deg=VIEW_LIMITS_DEG,
        )  # fmt: skip

    def read_face(self, portrait: Portrait) -> Motion:
        """Prepare the portrait and return zero motion: the motion of this engine is relative to the picture."""
        renderer = self._current = self._renderer(portrait)

        def measure() -> tuple[Portrait, LipResponse]:
            return portrait, self._measure_response(portrait, renderer)

        self._response = self._responses.get_or_make(id(portrait), measure)[1]
        return self.neutral_motion()

    def neutral_motion(self) -> Motion:
        """Return zero motion (T = 1)."""
        zeros = np.zeros((1, 3), np.float32)
        return Motion(np.zeros((1, len(SHAPES)), np.float32), zeros, zeros)

    def mouth_curves(self, motion: Motion) -> tuple[Float64Array, Float64Array]:
        """Return opening and width of the mouth (T,); opening 1 is the jaw wide open, width 1 the mouth at rest."""
        from sadtalker_ext.metrics.sync import mouth_opening, mouth_width

        return mouth_opening(motion.expression), mouth_width(motion.expression)

    def mesh_motion(self, portrait: Portrait, meshes: Float32Array) -> Motion:
        """Return the motion (T) that makes the portrait look like tracked meshes (T, 478, 3) in its pixels."""
        from sadtalker_ext.engines.starter.eyes_and_brows import eye_contact
        from sadtalker_ext.engines.starter.mesh_motion import MeshFitter, neutral_of_portrait

        def prepare() -> tuple[Portrait, MeshFitter]:
            return portrait, MeshFitter(neutral_of_portrait(portrait))

        motion = self._fitters.get_or_make(id(portrait), prepare)[1].fit(meshes)
        expression = motion.expression.copy()
        # The measured gaze includes what render() adds to keep the gaze on the viewer.
        expression[:, [SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"]]] -= eye_contact(motion.rotation).astype(np.float32)
        return motion.replace(expression=expression)

    def rig_motion(self, source: Motion, motion: Motion) -> Motion:
        """Return ``motion`` relative to the portrait, with the gaze that :meth:`render` adds."""
        return Motion(
            _keep_eye_contact(motion, source),
            motion.rotation - source.rotation[:1],
            motion.translation - source.translation[:1],
        )

    @one_torch_thread()
    def read_speech(self, speech: Speech) -> None:
        """Compute what :meth:`predict_motion` needs of the speech alone; see
        :class:`~sadtalker_ext.engines.protocol.SpeechReadingEngine`.
        """
        self._analysed.keep(speech, self._analyse(speech))

    def _analyse(self, speech: Speech) -> tuple[Prosody, MouthPredictions]:
        from sadtalker_ext.audio.prosody import measure_prosody
        from sadtalker_ext.engines.starter.mouth_motion import PROSODY_SHARE

        prosody = measure_prosody(speech.reported_blocks(PROSODY_SHARE), speech.frames)
        return prosody, self._mouth_motion.analyse(speech)

    @one_torch_thread()
    def predict_motion(self, speech: Speech, source: Motion, style: MotionStyle) -> Motion:
        """Predict mouth, eyebrows, eyelids, gaze and head pose for the whole of ``speech``, added to ``source``."""
        from sadtalker_ext.engines.starter.eyes_and_brows import blink_tracks, brow_track, gaze_tracks
        from sadtalker_ext.engines.starter.head_motion import head_motion
        from sadtalker_ext.engines.starter.lively_motion import add_liveliness, brow_motion, liveliness
        from sadtalker_ext.engines.starter.mouth_motion import spoken_opening
        from sadtalker_ext.engines.starter.pause_lips import add_pause_lips

        frames = speech.frames
        prosody, predictions = self._analysed.take(speech) or self._analyse(speech)
        seeds = np.random.SeedSequence(style.seed).spawn(6)
        pose_rng, blink_rng, brow_rng, gaze_rng, lean_rng, flow_rng = map(np.random.default_rng, seeds)
        pose = head_motion(self._pose_cvae, prosody, style.pose_style, pose_rng)
        amount = liveliness(prosody)
        rotation, translation = add_liveliness(*pose, lean_rng, amount)
        mouth = self._mouth_motion.combine(predictions, self._response)
        predicted = self._mouth_motion.opening(predictions)
        mouth = add_pause_lips(mouth, spoken_opening(predictions), predicted, self._response)
        tracks: dict[tuple[str, ...], Float32Array] = {
            MOUTH_SHAPES: mouth,
            ("blink_left", "blink_right"): blink_tracks(frames, blink_rng, style.blink, prosody.phrase_ends),
            ("brows_up", "brows_down"): brow_motion(
                brow_track(prosody.emphasis, brow_rng), prosody.pitch_st, flow_rng, amount
            ),
            ("gaze_x", "gaze_y"): gaze_tracks(np.zeros_like(rotation), gaze_rng, prosody.phrase_starts),
        }
        if self._mouth_is_open():
            tracks["mouth_neutral",] = speaking_envelope(mouth)[:, None]
        expression = np.repeat(source.expression[:1], frames, axis=0)
        for names, track in tracks.items():
            expression[:, [SHAPE_INDEX[name] for name in names]] += track
        return Motion(expression, source.rotation[:1] + rotation, source.translation[:1] + translation)

    def render(self, portrait: Portrait, source: Motion, motion: Motion) -> Iterator[Frame]:
        """Yield frames at the size of the portrait; several threads compute a few frames ahead."""
        return self.render_sections(portrait, source, iter([motion]), turns_far=_needs_free_view(motion))

    def render_sections(
        self, portrait: Portrait, source: Motion, motions: Iterator[Motion], *, turns_far: bool
    ) -> Iterator[Frame]:
        """Yield the frames of one video for its motion in sections; the renderer is prepared for the first frame.

        See :class:`~sadtalker_ext.engines.protocol.SectionRenderingEngine`.
        """
        renderer = self._renderer(portrait)
        if turns_far:
            renderer = renderer.free_view()
        for motion in motions:
            yield from self._frames(renderer, source, motion)

    def _frames(self, renderer: PortraitRenderer, source: Motion, motion: Motion) -> Iterator[Frame]:
        expression = _keep_eye_contact(motion, source)
        threads = self.runtime.cpu_threads()
        pending: deque[Future[Frame]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="puppet") as pool:
            try:
                for index in range(len(motion)):
                    parts = (expression[index], motion.rotation[index], motion.translation[index])
                    pending.append(pool.submit(renderer.render_frame, *parts))
                    if len(pending) > threads:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def close(self) -> None:
        """Forget the prepared portraits."""
        self._current = self._response = None
        self._analysed.clear()
        self._renderers.clear()
        self._fitters.clear()
        self._responses.clear()

    def _measure_response(self, portrait: Portrait, renderer: PortraitRenderer) -> LipResponse:
        """Measure how the tracker sees the lips of the portrait in rendered frames."""
        from sadtalker_ext.engines.starter.lip_calibration import calibrate_lips
        from sadtalker_ext.engines.starter.lip_response import measure_lip_response

        def render(mouth: Float32Array) -> Iterator[Frame]:
            expression = np.zeros((len(mouth), len(SHAPES)), np.float32)
            expression[:, [SHAPE_INDEX[name] for name in MOUTH_SHAPES]] = mouth
            expression[:, SHAPE_INDEX["mouth_neutral"]] = float(self._mouth_is_open())
            still = np.zeros((len(mouth), 3), np.float32)
            return self._frames(renderer, self.neutral_motion(), Motion(expression, still, still))

        computed = measure_lip_response(renderer.rig.face, _pixel_mesh(portrait))
        return calibrate_lips(computed, portrait.landmarks.mesh, render)

    def _mouth_is_open(self) -> bool:
        return self._current is not None and self._current.rig.mouth.gap > 0.0

    def _renderer(self, portrait: Portrait) -> PortraitRenderer:
        from sadtalker_ext.puppet.renderer import PortraitRenderer

        def prepare() -> tuple[Portrait, PortraitRenderer]:
            covered = portrait.mouth_covered
            renderer = PortraitRenderer(
                portrait.picture, _pixel_mesh(portrait), portrait.person, self._imaging(), mouth_covered=covered
            )
            return portrait, renderer

        # The cached pair holds the portrait, so its id is not reused while the entry exists.
        return self._renderers.get_or_make(id(portrait), prepare)[1]

    def _imaging(self) -> Imaging:
        """Return the OpenCV implementation on a CPU, the torch implementation on a GPU."""
        device = self.runtime.torch_device()
        if device.type == "cpu":
            return CpuImaging()
        from sadtalker_ext.puppet.imaging_torch import TorchImaging

        return TorchImaging(device)


def _pixel_mesh(portrait: Portrait) -> Float32Array:
    """Return the mesh (478, 3) of a portrait with whole numbers at pixel centres."""
    return portrait.landmarks.mesh - np.array(PIXEL_CENTRE, np.float32)


def _keep_eye_contact(motion: Motion, source: Motion) -> Float32Array:
    """Return the expression (T, E) with the gaze kept on the viewer while the head turns."""
    from sadtalker_ext.engines.starter.eyes_and_brows import eye_contact

    expression = motion.expression.copy()
    columns = [SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"]]
    expression[:, columns] += eye_contact(motion.rotation - source.rotation[:1]).astype(np.float32)
    return expression


def _needs_free_view(motion: Motion) -> bool:
    """Whether the head turns further than the renderer for ordinary head motion goes."""
    from sadtalker_ext.puppet.head import turn_size

    return bool((turn_size(motion.rotation) > 1.0).any())


def speaking_envelope(mouth: Float32Array) -> Float32Array:
    """Return (T,) values that rise from 0 to 1 just before the mouth (T, 8) first moves and stay 1; 0 if it never does.

    They rise from the first frame if it moves within :data:`SPEAKS_AT_ONCE_S`, and are rising already if it moves
    at once.
    """
    columns = [MOUTH_SHAPES.index(name) for name in ("jaw_open", "lips_closed")]
    moving = np.flatnonzero(mouth[:, columns].max(axis=1) > MOVING)
    if len(moving) == 0:
        return np.zeros(len(mouth), np.float32)
    times_s = np.arange(len(mouth)) / FRAME_RATE_HZ
    moves_s = float(moving[0]) / FRAME_RATE_HZ
    begin_s = moves_s - MOUTH_CLOSING_S
    if moves_s < SPEAKS_AT_ONCE_S:
        begin_s = min(begin_s, 0.0)
    envelope: Float32Array = smoothstep((times_s - begin_s) / MOUTH_CLOSING_S).astype(np.float32)
    return envelope
