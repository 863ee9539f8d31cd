"""Synthetic speech with phones, for tests that run without a speech synthesiser."""

from __future__ import annotations

import numpy as np

from sadtalker_ext.training.corpus.articulation import Phones
from sadtalker_ext.training.corpus.augment import Stream
from sadtalker_ext.training.corpus.phonemes import SYMBOL_INDEX


def phones_of(*timed):
    """("a", 0.0, 0.2), ... -> Phones at full loudness."""
    names, starts, ends = zip(*timed, strict=True)
    symbols = np.array([SYMBOL_INDEX[name] for name in names])
    return Phones(np.array(starts, float), np.array(ends, float), np.zeros(len(names)), symbols)


def synthetic_stream(random, seconds=12.0):
    """Phones of 80 ms, each with its own two tones; silence at both ends."""
    names = ["", *random.choice(["a", "i", "u", "m", "s", "f", "t"], int(seconds / 0.08) - 8), ""]
    lengths = [0.3, *[0.08] * (len(names) - 2), 0.3]
    ends = np.cumsum(lengths)
    times = np.arange(int(ends[-1] * 16000)) / 16000
    which = np.clip(np.searchsorted(ends, times, "right"), 0, len(names) - 1)
    pitches = {name: (200 + 150 * k, 900 + 700 * k) for k, name in enumerate(("a", "i", "u", "m", "s", "f", "t"))}
    tones = np.array([pitches.get(name, (0.0, 0.0)) for name in names])[which]
    samples = 0.1 * np.sin(2 * np.pi * np.cumsum(tones, 0) / 16000).sum(1)
    timed = [(name, end - length, end) for name, end, length in zip(names, ends, lengths, strict=True)]
    return Stream(samples.astype(np.float32), phones_of(*timed))
