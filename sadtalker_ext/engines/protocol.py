"""The protocol that every engine implements, and the records it exchanges with the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from sadtalker_ext.geometry.camera_path import Leg

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Frame
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.mesh.bfm import ModelMotion
    from sadtalker_ext.settings import Settings


@dataclass(frozen=True)
class MotionStyle:
    """Settings that the motion predictor of an engine reads.

    pose_style: name or index of a head motion style, one of the engine's ``pose_styles``.
    blink: blink strength; 1 is natural, 0 disables blinks.
    seed: random seed of blinks, head motion and style; the same seed gives the same motion.
    lids: (N,) float32, eyelid closure of a reference video at 25 Hz, 0 open to 1 closed. Repeated to the length of the
        speech, it replaces the engine's own blinks. None: the engine generates blinks.
    expression: (N, E) float32, expression of a reference video at 25 Hz, repeated like ``lids``; the predictor starts
        from it in each frame. None: it starts from the source expression. Only for engines that support references.
    """

    pose_style: str = "0"
    blink: float = 1.0
    seed: int = 0
    lids: Float32Array | None = field(default=None, compare=False)
    expression: Float32Array | None = field(default=None, compare=False)


class VideoTiming(NamedTuple):
    """Number of frames and frames per second of a video, or of a part of it that begins at frame ``first``.

    expected: for each part up to this one, its first frame and the number of frames that the whole video was expected
        to have when the part was read; empty if there is one part only.
    """

    frames: int
    rate_hz: float
    first: int = 0
    expected: tuple[tuple[int, int], ...] = ()

    def legs(self) -> list[Leg]:
        """Return the parts up to this one as legs of a camera path, in frames."""
        end = self.first + self.frames
        return [Leg(begin, total, total == end) for begin, total in self.expected or ((self.first, end),)]


@dataclass(frozen=True)
class EngineSpec:
    """Properties of an opened engine.

    frame_size_px: side of the rendered square, or None if the engine renders at the size of the picture.
    pose_styles: names of the head motion styles; a style may also be selected by its index here.
    weights: names of the checkpoint files it loaded; empty if everything ships with the package.
    references: what it can copy from a reference video, of eyes, pose, eyes+pose and all; empty if nothing.
    view_limits_deg: largest pitch, yaw and roll that it renders; larger ones are bent towards them. None: no limit.
    """

    name: str
    label: str
    frame_size_px: int | None
    pose_styles: tuple[str, ...]
    weights: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    dtypes: tuple[str, ...] = ("float32",)
    references: tuple[str, ...] = ()
    view_limits_deg: tuple[float, float, float] | None = None


class MotionReference(Protocol):
    """Motion of a reference video, one row per frame at 25 Hz; a shorter reference is repeated."""

    def later(self, rows: int) -> MotionReference:
        """Return the reference for a part of a video that begins ``rows`` rows after the start of the reference."""
        ...

    def style(self, style: MotionStyle) -> MotionStyle:
        """Return ``style`` with what the motion predictor must know of the reference."""
        ...

    def apply(self, motion: Motion, source: Motion) -> Motion:
        """Return the predicted ``motion`` (T, 25 Hz) with the parts that are copied from the reference.

        source: motion of the portrait itself (T = 1).
        """
        ...


class MotionEditor(Protocol):
    """Applies the motion settings of the user to predicted motion."""

    def edit(self, motion: Motion, source: Motion, settings: Settings, timing: VideoTiming) -> Motion:
        """Return ``motion`` (T, 25 Hz) after scaling, head angles and resampling, one row per video frame.

        source: motion of the portrait itself (T = 1).
        """
        ...

    def turn(self, motion: Motion, settings: Settings, timing: VideoTiming) -> Motion:
        """Return edited motion (T, one row per video frame) with the head angles and the camera path of the settings.

        :meth:`edit` ends with it. Parts of a video are joined before, and then turned.
        """
        ...

    def reads_frames(self, use: str) -> bool:
        """Whether :meth:`Engine.read_face` must read each frame of a reference video for this use.

        If not, the pipeline tracks head and eyelids with the face landmarks. use: eyes, pose, eyes+pose or all.
        """
        ...

    def reference(self, use: str, motion: Motion) -> MotionReference:
        """Return the reference for ``motion`` (N, 25 Hz), which the engine read from the frames of the video."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A motion predictor and the renderer that understands its motion.

    spec: properties of the engine. editor: applies the motion settings in the units of this engine.
    """

    spec: EngineSpec
    editor: MotionEditor

    def read_face(self, portrait: Portrait) -> Motion:
        """Return the motion of the portrait itself (T = 1)."""
        ...

    def predict_motion(self, speech: Speech, source: Motion, style: MotionStyle) -> Motion:
        """Return motion for the whole of ``speech`` at 25 Hz; T is ``speech.frames``."""
        ...

    def render(self, portrait: Portrait, source: Motion, motion: Motion) -> Iterator[Frame]:
        """Yield one RGB frame (H, W, 3) uint8 per row of ``motion``, in order, without storing them."""
        ...

    def close(self) -> None:
        """Free the memory; the engine must not be used afterwards."""
        ...


@runtime_checkable
class SpeechReadingEngine(Protocol):
    """An engine that computes a part of the motion from the speech alone, while the portrait is being prepared."""

    def read_speech(self, speech: Speech) -> None:
        """Compute this part and keep it for the next call of :meth:`Engine.predict_motion` with the same speech.

        Called from another thread than :meth:`Engine.read_face`, perhaps at the same time.
        """
        ...


@runtime_checkable
class SectionRenderingEngine(Protocol):
    """An engine that keeps what its renderer decides at the start of a video while motion follows in sections."""

    def render_sections(
        self, portrait: Portrait, source: Motion, motions: Iterator[Motion], *, turns_far: bool
    ) -> Iterator[Frame]:
        """Yield the frames of one video, as :meth:`Engine.render` does, for the motion of all sections in order.

        turns_far: whether a later section may turn the head further than speech does.
        """
        ...


@runtime_checkable
class ModelMotionEngine(Protocol):
    """An engine whose motion is in coefficients of a 3D morphable model."""

    def model_motion(self, portrait: Portrait, motion: Motion) -> ModelMotion:
        """Return the coefficients of the portrait and of ``motion``, and where the portrait is in its picture."""
        ...


@runtime_checkable
class RigMotionEngine(Protocol):
    """An engine whose motion can be applied to the mesh of the portrait."""

    def rig_motion(self, source: Motion, motion: Motion) -> Motion | None:
        """Return ``motion`` in the shapes of :mod:`sadtalker_ext.puppet.basis`, relative to the portrait.

        source: motion of the portrait itself (T = 1). None if the coefficients are of another basis.
        """
        ...
