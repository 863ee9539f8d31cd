"""The protocol every engine follows, and what an engine says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sadtalker_ext.errors import EngineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

    Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class MotionStyle:
    """How the face should move, as far as the motion predictor decides it.

    pose_style: name or number of a style of head movement, one of the engine's ``pose_styles``.
    blink: how strongly eyes blink; 1 is human, 0 is none.
    seed: seeds blink, pose and style; the same seed gives the same motion.
    lids: (N,) float32, how far the eyes of a reference are closed at 25 Hz, 0 open to 1 closed; repeated to the
        length of the speech and taken instead of blinks of the engine's own. None leaves blinking to the engine.
    expression: (N, E) float32, the face of a reference at 25 Hz, repeated like ``lids``, from which the predictor
        starts in each frame. None lets it start from the source's. Only for engines that take a reference.
    """

    pose_style: str = "0"
    blink: float = 1.0
    seed: int = 0
    lids: NDArray[np.float32] | None = field(default=None, compare=False)
    expression: NDArray[np.float32] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class EngineSpec:
    """What an engine is, needs and can do.

    frame_size_px: side of the square it renders, or None when it works at the picture's own size.
    knobs: names of the settings it honours; any other setting that differs from its default is refused by name.
    pose_styles: names of its styles; a style may also be given by its index here.
    expression_columns: columns of Motion.expression that the expression scale applies to (not blinks and gaze).
    weights: catalogue names of the checkpoints it needs; empty when everything ships with the package.
    references: what it can take from a reference video: eyes, pose, eyes+pose, all; empty when it takes none.
    parity: it was opened to do as the official code does, faults included; the edits of its motion then do so too.
    """

    name: str
    label: str
    frame_size_px: int | None
    knobs: frozenset[str]
    pose_styles: tuple[str, ...]
    expression_columns: tuple[int, ...]
    weights: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    dtypes: tuple[str, ...] = ("float32",)
    references: tuple[str, ...] = ()
    parity: bool = False


@runtime_checkable
class Engine(Protocol):
    """A motion predictor and a renderer that understand each other."""

    spec: EngineSpec

    def read_face(self, portrait: Portrait) -> Motion:
        """The source face as motion (T = 1)."""
        ...

    def predict_motion(self, speech: Speech, source: Motion, style: MotionStyle) -> Motion:
        """Motion for the whole of ``speech``, one row per frame at 25 Hz; T is ``speech.frames``."""
        ...

    def render(self, portrait: Portrait, source: Motion, motion: Motion) -> Iterator[Frame]:
        """One frame (H, W, 3) uint8 RGB per row of ``motion``, in order, without keeping them."""
        ...

    def close(self) -> None:
        """Free memory; the engine must not be used afterwards."""
        ...


def open_engine(name: str, runtime: Runtime, settings: Settings | None = None) -> Engine:
    """Open an engine by its name, as the settings want it; an EngineError lists the names that exist."""
    if name == "starter":
        from sadtalker_ext.engines.starter.engine import StarterEngine

        return StarterEngine(runtime)
    if name == "sadtalker":
        from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine, SadTalkerOptions

        return SadTalkerEngine(runtime, SadTalkerOptions.from_settings(settings) if settings else SadTalkerOptions())
    raise EngineError(f"There is no engine {name!r}; choose starter or sadtalker")
