"""Sound and picture apart: lips measured in clips, compared with the lips that the starter engine predicts from sound.

A lag of single clips is found if their lips follow the sound clearly; a lag or a wrong frame rate of a whole video also
if they do not, because all clips of a video share it.

On 39 recordings of real speakers from public videos (93 parts of up to 4 s), the lags of the parts of a recording agree
within a frame where the correlation is 0.6 or more. Two of the recordings are really apart, by 0.24 and 0.28 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.training.clips.check_motion import frame_rate_finding, lip_curves_of
from sadtalker_ext.training.clips.check_report import Finding
from sadtalker_ext.training.clips.sound_samples import from_int16

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sadtalker_ext.arrays import Float64Array
    from sadtalker_ext.engines.starter.lip_curves import LipCurves
    from sadtalker_ext.training.clips.dataset import Clip

REACH: Final = 15
"""Largest lag that is searched, frames."""
TOLERATED: Final = 2
"""Lag in frames that counts as in sync: predicted lips lead by one, and viewers notice three (ITU-R BT.1359)."""
WEIGHTS: Final = (0.7, 0.3)
"""Weights of opening and width."""
RATES_HZ: Final = (12.5, 15.0, 20.0, 30.0, 50.0, 60.0)
"""Frame rates that are tried if lips and sound do not agree at 25; 24 cannot be told apart in a few seconds."""
RATE_R, RATE_GAIN = 0.45, 0.1
UNRELATED_R: Final = 0.25
MIN_CLIPS: Final = 5
"""Correlation of at least so many clips at their best common lag, below which lips and sound have nothing in common;
0.5 or more in sets of real and of rendered speakers, even of videos with different lags."""
MIN_CLIPS_OF_RATE: Final = 3
"""Clips of a video that a frame rate is estimated from."""
LONG_FRAMES: Final = 100
LONG_RATE_R, LONG_RATE_GAIN = 0.6, 0.25
"""Length of one or two clips from which their rate is estimated, and the limits for them."""
RATE_TEXT: Final = "lips and voice agree at {:g} frames per second"
MIN_FRAMES: Final = 20
SAME_R: Final = 0.05
"""Difference of correlations that does not matter."""
MAX_R: Final = 0.999
"""Keeps Fisher's z finite."""
MEMORY: Final = 25
"""Frames after which openings of the mouth no longer depend on each other."""
SOURCE_MARK: Final = " from "
"""Between the name of the video and the time in the source of prepared clips."""


class Limits(NamedTuple):
    """From which a lag is reported.

    r: correlation at the lag. gain: its excess over the best tolerated lag. score: Fisher's z, in standard deviations.
    """

    r: float
    gain: float
    score: float


class Lag(NamedTuple):
    """Lag in frames, positive if the picture is late; correlation at it and at the best tolerated lag."""

    frames: int
    highest: float
    in_sync: float


CLIP_LIMITS: Final = Limits(0.6, 0.2, 3.2)
"""For one clip; in 184 clips whose sound fits, wrong lags had scores up to 2.5."""
VIDEO_LIMITS: Final = Limits(0.4, 0.08, 4.0)
"""For all clips of a video together."""


@dataclass(frozen=True, eq=False)
class LipPair:
    """Lips of a clip, measured and predicted from its sound, (T, 2) each: opening and width.

    voice: share of the frames in which the sound is a voice.
    """

    name: str
    video: str
    measured: Float64Array
    predicted: Float64Array
    voice: float = 1.0


def lip_pair(clip: Clip, curves: LipCurves) -> LipPair | None:
    """Return both lips of a clip; None if it is too short to compare them."""
    if len(clip) < MIN_FRAMES or len(clip.sound) == 0:
        return None
    source = clip.source.partition(SOURCE_MARK)
    video = source[0] if source[1] else clip.identity
    track = curves.predict(iter([from_int16(clip.sound)]), len(clip))
    voice = float((track.voice > 0).mean())
    return LipPair(clip.name, video, lip_curves_of(clip), track.lips.astype(np.float64), voice)


def check_sync(pairs: Sequence[LipPair]) -> Iterator[Finding]:
    """Yield findings about videos with a wrong frame rate, and about videos and clips with a lag.

    A mistake that all clips share is searched for first, then those of single videos and of single clips.
    """
    rate_hz = find_rate(pairs)
    if rate_hz is not None:
        yield frame_rate_finding("all clips", RATE_TEXT.format(rate_hz))
        return
    highest = float(pooled(pairs).max()) if len(pairs) >= MIN_CLIPS else 1.0
    if highest < UNRELATED_R:
        yield _unrelated(highest)
        return
    videos: dict[str, list[LipPair]] = {}
    for pair in pairs:
        videos.setdefault(pair.video, []).append(pair)
    rates = {video: find_rate(members) for video, members in videos.items()}
    yield from (frame_rate_finding(video, RATE_TEXT.format(rate)) for video, rate in rates.items() if rate is not None)
    rest = [pair for pair in pairs if rates[pair.video] is None]
    reported: set[str] = set()
    for group in (rest, *videos.values(), *([pair] for pair in rest)):
        left = [pair for pair in group if pair.name not in reported and rates[pair.video] is None]
        lag = find_lag(left, VIDEO_LIMITS if len(left) > 1 else CLIP_LIMITS) if left else None
        if lag is not None:
            late = [pair for pair in left if _follows(pair, lag.frames)]
            if 2 * len(late) <= len(left):  # clips with different lags, which have none in common
                continue
            reported |= {pair.name for pair in late}
            yield from (_finding(pair, lag) for pair in late)


def find_rate(pairs: Sequence[LipPair]) -> float | None:
    """Return the frame rate at which the lips follow the sound much better than at 25; None if there is none.

    They must also do so if each clip has its own lag: clips with different lags have none in common at the right rate.
    """
    long = sum(len(pair.measured) for pair in pairs) >= LONG_FRAMES
    if len(pairs) < MIN_CLIPS_OF_RATE and not long:
        return None
    least, gain = (RATE_R, RATE_GAIN) if len(pairs) >= MIN_CLIPS_OF_RATE else (LONG_RATE_R, LONG_RATE_GAIN)
    scores = {FRAME_RATE_HZ: float(pooled(pairs).max())}
    for rate_hz in RATES_HZ:
        scores[rate_hz] = float(pooled([stretched(pair, rate_hz) for pair in pairs]).max())
    best = max(scores, key=lambda rate_hz: scores[rate_hz])
    if scores[best] < least or scores[best] - scores[FRAME_RATE_HZ] < gain:
        return None
    return best if _at_own_lags(pairs, best) > _at_own_lags(pairs, FRAME_RATE_HZ) else None


def _at_own_lags(pairs: Sequence[LipPair], rate_hz: float) -> float:
    """Return the mean correlation over clips at a frame rate, each at the lag that suits it, weighted by length."""
    highest = [correlations(stretched(pair, rate_hz)).max() for pair in pairs]
    return float(np.average(highest, weights=[len(pair.measured) for pair in pairs]))


def stretched(pair: LipPair, rate_hz: float) -> LipPair:
    """Return the lips as they are if the frames of the clip have another rate, both at 25 Hz."""
    frames = min(len(pair.predicted), int(len(pair.measured) * FRAME_RATE_HZ / rate_hz))
    at = np.arange(frames) * rate_hz / FRAME_RATE_HZ
    columns = [np.interp(at, np.arange(len(pair.measured)), column) for column in pair.measured.T]
    return LipPair(pair.name, pair.video, np.stack(columns, axis=1), pair.predicted[:frames])


def pooled(pairs: Sequence[LipPair]) -> Float64Array:
    """Return the mean correlation (2 * REACH + 1,) at each lag over clips, weighted by their lengths."""
    lengths = np.array([len(pair.measured) for pair in pairs], np.float64)
    mean: Float64Array = np.average([correlations(pair) for pair in pairs], axis=0, weights=lengths)
    return mean


def correlations(pair: LipPair) -> Float64Array:
    """Return the correlation of measured and predicted lips at lags from -15 to 15 frames.

    A lag is positive if the picture is late. Lags that leave fewer than half of the frames are 0.
    """
    values = np.zeros(2 * REACH + 1)
    for index, lag in enumerate(range(-REACH, REACH + 1)):
        measured, predicted = _aligned(pair, lag)
        if 2 * len(measured) >= len(pair.measured):
            columns = zip(WEIGHTS, measured.T, predicted.T, strict=True)
            values[index] = sum(weight * _pearson(*pairs) for weight, *pairs in columns)
    return values


def _pearson(first: Float64Array, second: Float64Array) -> float:
    x, y = first - first.mean(), second - second.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 1e-9 else 0.0


def _follows(pair: LipPair, lag: int) -> bool:
    """Return whether the lips of a clip follow the sound near this lag about as well as anywhere."""
    values, place = correlations(pair), REACH + lag
    return bool(values[max(0, place - 1) : place + 2].max() >= values.max() - SAME_R)


def find_lag(pairs: Sequence[LipPair], limits: Limits) -> Lag | None:
    """Return the common lag of clips if it is large, clear and not by chance, else None."""
    values = pooled(pairs)
    best = int(values.argmax())
    frames, highest = best - REACH, float(values[best])
    in_sync = float(values[REACH - TOLERATED : REACH + TOLERATED + 1].max())
    if abs(frames) <= TOLERATED or highest < limits.r or highest - in_sync < limits.gain:
        return None
    freedom = sum(max(0.0, independent_values(pair, frames) - 3.0) for pair in pairs)
    score = float(np.arctanh(min(highest, MAX_R)) * np.sqrt(freedom))
    return Lag(frames, highest, in_sync) if score >= limits.score else None


def independent_values(pair: LipPair, lag: int) -> float:
    """Return how many independent values the opening of a clip has at a lag (Bartlett 1935).

    Neighbouring frames are similar, so that a few seconds of two unrelated smooth curves can correlate by chance.
    """
    measured, predicted = _aligned(pair, lag)
    count = len(measured)
    offsets = np.arange(1, min(count // 2, MEMORY))
    products = [_autocorrelation(measured[:, 0], k) * _autocorrelation(predicted[:, 0], k) for k in offsets]
    return float(count / max(1.0, 1.0 + 2.0 * float(((1.0 - offsets / count) * np.array(products)).sum())))


def _autocorrelation(values: Float64Array, offset: int) -> float:
    centred = values - values.mean()
    total = float(centred @ centred)
    return float(centred[offset:] @ centred[:-offset]) / total if total > 0 else 0.0


def _aligned(pair: LipPair, lag: int) -> tuple[Float64Array, Float64Array]:
    first, count = max(0, lag), max(0, len(pair.measured) - abs(lag))
    return pair.measured[first : first + count], pair.predicted[first - lag : first - lag + count]


def _unrelated(highest: float) -> Finding:
    return Finding(
        "sync", "the lips do not follow the sound at any lag up to 0.6 s",
        "check that each clip has the sound of the same video, that the speaker is seen and not only heard, and that "
        "the sound is speech",
        {"all clips": f"r {highest:.2f}"},
    )  # fmt: skip


def _finding(pair: LipPair, lag: Lag) -> Finding:
    side = "before" if lag.frames > 0 else "behind"
    seconds = abs(lag.frames) / FRAME_RATE_HZ
    video = "" if pair.video == pair.name else f"{pair.video}: "
    measured = f"{video}sound {seconds:.2f} s {side} the lips, r {lag.highest:.2f}, in sync {lag.in_sync:.2f}"
    return Finding(
        "sync", "sound and picture are apart",
        "shift the sound of the original video (ffmpeg -i VIDEO -itsoffset SECONDS -i VIDEO -map 0:v -map 1:a -c copy "
        "FIXED.mp4, where SECONDS is positive if the sound is before the lips) and prepare it again, or remove these "
        "clips",
        {pair.name: measured},
    )  # fmt: skip
