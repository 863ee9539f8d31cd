"""Lips and sounds of a whole set: sounds that are no voice, wrong frame rates, lags, sounds of other recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ, SAMPLES_PER_FRAME
from sadtalker_ext.training.clips.check_motion import DEAD_OPENING
from sadtalker_ext.training.clips.check_report import Finding
from sadtalker_ext.training.clips.check_sync import REACH, TOLERATED, check_sync, correlations, pooled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sadtalker_ext.arrays import Float64Array, Samples
    from sadtalker_ext.training.clips.check_sync import LipPair

MIN_VOICE_SHARE: Final = 0.15
FOLLOWED_R: Final = 0.4
"""A sound is no voice if the detector finds one in a smaller share of its frames and the lips do not follow it either.
Hiss and tones have 0; recordings of speakers 0.78 or more, one whose lips follow it with r 0.6 has 0.18."""
MIN_FOLLOWED_R: Final = 0.3
MIN_FOLLOWED_FRAMES: Final = 100
"""Correlation near lag 0 in a video of at least so many frames. In 127 recordings that were predicted by weights
without their speakers it is 0.46 or more; most lips and sounds of different recordings have less than 0.3."""
GAP_FRAMES: Final = 38
GAP_RMS: Final = 1e-4
"""Length and level (-80 dB) of digital silence, which microphones do not record."""
MOVING_SHARE: Final = 0.5
"""Lips move in such silence if their spread is at least this part of the spread elsewhere."""


def check_lips(pairs: Sequence[LipPair]) -> list[Finding]:
    """Return findings about the sounds of clips and about their lips, which should follow them."""
    findings = [_no_voice(pair) for pair in pairs if _is_without_voice(pair)]
    spoken = [pair for pair in pairs if not _is_without_voice(pair)]
    findings += check_sync(spoken)
    named = {place for finding in findings for place in finding.places}
    if "all clips" not in named:
        findings += _check_videos([pair for pair in spoken if not named & {pair.name, pair.video}])
    return findings


def _check_videos(pairs: Sequence[LipPair]) -> Iterator[Finding]:
    videos: dict[str, list[LipPair]] = {}
    for pair in pairs:
        videos.setdefault(pair.video, []).append(pair)
    for video, members in videos.items():
        highest = float(pooled(members)[REACH - TOLERATED - 1 : REACH + TOLERATED + 2].max())
        if sum(len(pair.measured) for pair in members) >= MIN_FOLLOWED_FRAMES and highest < MIN_FOLLOWED_R:
            yield _other_sound(video, highest)


def _is_without_voice(pair: LipPair) -> bool:
    return pair.voice < MIN_VOICE_SHARE and correlations(pair).max() < FOLLOWED_R


def sound_gap(samples: Samples, opening: Float64Array) -> str:
    """Return where the sound (N,) is missing while the lips move, as text; empty if it is nowhere.

    opening: (T,) of the lips at 25 Hz.
    """
    frames = min(len(opening), len(samples) // SAMPLES_PER_FRAME)
    level = np.abs(samples[: frames * SAMPLES_PER_FRAME]).reshape(frames, -1).max(axis=1, initial=0.0)
    silent = np.concatenate([[False], level < GAP_RMS, [False]])
    edges = np.flatnonzero(np.diff(silent.astype(np.int8)))
    for first, after in edges.reshape(-1, 2):
        rest = np.delete(opening[:frames], np.s_[first:after])
        moving = max(MOVING_SHARE * float(rest.std()) if len(rest) else 0.0, DEAD_OPENING)
        if after - first >= GAP_FRAMES and opening[first:after].std() >= moving:
            return f"no sound from {first / FRAME_RATE_HZ:.1f} to {after / FRAME_RATE_HZ:.1f} s while the lips move"
    return ""


def gap_finding(place: str, measured: str) -> Finding:
    """Return the finding for a clip or video whose sound is missing for some time."""
    return Finding(
        "silent", "the sound is missing in a part of the clip",
        "cut these clips where the sound ends, or take the sound from the original recording: a network that sees "
        "moving lips without a voice learns to ignore the voice",
        {place: measured},
    )  # fmt: skip


def _no_voice(pair: LipPair) -> Finding:
    return Finding(
        "silent", "the sound is not a voice",
        "remove these clips, or give them the sound of the speaker: noise, music or a track of the room alone teach a "
        "network to ignore the voice",
        {pair.name: f"a voice in {100 * pair.voice:.0f} % of the frames"},
    )  # fmt: skip


def _other_sound(video: str, highest: float) -> Finding:
    return Finding(
        "sync", "the lips do not follow the sound near its place",
        "compare these with the original recording: the sound is of another video, has another speed or sample rate, "
        "is dubbed, or its speaker is not in the picture; replace it or remove them",
        {video: f"r {highest:.2f}"},
    )  # fmt: skip
