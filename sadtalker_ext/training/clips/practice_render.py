"""Rendering of practice clips: portraits animated by the geometric renderer, with exact landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.geometry.landmarks import Landmarks, subset_68
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.puppet.eyelids import UPPER_LID_SHARE
from sadtalker_ext.training.clips.practice_portraits import WorkingPortrait
from sadtalker_ext.training.clips.shape_columns import BLINK_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sadtalker_ext.arrays import Float32Array, Frame
    from sadtalker_ext.engines.starter.engine import StarterEngine
    from sadtalker_ext.puppet.renderer import PortraitRenderer
    from sadtalker_ext.training.clips.practice_motion import PracticeMotion

LID_PAIRS: Final = ((37, 41), (38, 40), (43, 47), (44, 46))
"""Opposite points of the upper and lower eyelid in the 68 landmarks: two of the right eye, two of the left."""
BELOW_MOUTH: Final = (*range(3, 14), *range(55, 60), *range(65, 68))
"""The 68 landmarks that belong to the lower lip, jaw and chin."""


@dataclass(frozen=True)
class Actor:
    """A portrait ready for animation: its renderer, the engine that has read it, and its coefficients (73,)."""

    identity: str
    portrait: WorkingPortrait
    renderer: PortraitRenderer
    engine: StarterEngine
    source: Float32Array


@lru_cache(maxsize=1)
def _open_engine() -> StarterEngine:
    from sadtalker_ext.engines.starter.engine import StarterEngine
    from sadtalker_ext.runtime import Runtime

    return StarterEngine(Runtime(device="cpu", threads=1))


@lru_cache(maxsize=1)
def load_actor(path: Path) -> Actor:
    """Load a portrait that :func:`.prepare_portraits` wrote; the most recent one is cached."""
    from sadtalker_ext.engines.sadtalker.puppet_coefficients import portrait_coefficients
    from sadtalker_ext.engines.starter.engine import PIXEL_CENTRE
    from sadtalker_ext.puppet.renderer import PortraitRenderer

    portrait = WorkingPortrait.load(path)
    engine = _open_engine()
    landmarks = Landmarks.from_mesh(portrait.mesh, "face-mesh")
    engine.read_face(Portrait(portrait.picture, landmarks, portrait.person))
    mesh = portrait.mesh - np.array(PIXEL_CENTRE, np.float32)
    renderer = PortraitRenderer(portrait.picture, mesh, portrait.person)
    source = portrait_coefficients(portrait.mesh, portrait.landmarks68, int(portrait.size_px))
    return Actor(path.stem, portrait, renderer, engine, source)


def render_frames(actor: Actor, motion: PracticeMotion) -> Iterator[Frame]:
    """Yield the frames (H, W, 3) of the renderer at working size."""
    parts = motion.motion
    for row in zip(parts.expression, parts.rotation, parts.translation, strict=True):
        yield actor.renderer.render_frame(*row)


def moved_landmarks(actor: Actor, motion: PracticeMotion) -> Float32Array:
    """Return the 68 landmarks (T, 68, 2) in pixels of the clip: those of the portrait, moved by the renderer."""
    source = subset_68(actor.portrait.mesh)
    below = np.isin(np.arange(len(source)), BELOW_MOUTH)
    parts, frames = motion.motion, []
    for expression, rotation, translation in zip(parts.expression, parts.rotation, parts.translation, strict=True):
        left, right = expression[list(BLINK_COLUMNS)]
        points = source.copy()
        for (upper, lower), closure in zip(LID_PAIRS, (right, right, left, left), strict=True):
            gap = source[lower] - source[upper]
            points[upper] += closure * UPPER_LID_SHARE * gap
            points[lower] -= closure * (1.0 - UPPER_LID_SHARE) * gap
        frames.append(actor.renderer.place_points(points, below, (expression, rotation, translation)))
    return actor.portrait.to_clip_pixels(np.stack(frames))
