"""Small clips of random data, for tests that read or write data sets."""

from __future__ import annotations

import numpy as np

from sadtalker_ext.training.clips.dataset import Clip, ClipInfo, ClipWriter, encode_image


def synthetic_clip(name, identity="ann", frames=6, size=16, seed=0):
    random = np.random.default_rng(seed)

    def normal(*shape):
        return random.standard_normal(shape).astype(np.float32)

    pictures = random.integers(0, 256, (frames, size, size, 3)).astype(np.uint8)
    samples = frames * 640
    return Clip(
        name=name,
        identity=identity,
        frames=tuple(encode_image(picture) for picture in pictures),
        coefficients=normal(frames, 73),
        lip_expression=normal(frames, 64),
        lids=np.clip(normal(frames), 0, 1),
        landmarks=normal(frames, 68, 2),
        mel=normal(1 + samples // 200, 80),
        sound=random.integers(-3000, 3000, samples).astype(np.int16),
        source=f"synthetic, seed {seed}",
    )


def synthetic_info(**changes):
    values = {
        "size_px": 16, "coefficients": "puppet", "identities": ("ann", "bob"), "clips": {"train": 5, "test": 1},
        "hours": 0.01, "sources": "noise", "split": "by hand", "lips": "noise", "licence": "none",
    }  # fmt: skip
    return ClipInfo(**{**values, **changes})


def write_data(folder, count=5, limit_bytes=400_000_000, **changes):
    """Write a data set of ``count`` training clips and one test clip; return the training clips."""
    folder.mkdir(exist_ok=True)
    clips = [synthetic_clip(f"clip{i}", ("ann", "bob")[i % 2], 4 + i, seed=i) for i in range(count)]
    with ClipWriter(folder, "train", 0, limit_bytes) as writer:
        for clip in clips:
            writer.add(clip)
    with ClipWriter(folder, "test", 0) as writer:
        writer.add(synthetic_clip("held", seed=99))
    synthetic_info(**changes).save(folder)
    return clips
