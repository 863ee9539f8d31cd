"""Short videos of an animated portrait for tests of ``train prepare``: whole, cut, without a face, without sound."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

import sadtalker_ext
from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.training.clips.practice_motion import PracticeMotion, practice_motion
from sadtalker_ext.training.clips.practice_portraits import prepare_portraits
from sadtalker_ext.training.clips.practice_render import Actor, load_actor, render_frames
from sadtalker_ext.training.clips.practice_speech import speech_from_samples
from sadtalker_ext.video.write import VideoSpec, write_video

VOICE = Path(sadtalker_ext.__file__).parent / "assets" / "demo_voice.flac"
ASTRONAUT = Path(importlib.util.find_spec("skimage").submodule_search_locations[0]) / "data" / "astronaut.png"


def astronaut(folder: Path, size_px: int = 128) -> Actor:
    prepare_portraits([ASTRONAUT], folder, size_px)
    return load_actor(folder / "astronaut.npz")


@lru_cache(maxsize=1)
def voice():
    return open_speech(VOICE).samples()


def talk(actor: Actor, frames: int, seed: int = 0) -> PracticeMotion:
    """Motion for the demo voice, starting at rest."""
    return practice_motion(actor.engine, speech_from_samples(voice()[: frames * 640]), 0, np.random.default_rng(seed))


def talking_frames(actor: Actor, frames: int, seed: int = 0):
    return list(render_frames(actor, talk(actor, frames, seed)))


def write(path: Path, frames, sound: bool = True, rate_hz: float = 25.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(frames, path, VideoSpec(rate_hz, len(frames), VOICE if sound else None))


def another_scene(frame):
    """The same person mirrored, closer and with another tint, as after a scene cut."""
    closer = cv2.resize(frame[:, ::-1], None, fx=1.25, fy=1.25)[: frame.shape[0], : frame.shape[1]]
    tint = np.array([30, -20, -40])
    return np.clip(closer.astype(int) + tint, 0, 255).astype(np.uint8)


def empty_scene(shape, frames: int):
    """Moving noise without a face."""
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    big = cv2.resize(small, (shape[1] + frames, shape[0]), interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(big[:, index : index + shape[1]]) for index in range(frames)]
