"""Recordings that occur more than once in a data set, under the same or another name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLES_PER_FRAME
from sadtalker_ext.training.clips.check_report import Finding

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array, Samples
    from sadtalker_ext.training.clips.dataset import Clip

SAME_SOUND_R: Final = 0.99
SAME_LIPS_R: Final = 0.9
"""Correlation of the levels of the sound in decibels and of the openings of the lips in copies that were encoded again;
sounds of different recordings have up to 0.7."""
QUIET_DB: Final = -80.0
QUIET_RANGE: Final = 100
"""Sounds with a smaller range of their 16-bit samples are silence, which many clips may share."""
SAME_PLACE: Final = 0.01
"""Mean difference of the landmarks of copies, in sizes of the picture. Practice clips may have the same sound with
other motion."""
MIN_FRAMES: Final = 25


@dataclass(frozen=True)
class _Seen:
    """A clip that was read. middle: landmarks of its first, middle and last frames."""

    name: str
    split: str
    middle: Float32Array


@dataclass
class ClipCopies:
    """Finds clips of a data set with the same landmarks, or with the same sound and nearly the same landmarks."""

    size_px: int
    tracks: dict[bytes, _Seen] = field(default_factory=dict)
    sounds: dict[bytes, list[_Seen]] = field(default_factory=dict)

    def add(self, clip: Clip, split: str) -> list[Finding]:
        """Return the finding if ``clip`` is a copy of an earlier one."""
        seen = _Seen(clip.name, split, clip.landmarks[:: max(1, len(clip) // 2)].astype(np.float32))
        track, sound = (hashlib.sha256(part.tobytes()).digest() for part in (clip.landmarks, clip.sound))
        alike = self.sounds.setdefault(sound, []) if np.ptp(clip.sound) > QUIET_RANGE else []
        original = self.tracks.get(track) or next((other for other in alike if self._is_near(other, seen)), None)
        self.tracks.setdefault(track, seen)
        alike.append(seen)
        if original is None:
            return []
        return [_finding(clip.name, original.name, original.split if original.split != split else "")]

    def _is_near(self, first: _Seen, second: _Seen) -> bool:
        if first.middle.shape != second.middle.shape:
            return False
        return float(np.abs(first.middle - second.middle).mean()) < SAME_PLACE * self.size_px


@dataclass
class VideoCopies:
    """Finds videos that start with the same sound, and maybe the same lips; both may have been encoded again."""

    known: list[tuple[str, Float64Array, Float64Array]] = field(default_factory=list)

    def add(self, name: str, samples: Samples, opening: Float64Array) -> list[Finding]:
        """Return the finding if a video is a copy of an earlier one. opening: (T,) of the lips at 25 Hz."""
        frames = min(len(opening), len(samples) // SAMPLES_PER_FRAME)
        power = (samples[: frames * SAMPLES_PER_FRAME].astype(np.float64) ** 2).reshape(frames, -1).mean(axis=1)
        level_db = 10.0 * np.log10(np.maximum(power, 10.0 ** (QUIET_DB / 10.0)))
        same_sound = [known for known in self.known if common_r(known[1], level_db) > SAME_SOUND_R]
        self.known.append((name, level_db, opening[:frames]))
        for other, _, lips in same_sound:
            if common_r(lips, opening) > SAME_LIPS_R:
                return [_finding(name, other, "")]
        return [_shared_sound(name, same_sound[0][0])] if same_sound else []


def common_r(first: Float64Array, second: Float64Array) -> float:
    """Return the correlation over the common length; 0 if it is short or one of both is constant."""
    count = min(len(first), len(second))
    one, two = first[:count], second[:count]
    if count < MIN_FRAMES or one.std() == 0.0 or two.std() == 0.0:
        return 0.0
    return float(np.corrcoef(one, two)[0, 1])


def _finding(name: str, original: str, other_split: str) -> Finding:
    where = f" in the split {other_split}" if other_split else ""
    return Finding(
        "duplicates", "recordings occur more than once",
        "remove the copies: a speaker with several names is not left out of training when it is measured on new "
        "speakers, and clips that are in both splits make validation look too good",
        {name: f"the same as {original}{where}"},
    )  # fmt: skip


def _shared_sound(name: str, original: str) -> Finding:
    return Finding(
        "sync", "different videos have the same sound",
        "give each video its own sound, and remove those whose speaker is not in the picture",
        {name: f"the sound of {original}"},
    )  # fmt: skip
