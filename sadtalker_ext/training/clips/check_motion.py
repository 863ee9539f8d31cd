"""Checks of one clip: sound, length, frozen and flickering motion, repeated frames, and features of the sound.

The limits lie between practice clips and tracked videos, which pass, and clips that were damaged on purpose; the values
beside each are the extremes of 91 clips of both kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sadtalker_ext.audio.mel import mel_spectrogram
from sadtalker_ext.constants import FRAME_RATE_HZ, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sadtalker_ext.training.clips.check_report import Finding
from sadtalker_ext.training.clips.dataset import EXPRESSION_COUNT
from sadtalker_ext.training.clips.sound_samples import from_int16

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Float64Array, Samples, UInt8Array
    from sadtalker_ext.training.clips.dataset import Clip

QUIET_RMS: Final = 0.003
"""Level of a frame below which it counts as silent; full scale is 1 (-50 dB)."""
MIN_ACTIVE_SHARE: Final = 0.15
"""Share of the frames with sound; 0.44 or more."""
MAX_LENGTH_GAP_S: Final = 0.12
"""Difference of the lengths of sound and picture; ``train prepare`` accepts 0.1 s."""
MEL_TOLERANCE: Final = 0.02
"""Difference of stored and computed mel values, whose range is -4 to 4."""
DEAD_OPENING: Final = 0.008
"""Standard deviation of the lip gap, in distances of the outer eye corners; 0.029 or more."""
DEAD_LIPS: Final = 0.02
"""Standard deviation of the most variable column of ``lip_expression``; 0.11 or more."""
DEAD_PICTURE: Final = 0.1
"""Median difference of consecutive frames in grey levels; 0.75 or more."""
ROUGHNESS: Final = 2.0
"""Second difference relative to the spread; white noise has 2.45, lips 1.34 or less, 1.85 if a face has 55 pixels."""
ROUGH_TRACK: Final = 2.2
"""The same for coefficients, which trackers make noisier: 2.01 or less."""
ROUGH_EXACT: Final = 1.5
"""The same for the exact coefficients of practice clips: 1.14 or less."""
EXACT_SOURCE: Final = "practice"
"""``source`` of practice clips."""
NEVER: Final = float("inf")
OPENING_LIMITS: Final = (0.07, 0.14)
ANGLE_LIMITS_DEG: Final = (1.5, 3.5)
PLACE_LIMITS: Final = (0.06, 0.1)
EXPRESSION_LIMITS: Final = (0.15, NEVER)
"""Second difference from which a rough track counts, and from which any does: lip gap, head angles, place of the nose
and coefficients. Lip gap and place are in distances of the outer eye corners; up to 0.07, 1.8 degrees and 0.04."""
ROUGH_LIGHT: Final = 4.0
"""Second difference of the mean grey level of the frames; 1.03 or less."""
USUAL_SHARE: Final = 0.85
"""Share of the frames of a video by which its brightness is judged; others may be cuts. 58 videos have up to 0.65."""
NOSE: Final = slice(27, 36)
"""Points of the nose."""
REPEATED: Final = 0.1
MAX_REPEATED_SHARE: Final = 0.15
"""Share of frames that differ from the previous one by less than a tenth of the median difference; 24 Hz has 0.04."""


def lip_curves_of(clip: Clip) -> Float64Array:
    """Return opening and width of the mouth (T, 2) of a clip, in distances of the outer eye corners."""
    points = clip.landmarks.astype(np.float64)
    unit = eye_distance(clip)
    down = points[:, 33] - points[:, 27]
    down /= np.maximum(np.linalg.norm(down, axis=1, keepdims=True), 1e-6)
    gap = ((points[:, 65:68].mean(axis=1) - points[:, 61:64].mean(axis=1)) * down).sum(axis=1)
    return np.stack([gap / unit, np.linalg.norm(points[:, 48] - points[:, 54], axis=1) / unit], axis=1)


def eye_distance(clip: Clip) -> Float64Array:
    """Return the distance of the outer eye corners (T,) in pixels."""
    points = clip.landmarks.astype(np.float64)
    distance: Float64Array = np.maximum(np.linalg.norm(points[:, 36] - points[:, 45], axis=1), 1e-6)
    return distance


def active_share(samples: Samples) -> float:
    """Return the share of the frames with sound, of samples (N,) in [-1, 1] at 16 kHz."""
    whole = len(samples) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
    if whole == 0:
        return 0.0
    frames = samples[:whole].astype(np.float64).reshape(-1, SAMPLES_PER_FRAME)
    return float((np.sqrt((frames**2).mean(axis=1)) > QUIET_RMS).mean())


def check_sound(clip: Clip) -> Iterator[Finding]:
    """Yield findings about silence, the length of the sound, and its stored features."""
    active = active_share(from_int16(clip.sound))
    if active < MIN_ACTIVE_SHARE:
        yield silent(clip.name, f"sound in {100 * active:.0f} % of the frames")
    sound_s, picture_s = len(clip.sound) / SAMPLE_RATE_HZ, len(clip) / FRAME_RATE_HZ
    if abs(sound_s - picture_s) > MAX_LENGTH_GAP_S:
        rate_hz = len(clip) / max(sound_s, 1e-6)
        yield frame_rate_finding(clip.name, f"{len(clip)} frames, {sound_s:.2f} s of sound: {rate_hz:.4g} per second")
        return
    computed = mel_spectrogram(from_int16(clip.sound)).T
    count = min(len(computed), len(clip.mel))
    gap = float(np.abs(computed[:count] - clip.mel[:count]).max(initial=0.0))
    if gap > MEL_TOLERANCE or len(computed) != len(clip.mel):
        yield Finding(
            "features", "the stored mel features are not those of the sound, which is what the engine will compute",
            "create the data set again with this version of sadtalker train practice or prepare; a network trained on "
            "other features than those of inference does not work",
            {clip.name: f"difference {gap:.2f} of 8, {len(clip.mel)} rows for {len(computed)}"},
        )  # fmt: skip


def frame_rate_finding(place: str, measured: str) -> Finding:
    """Return the finding for a clip or video whose frame rate is not 25."""
    return Finding(
        "frame_rate", "the frame rate is not 25 per second, so lips and voice run apart",
        "prepare the original videos with sadtalker train prepare, which converts every rate to 25; do not write clips "
        "with the frames of another rate, or with sound at another speed",
        {place: measured},
    )  # fmt: skip


def check_tracks(clip: Clip) -> Iterator[Finding]:
    """Yield findings about frozen and flickering landmarks and coefficients."""
    if len(clip) < 5:
        return
    opening = lip_curves_of(clip)[:, :1]
    lips, angles = clip.lip_expression, np.rad2deg(clip.coefficients[:, EXPRESSION_COUNT : EXPRESSION_COUNT + 3])
    if active_share(from_int16(clip.sound)) >= MIN_ACTIVE_SHARE:
        if opening.std() < DEAD_OPENING:
            yield no_motion(clip.name, f"lip gap of the landmarks varies by {opening.std():.4f} eye distances")
        elif lips.std(axis=0).max() < DEAD_LIPS:
            yield no_motion(clip.name, f"lip_expression varies by {lips.std(axis=0).max():.4f}")
        elif clip.coefficients[:, :EXPRESSION_COUNT].std(axis=0).max() < DEAD_LIPS:
            yield no_motion(clip.name, "the expression coefficients are constant")
    tracked = ROUGH_EXACT if clip.source == EXACT_SOURCE else ROUGH_TRACK
    place = clip.landmarks[:, NOSE].mean(axis=1) / eye_distance(clip).mean()
    for name, track, limit, (least, surely) in (
        ("lip gap", opening, ROUGHNESS, OPENING_LIMITS),
        ("head angles", angles, ROUGHNESS, ANGLE_LIMITS_DEG),
        ("place of the nose", place, ROUGHNESS, PLACE_LIMITS),
        ("lip_expression", lips, tracked, EXPRESSION_LIMITS),
        ("expression", clip.coefficients[:, :EXPRESSION_COUNT], tracked, EXPRESSION_LIMITS),
    ):
        rough, size = roughness(track)
        if size > surely or (rough > limit and size > least):
            yield flicker(clip.name, f"{name}: roughness {rough:.1f}, {size:.2f} from frame to frame")
            return


def check_pictures(clip: Clip, frames: UInt8Array) -> Iterator[Finding]:
    """Yield findings about frozen, flickering and repeated pictures. frames: (T, S, S, 3)."""
    if len(frames) < 5:
        return
    grey = frames.mean(axis=3, dtype=np.float32)
    steps = np.abs(np.diff(grey, axis=0)).mean(axis=(1, 2))
    middle, repeated = usual_step(steps), repeated_share(steps)
    _, light = roughness(grey.mean(axis=(1, 2))[:, None])
    if middle < DEAD_PICTURE:
        yield no_motion(clip.name, f"the pictures differ by {middle:.2f} grey levels")
    elif repeated > MAX_REPEATED_SHARE:
        rate_hz = FRAME_RATE_HZ * (1 - repeated)
        yield frame_rate_finding(
            clip.name, f"{100 * repeated:.0f} % of the frames repeat the previous one: about {rate_hz:.0f} per second"
        )
    elif light > ROUGH_LIGHT:
        yield flickering_light(clip.name, light)


def usual_step(steps: Float32Array) -> float:
    """Return the median difference of consecutive frames, without those that repeat the one before."""
    return float(np.median(steps[steps > REPEATED * np.median(steps)], keepdims=False)) if steps.any() else 0.0


def repeated_share(steps: Float32Array) -> float:
    """Return the share of frames that repeat the one before. steps: differences of consecutive frames."""
    return float((steps < REPEATED * usual_step(steps)).mean()) if len(steps) else 0.0


def repeated_finding(place: str, share: float) -> Finding:
    """Return the finding for a clip or video with repeated frames."""
    rate_hz = FRAME_RATE_HZ * (1 - share)
    return frame_rate_finding(
        place, f"{100 * share:.0f} % of the frames repeat the one before: about {rate_hz:.0f} per second"
    )


def roughness(track: Float32Array | Float64Array) -> tuple[float, float]:
    """Return the second difference of a track (T, D) relative to its spread, and itself (root mean square)."""
    exact: NDArray[Any] = np.asarray(track, np.float64)
    second = float(np.sqrt((np.diff(exact, n=2, axis=0) ** 2).mean(axis=0).sum()))
    spread = float(np.sqrt(exact.var(axis=0).sum()))
    return (second / spread if spread > 1e-9 else 0.0), second


def check_brightness(place: str, levels: Float32Array) -> list[Finding]:
    """Return the finding for a video, possibly with cuts, whose mean grey levels (T,) flicker."""
    second = np.sort(np.abs(np.diff(levels.astype(np.float64), n=2)))[: int(USUAL_SHARE * len(levels))]
    light = float(np.sqrt((second**2).mean())) if len(second) else 0.0
    return [flickering_light(place, light)] if light > ROUGH_LIGHT else []


def flickering_light(place: str, levels: float) -> Finding:
    """Return the finding for a clip or video whose brightness flickers."""
    return Finding(
        "flicker", "the brightness flickers from frame to frame",
        "remove the flicker from the original videos (ffmpeg -i ORIGINAL -vf deflicker=size=10 ...) and track them "
        "again, or remove these clips; a network trained on them lets the picture flicker",
        {place: f"brightness changes by {levels:.1f} grey levels from frame to frame"},
    )  # fmt: skip


def silent(place: str, measured: str) -> Finding:
    """Return the finding for a clip or video without a voice."""
    return Finding(
        "silent", "there is no sound, or hardly any",
        "remove these clips, or the videos that they are from: a network that sees moving lips without a voice learns "
        "to ignore the voice",
        {place: measured},
    )  # fmt: skip


def no_motion(place: str, measured: str) -> Finding:
    """Return the finding for a clip or video without motion."""
    return Finding(
        "no_motion", "there is a voice, but no motion",
        "remove these clips: still pictures with a voice-over, lost tracking or a broken export; a network trained on "
        "them learns to keep the face still",
        {place: measured},
    )  # fmt: skip


def flicker(place: str, measured: str) -> Finding:
    """Return the finding for a clip or video that flickers."""
    return Finding(
        "flicker", "the motion flickers from frame to frame",
        "track again from the original videos (larger faces, less compression, 25 frames per second), or remove these "
        "clips; a network trained on them trembles, or stays still to avoid it",
        {place: measured},
    )  # fmt: skip
