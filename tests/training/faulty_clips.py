"""Copies of a data set with its clips changed, for tests of what a check of the data finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sadtalker_ext.audio.mel import mel_spectrogram
from sadtalker_ext.training.clips.dataset import ClipInfo, ClipStore, ClipWriter, encode_image
from sadtalker_ext.training.clips.sound_samples import from_int16


def copy_data(source, target, change, **info):
    """Write a copy of the data set ``source`` to ``target``; ``change(number, clip)`` returns each clip of it."""
    target.mkdir()
    original = ClipInfo.load(source)
    identities = set()
    number = 0
    for split in ("train", "test"):
        with ClipWriter(target, split, 0) as writer:
            for clip in ClipStore(source, split):
                changed = change(number, clip)
                writer.add(changed)
                identities.add(changed.identity)
                number += 1
    replace(original, **{"identities": tuple(sorted(identities)), **info}).save(target)
    return target


def with_sound(clip, sound):
    """Return the clip with another sound and its features."""
    sound = np.ascontiguousarray(sound, np.int16)
    return replace(clip, sound=sound, mel=np.ascontiguousarray(mel_spectrogram(from_int16(sound)).T))


def with_frames(clip, rows):
    """Return the clip with the frames at ``rows`` (T,), which need not be whole numbers."""
    rows = np.clip(rows, 0, len(clip) - 1)
    low = np.floor(rows).astype(int)
    high, share = np.minimum(low + 1, len(clip) - 1), rows - low

    def track(values):
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        return ((1 - part) * values[low] + part * values[high]).astype(np.float32)

    names = ("coefficients", "lip_expression", "lids", "landmarks")
    pictures = []
    for first, second, part in zip(low, high, share, strict=True):
        mixed = (1 - part) * clip.image(first).astype(float) + part * clip.image(second)
        pictures.append(encode_image(np.round(mixed).astype(np.uint8)))
    return replace(clip, frames=tuple(pictures), **{name: track(getattr(clip, name)) for name in names})


def delayed(clip, seconds):
    """Return the clip with its sound moved later by ``seconds``, silence before it."""
    shift = round(abs(seconds) * 16000)
    quiet = np.zeros(shift, np.int16)
    moved = [quiet, clip.sound[:-shift]] if seconds > 0 else [clip.sound[shift:], quiet]
    return with_sound(clip, np.concatenate(moved))


def at_rate(clip, rate_hz):
    """Return the clip as if its frames, which are those of another rate, were 25 per second."""
    frames = int(len(clip) * min(1.0, rate_hz / 25))
    cut = with_frames(clip, np.arange(frames) * 25 / rate_hz)
    return with_sound(cut, clip.sound[: frames * 640])


def frozen(clip):
    """Return the clip with the first frame all the time."""
    return with_frames(clip, np.zeros(len(clip)))


def trembling(clip, pixels=1.5, seed=0):
    """Return the clip with noise on landmarks and coefficients."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal(clip.landmarks.shape).astype(np.float32)
    shaken = clip.coefficients.copy()
    shaken[:, 64:67] += 0.05 * random.standard_normal((len(clip), 3)).astype(np.float32)
    return replace(clip, landmarks=clip.landmarks + pixels * noise, coefficients=shaken)


def silent(clip):
    """Return the clip with faint noise instead of the voice."""
    noise = np.random.default_rng(0).integers(-3, 4, len(clip.sound))
    return with_sound(clip, noise)
