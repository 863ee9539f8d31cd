"""Synthetic pairs of prosody and head motion for training, from a parametric model without recordings of people.

The model follows published findings on head movement in conversation:

- Hadar, Steiner, Grant and Clifford Rose (1983), "Kinematics of head movements accompanying speech during
  conversation", and (1984), "The timing of shifts of head postures during conversation": movement is almost
  continuous in speech; it has slow (below 0.5 Hz), ordinary (up to about 1.6 Hz) and rapid movements; rapid ones occur
  on loud, stressed syllables, wide postural shifts where speech starts after a pause.
- Munhall, Jones, Callan, Kuratate and Vatikiotis-Bateson (2004), "Visual prosody and speech intelligibility": head
  motion follows pitch and loudness. Yehia, Kuratate and Vatikiotis-Bateson (2002), "Linking facial animation, head
  motion and speech acoustics": head motion predicts pitch better than pitch predicts head motion.
- Busso, Deng, Grimm, Neumann and Narayanan (2007), "Rigid head motion in expressive speech animation": a few degrees
  per axis, largest in pitch and yaw; Graf, Cosatto, Strom and Huang (2002), "Visual prosody": nods, some
  with an overshoot, on pitch accents; most power below 2 or 3 Hz.

Poses are relative to the source picture: they start at zero and stay near it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.audio.prosody import Prosody, emphasis_track, smooth
from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.training.starter.head_styles import HeadStyle

if TYPE_CHECKING:
    from numpy.random import Generator

    from sadtalker_ext.arrays import Float32Array, Float64Array

DESCRIPTION: Final = (
    "Synthetic: simulated prosody (phrases, syllables, accents) and a parametric model of head movement in "
    "conversation after Hadar et al. 1983/1984, Munhall et al. 2004, Yehia et al. 2002, Busso et al. 2007 and "
    "Graf et al. 2002; no recordings of people"
)
_SLOW_HZ: Final = 0.28
_ORDINARY_HZ: Final = (0.5, 1.6)
"""Bands of slow movement (from 0 Hz) and ordinary movement (Hadar et al. 1983)."""
_EASE_IN_S: Final = 1.6
"""The motion grows from zero to its full amplitude over this time."""
_ROTATION_LIMIT_DEG: Final = (9.0, 10.0, 8.0)
_TRANSLATION_LIMIT: Final = (0.06, 0.03, 0.07)
"""Soft limits (tanh) of pitch, yaw, roll and of x, y, z in face heights."""
_ROTATION_TO_X: Final = (0.08, 0.20)
"""Sideways translation in face heights per radian of yaw and of roll, as the head turns about the neck."""
_PITCH_TO_YZ: Final = 0.10
"""Translation in y and z, face heights per radian of pitch."""
_SWAY_SHIFT: Final = 0.4
"""Slow translation, as a share of the style's ``shift_height``."""
_MAX_SHIFT_SIGMAS: Final = 1.8
"""Posture shifts beyond this many standard deviations are clipped."""
_MIN_POSTURE_S: Final = 1.0
"""Shortest time between posture shifts."""
_NOISE_MARGIN_FRAMES: Final = 125
"""Cut from both ends of band-limited noise, whose ends the discrete Fourier transform joins."""

_MIN_NOD_EMPHASIS: Final = 0.15
_NOD_SIGMA_S: Final = 0.10
_NOD_LAG_S: Final = 0.04
"""The lowest point of a nod is this long after the peak of emphasis."""
_LIFT, _LIFT_LEAD_S, _LIFT_SIGMA_S = 0.3, 0.27, 0.12
"""Upward movement before a nod: share of its size, time before its lowest point, and width."""
_REBOUND, _REBOUND_LAG_S, _REBOUND_SIGMA_S = 0.15, 0.33, 0.14
"""Overshoot after a nod, in the same units."""
_NOD_FRAMES: Final = (25, 30)
"""Frames before and after the peak of emphasis that a nod affects."""


def simulate_prosody(frames: int, rng: Generator) -> Prosody:
    """Return random prosody of ``frames`` frames: phrases of syllables with accents and declination, and pauses."""
    energy, pitch_st, speech = (np.zeros(frames) for _ in range(3))
    starts, ends = [], []
    frame = int(FRAME_RATE_HZ * rng.exponential(0.3))
    tempo = float(rng.uniform(0.85, 1.2))
    while frame < frames:
        length = int(FRAME_RATE_HZ * np.clip(2.0 * np.exp(0.6 * rng.standard_normal()), 0.4, 7.0))
        end = min(frames, frame + length)
        energy[frame:end], pitch_st[frame:end] = _simulate_phrase(end - frame, tempo, rng)
        speech[frame:end] = 1.0
        starts.append(frame)
        ends.append(end)
        pause_s = rng.uniform(1.5, 5.0) if rng.random() < 0.08 else 0.5 * np.exp(0.5 * rng.standard_normal())
        frame = end + int(FRAME_RATE_HZ * max(0.3, pause_s))
    speech = np.clip(smooth(speech, 0.05), 0.0, 1.0)
    energy = energy * speech
    pitch_st = smooth(pitch_st, 0.05) * speech
    tracks = [part.astype(np.float32) for part in (energy, speech, pitch_st, emphasis_track(energy, pitch_st))]
    return Prosody(tracks[0], tracks[1], tracks[2], tracks[3], np.array(starts), np.array(ends))


def _simulate_phrase(
    frames: int, tempo: float, rng: Generator
) -> tuple[Float64Array, Float64Array]:
    """Return energy in [0, 1] and pitch in semitones of one phrase, each (frames,)."""
    times_s = np.arange(frames) / FRAME_RATE_HZ
    energy = np.zeros(frames)
    pitch_st = np.linspace(rng.uniform(1.0, 4.0), rng.uniform(-4.5, -0.5), frames)
    middle_s = 0.1
    until_accent = int(rng.integers(0, 3))
    while middle_s < times_s[-1] + 0.1:
        length_s = 0.18 / tempo * np.exp(0.3 * rng.standard_normal())
        accented = until_accent == 0
        until_accent = int(rng.integers(2, 6)) if accented else until_accent - 1
        height = np.clip(rng.normal(0.74, 0.15) + (0.22 if accented else 0.0), 0.2, 1.0)
        distance = np.abs(times_s - middle_s) / (0.5 * length_s * (1.3 if accented else 1.0))
        np.maximum(energy, height * np.exp(-1.0 * distance**3), out=energy)
        if accented:
            lift_st = rng.uniform(0.5, 6.0)
            pitch_st += lift_st * np.exp(-0.5 * ((times_s - middle_s) / 0.13) ** 2)
        middle_s += length_s * (1.25 if accented else 1.0)
    noise = 0.09 * rng.standard_normal(frames)
    return np.clip(energy + noise, 0.0, 1.0), np.clip(pitch_st, -12.0, 12.0)


def simulate_head_motion(prosody: Prosody, style: HeadStyle, rng: Generator) -> Float32Array:
    """Return random head motion (T, 6) of this style for this prosody, zero in the first frame.

    Columns: pitch, yaw, roll in radians and x, y, z in face heights, as in ``Motion``.
    """
    frames = len(prosody)
    talking = smooth(prosody.speech.astype(np.float64), 0.35)
    loud = smooth(prosody.energy.astype(np.float64), 0.3)
    posture = _simulate_postures(prosody, style, rng)
    rotation_deg = posture[:, :3]
    sway = _band_noise(frames, (0.0, _SLOW_HZ * style.tempo), 3, rng)
    rotation_deg += sway * style.sway_deg * (0.6 + 0.4 * talking[:, None])
    band_hz = (_ORDINARY_HZ[0] * style.tempo, _ORDINARY_HZ[1] * style.tempo)
    ordinary = _band_noise(frames, band_hz, 3, rng)
    rotation_deg += ordinary * style.ordinary_deg * (talking * (0.5 + loud))[:, None]
    rotation_deg[:, 0] -= style.follow_deg * smooth(prosody.pitch_st.astype(np.float64), 0.12)
    rotation_deg += _simulate_nods(prosody, style, rng)
    rotation_deg = _soft_limit(rotation_deg, _ROTATION_LIMIT_DEG)
    rotation = np.deg2rad(rotation_deg)
    translation = posture[:, 3:]
    translation += _SWAY_SHIFT * _band_noise(frames, (0.0, _SLOW_HZ * style.tempo), 3, rng) * style.shift_height
    pitch, yaw, roll = rotation.T
    translation[:, 0] += _ROTATION_TO_X[1] * roll + _ROTATION_TO_X[0] * yaw
    translation[:, 1] += _PITCH_TO_YZ * pitch
    translation[:, 2] += _PITCH_TO_YZ * pitch
    ease = _minimum_jerk(np.arange(frames) / FRAME_RATE_HZ / _EASE_IN_S)[:, None]
    pose = np.hstack([rotation, _soft_limit(translation, _TRANSLATION_LIMIT)]) * ease
    return np.asarray(pose, np.float32)


def _soft_limit(values: Float64Array, limits: tuple[float, float, float]) -> Float64Array:
    bound = np.asarray(limits)
    limited: Float64Array = bound * np.tanh(values / bound)
    return limited


def _minimum_jerk(progress: Float64Array) -> Float64Array:
    """Return the minimum-jerk curve from 0 to 1 for ``progress`` clipped to [0, 1] (Flash and Hogan 1985)."""
    x = np.clip(progress, 0.0, 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x**2)


def _band_noise(frames: int, band_hz: tuple[float, float], columns: int, rng: Generator) -> Float64Array:
    """Return noise (frames, columns) of unit variance in a frequency band with soft edges; low 0 is a low-pass."""
    padded = frames + 2 * _NOISE_MARGIN_FRAMES
    hz = np.fft.rfftfreq(padded, 1.0 / FRAME_RATE_HZ)
    low, high = band_hz
    gain = 1.0 / (1.0 + (hz / high) ** 6)
    if low > 0:
        gain *= (hz / low) ** 4 / (1.0 + (hz / low) ** 4)
    spectrum = np.fft.rfft(rng.standard_normal((padded, columns)), axis=0) * gain[:, None]
    track = np.fft.irfft(spectrum, padded, axis=0)
    expected = np.sqrt(2.0 * np.sum(gain**2) / padded)
    noise: Float64Array = track[_NOISE_MARGIN_FRAMES : _NOISE_MARGIN_FRAMES + frames] / expected
    return noise


def _simulate_postures(prosody: Prosody, style: HeadStyle, rng: Generator) -> Float64Array:
    """Return postures (T, 6) in degrees and face heights: constant, with shifts of about 1 s at phrase boundaries."""
    frames = len(prosody)
    centre = np.array([*style.posture_deg, *style.place_height])
    spread = np.array([*style.shift_deg, *style.shift_height])
    first = centre + 0.6 * spread * rng.standard_normal(6).clip(-_MAX_SHIFT_SIGMAS, _MAX_SHIFT_SIGMAS)
    track = np.tile(first, (frames, 1))
    boundaries = np.sort(np.concatenate([prosody.phrase_starts, prosody.phrase_ends]))
    last = 0
    for boundary in boundaries:
        held_s = (boundary - last) / FRAME_RATE_HZ
        target = centre + spread * rng.standard_normal(6).clip(-_MAX_SHIFT_SIGMAS, _MAX_SHIFT_SIGMAS)
        length_s, lag_s, draw = rng.uniform(0.7, 1.5), rng.normal(-0.1, 0.12), rng.random()
        if held_s < _MIN_POSTURE_S or draw > style.shift_chance * min(1.0, held_s / 3.0):
            continue
        begin_s = boundary / FRAME_RATE_HZ + lag_s
        change = _minimum_jerk((np.arange(frames) / FRAME_RATE_HZ - begin_s) / length_s)[:, None]
        current = track[min(frames - 1, int(boundary))].copy()
        track += change * (target - current)
        last = int(boundary)
    return track


def _simulate_nods(prosody: Prosody, style: HeadStyle, rng: Generator) -> Float64Array:
    """Return nods (T, 3) in degrees: a small lift, down on the emphasised syllable, and back."""
    track = np.zeros((len(prosody), 3))
    emphasis = prosody.emphasis
    inner = emphasis[1:-1]
    peaks = 1 + np.flatnonzero((inner > _MIN_NOD_EMPHASIS) & (inner >= emphasis[:-2]) & (inner > emphasis[2:]))
    times_s = np.arange(len(prosody)) / FRAME_RATE_HZ
    for peak in peaks:
        size = style.nod_deg * float(emphasis[peak]) * np.exp(0.25 * rng.standard_normal())
        sideways = rng.normal(0.0, (0.15, 0.12), 2)
        lag_s, draw = rng.normal(_NOD_LAG_S, 0.025), rng.random()
        if draw > style.nod_chance * min(1.0, 0.4 + float(emphasis[peak])):
            continue
        near = slice(max(0, peak - _NOD_FRAMES[0]), peak + _NOD_FRAMES[1])
        since_s = times_s[near] - peak / FRAME_RATE_HZ - lag_s
        down = np.exp(-0.5 * (since_s / _NOD_SIGMA_S) ** 2)
        lift = _LIFT * np.exp(-0.5 * ((since_s + _LIFT_LEAD_S) / _LIFT_SIGMA_S) ** 2)
        rebound = _REBOUND * np.exp(-0.5 * ((since_s - _REBOUND_LAG_S) / _REBOUND_SIGMA_S) ** 2)
        track[near] += size * (down - lift - rebound)[:, None] * np.array([1.0, *sideways])
    return track
