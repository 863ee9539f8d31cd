"""Pairs of prosody and head motion to train on. Both are synthetic: a model of people, not a recording of them.

What is known of heads in conversation and built in here:

- Hadar, Steiner, Grant and Clifford Rose (1983), "Kinematics of head movements accompanying speech during
  conversation", and (1984), "The timing of shifts of head postures during conversation": movement is almost
  continuous in speech; slow (below 0.5 Hz), ordinary (up to about 1.6 Hz) and rapid movements; rapid ones on loud,
  stressed syllables; wide postural shifts where speech starts after a pause.
- Munhall, Jones, Callan, Kuratate and Vatikiotis-Bateson (2004), "Visual prosody and speech intelligibility": head
  motion follows pitch and loudness. Yehia, Kuratate and Vatikiotis-Bateson (2002), "Linking facial animation, head
  motion and speech acoustics": pitch can be estimated from head motion, more than the other way round.
- Busso, Deng, Grimm, Neumann and Narayanan (2007), "Rigid head motion in expressive speech animation": a few degrees
  per axis, largest in pitch and yaw; Graf, Cosatto, Strom and Huang (2002), "Visual prosody": nods and
  nods with an overshoot on pitch accents, and most power below 2 or 3 Hz.

Poses start at zero, in the pose of the source picture, and stay around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.audio.prosody import FRAME_RATE_HZ, Prosody, emphasis_track, smooth
from sadtalker_ext.training.starter.head_styles import HeadStyle

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

DESCRIPTION = (
    "Synthetic: simulated prosody (phrases, syllables, accents) and a parametric model of head movement in "
    "conversation after Hadar et al. 1983/1984, Munhall et al. 2004, Yehia et al. 2002, Busso et al. 2007 and "
    "Graf et al. 2002; no recording of any person"
)
SLOW_HZ = 0.28
ORDINARY_HZ = (0.5, 1.6)
BEAT_WIDTH_S = 0.10
BEAT_LAG_S = 0.04
EASE_IN_S = 1.6
ROTATION_LIMIT_DEG = (9.0, 10.0, 8.0)
TRANSLATION_LIMIT = (0.06, 0.03, 0.07)
"""Face heights."""


def simulate_prosody(frames: int, rng: Generator) -> Prosody:
    """Prosody of a person who talks for ``frames`` frames: phrases of syllables, accents, declination, pauses."""
    energy, pitch_st, speech = (np.zeros(frames) for _ in range(3))
    starts, ends = [], []
    frame = int(FRAME_RATE_HZ * rng.exponential(0.3))
    brisk = float(rng.uniform(0.85, 1.2))
    while frame < frames:
        length = int(FRAME_RATE_HZ * np.clip(2.0 * np.exp(0.6 * rng.standard_normal()), 0.4, 7.0))
        end = min(frames, frame + length)
        energy[frame:end], pitch_st[frame:end] = _simulate_phrase(end - frame, brisk, rng)
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
    frames: int, brisk: float, rng: Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy in [0, 1] and pitch in semitones of one phrase, each (frames,)."""
    times_s = np.arange(frames) / FRAME_RATE_HZ
    energy = np.zeros(frames)
    pitch_st = np.linspace(rng.uniform(1.0, 4.0), rng.uniform(-4.5, -0.5), frames)
    middle_s = 0.1
    until_accent = int(rng.integers(0, 3))
    while middle_s < times_s[-1] + 0.1:
        length_s = 0.18 / brisk * np.exp(0.3 * rng.standard_normal())
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


def move_head(prosody: Prosody, style: HeadStyle, rng: Generator) -> NDArray[np.float32]:
    """One way a person of this style may move to this prosody, (T, 6) float32, zero at the first frame.

    Columns: pitch, yaw, roll in radians and x, y, z in face heights, as in ``Motion``.
    """
    frames = len(prosody)
    talking = smooth(prosody.speech.astype(np.float64), 0.35)
    loud = smooth(prosody.energy.astype(np.float64), 0.3)
    posture = _postures(prosody, style, rng)
    rotation_deg = posture[:, :3]
    sway = _noise(frames, (0.0, SLOW_HZ * style.tempo), 3, rng)
    rotation_deg += sway * style.sway_deg * (0.6 + 0.4 * talking[:, None])
    band = (ORDINARY_HZ[0] * style.tempo, ORDINARY_HZ[1] * style.tempo)
    ordinary = _noise(frames, band, 3, rng)
    rotation_deg += ordinary * style.ordinary_deg * (talking * (0.5 + loud))[:, None]
    rotation_deg[:, 0] -= style.follow_deg * smooth(prosody.pitch_st.astype(np.float64), 0.12)
    rotation_deg += _beats(prosody, style, rng)
    rotation_deg = _limit(rotation_deg, ROTATION_LIMIT_DEG)
    rotation = np.deg2rad(rotation_deg)
    place = posture[:, 3:]
    place += 0.4 * _noise(frames, (0.0, SLOW_HZ * style.tempo), 3, rng) * style.shift_height
    place[:, 0] += 0.20 * rotation[:, 2] + 0.08 * rotation[:, 1]
    place[:, 1] += 0.10 * rotation[:, 0]
    place[:, 2] += 0.10 * rotation[:, 0]
    ease = _glide(np.arange(frames) / FRAME_RATE_HZ / EASE_IN_S)[:, None]
    pose: NDArray[np.float32] = (np.hstack([rotation, _limit(place, TRANSLATION_LIMIT)]) * ease).astype(np.float32)
    return pose


def _limit(values: NDArray[np.float64], limits: tuple[float, float, float]) -> NDArray[np.float64]:
    bound = np.asarray(limits)
    limited: NDArray[np.float64] = bound * np.tanh(values / bound)
    return limited


def _glide(progress: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to 1 with least jerk (Flash and Hogan 1985)."""
    inside = np.clip(progress, 0.0, 1.0)
    return inside**3 * (10.0 - 15.0 * inside + 6.0 * inside**2)


def _noise(frames: int, band_hz: tuple[float, float], columns: int, rng: Generator) -> NDArray[np.float64]:
    """Smooth noise of unit variance (frames, columns) with its power in a band, rolling off beyond it."""
    padded = frames + 250
    hz = np.fft.rfftfreq(padded, 1.0 / FRAME_RATE_HZ)
    low, high = band_hz
    gain = 1.0 / (1.0 + (hz / high) ** 6)
    if low > 0:
        gain *= (hz / low) ** 4 / (1.0 + (hz / low) ** 4)
    spectrum = np.fft.rfft(rng.standard_normal((padded, columns)), axis=0) * gain[:, None]
    track = np.fft.irfft(spectrum, padded, axis=0)
    expected = np.sqrt(2.0 * np.sum(gain**2) / padded)
    noise: NDArray[np.float64] = track[125 : 125 + frames] / expected
    return noise


def _postures(prosody: Prosody, style: HeadStyle, rng: Generator) -> NDArray[np.float64]:
    """Posture (T, 6), degrees and face heights: held, and exchanged in about a second at phrase boundaries."""
    frames = len(prosody)
    centre = np.array([*style.posture_deg, *style.place_height])
    spread = np.array([*style.shift_deg, *style.shift_height])
    track = np.tile(centre + 0.6 * spread * rng.standard_normal(6).clip(-1.8, 1.8), (frames, 1))
    boundaries = np.sort(np.concatenate([prosody.phrase_starts, prosody.phrase_ends]))
    last = 0
    for boundary in boundaries:
        waited_s = (boundary - last) / FRAME_RATE_HZ
        target = centre + spread * rng.standard_normal(6).clip(-1.8, 1.8)
        length_s, lag_s, draw = rng.uniform(0.7, 1.5), rng.normal(-0.1, 0.12), rng.random()
        if waited_s < 1.0 or draw > style.shift_chance * min(1.0, waited_s / 3.0):
            continue
        begin_s = boundary / FRAME_RATE_HZ + lag_s
        change = _glide((np.arange(frames) / FRAME_RATE_HZ - begin_s) / length_s)[:, None]
        held = track[min(frames - 1, int(boundary))].copy()
        track += change * (target - held)
        last = int(boundary)
    return track


def _beats(prosody: Prosody, style: HeadStyle, rng: Generator) -> NDArray[np.float64]:
    """Nods (T, 3) in degrees: a small lift, down on the emphasised syllable, and back."""
    track = np.zeros((len(prosody), 3))
    emphasis = prosody.emphasis
    inner = emphasis[1:-1]
    peaks = 1 + np.flatnonzero((inner > 0.15) & (inner >= emphasis[:-2]) & (inner > emphasis[2:]))
    times_s = np.arange(len(prosody)) / FRAME_RATE_HZ
    for peak in peaks:
        size = style.nod_deg * float(emphasis[peak]) * np.exp(0.25 * rng.standard_normal())
        aside = rng.normal(0.0, (0.15, 0.12), 2)
        lag_s, draw = rng.normal(BEAT_LAG_S, 0.025), rng.random()
        if draw > style.nod_chance * min(1.0, 0.4 + float(emphasis[peak])):
            continue
        near = slice(max(0, peak - 25), peak + 30)
        since_s = times_s[near] - peak / FRAME_RATE_HZ - lag_s
        down = np.exp(-0.5 * (since_s / BEAT_WIDTH_S) ** 2)
        lift = 0.3 * np.exp(-0.5 * ((since_s + 0.27) / 0.12) ** 2)
        after = 0.15 * np.exp(-0.5 * ((since_s - 0.33) / 0.14) ** 2)
        track[near] += size * (down - lift - after)[:, None] * np.array([1.0, *aside])
    return track
