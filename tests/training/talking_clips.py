"""Small data sets of synthetic clips with face landmarks, long enough for the speech networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from synthetic_clips import synthetic_clip, synthetic_info

from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.geometry.mean_face import mean_face_mesh
from sadtalker_ext.training.clips.dataset import ClipWriter

FRAMES, SIZE = 40, 32


def talking_clip(name, identity="ann", seed=0, size=SIZE):
    """Return a clip with puppet shapes in [0, 1], head rotation of a few degrees, and landmarks of the mean face."""
    random = np.random.default_rng(seed)
    clip = synthetic_clip(name, identity, FRAMES, size, seed)
    coefficients = np.zeros((FRAMES, 73), np.float32)
    coefficients[:, :15] = random.random((FRAMES, 15)) * 0.5
    coefficients[:, 64:70] = np.cumsum(random.standard_normal((FRAMES, 6)) * 0.01, axis=0)
    coefficients[:, 70:] = (1.5, size / 2, size / 2)
    lips = np.repeat(coefficients[:1, :64], FRAMES, axis=0)
    lips[:, :8] = coefficients[:, :8]
    face = (subset_68(mean_face_mesh()) * 0.7 + 0.5) * size
    landmarks = np.repeat(face[None], FRAMES, axis=0).astype(np.float32)
    return replace(clip, coefficients=coefficients, lip_expression=lips, landmarks=landmarks)


def write_talking(folder, clips=3, size=SIZE, **changes):
    """Write a data set with ``clips`` training clips of two people and one test clip; return the training clips."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [talking_clip(f"clip{i}", ("ann", "bob")[i % 2], i, size) for i in range(clips)]
    with ClipWriter(folder, "train", 0) as writer:
        for clip in made:
            writer.add(clip)
    with ClipWriter(folder, "test", 0) as writer:
        writer.add(talking_clip("held", seed=99, size=size))
    synthetic_info(**{"size_px": size, "clips": {"train": clips, "test": 1}, **changes}).save(folder)
    return made
