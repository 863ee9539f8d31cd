"""Head motion styles of the starter engine, as parameters of the synthetic head motion.

Angles are standard deviations in degrees unless noted, in the order pitch, yaw, roll. Translations are in face heights,
in the order x, y, z. Styles differ in amplitude, tempo, posture and in their response to the speech.
"""

from __future__ import annotations

from typing import Final, NamedTuple

Triple = tuple[float, float, float]


class HeadStyle(NamedTuple):
    """Head movement of one style during speech.

    sway_deg: slow movement below 0.5 Hz, in speech and silence.
    ordinary_deg: movement of 0.5 to 1.6 Hz during speech.
    nod_deg, nod_chance: peak angle of a nod on a fully emphasised syllable, and the probability of a nod.
    follow_deg: upward head pitch per semitone of voice pitch.
    shift_deg, shift_chance: standard deviation of posture shifts at phrase boundaries, and their probability.
    posture_deg: mean posture.
    shift_height: standard deviation (x, y, z) of the translation of posture shifts, face heights.
    place_height: mean translation, face heights; z towards the camera.
    tempo: factor on all frequencies of sway and ordinary movement.
    """

    sway_deg: Triple
    ordinary_deg: Triple
    nod_deg: float
    nod_chance: float
    follow_deg: float
    shift_deg: Triple
    shift_chance: float
    posture_deg: Triple = (0.0, 0.0, 0.0)
    shift_height: Triple = (0.012, 0.005, 0.012)
    place_height: Triple = (0.0, 0.0, 0.0)
    tempo: float = 1.0


HEAD_STYLES: Final[dict[str, HeadStyle]] = {
    "natural": HeadStyle((1.3, 1.6, 1.0), (1.0, 1.1, 0.7), 4.0, 0.75, 0.26, (1.6, 2.8, 1.4), 0.55),
    "calm": HeadStyle(
        (0.9, 1.1, 0.7), (0.3, 0.35, 0.25), 1.6, 0.4, 0.12, (0.8, 1.4, 0.8), 0.3, shift_height=(0.008, 0.003, 0.008),
        tempo=0.7,
    ),
    "lively": HeadStyle(
        (1.1, 1.5, 1.1), (1.3, 1.5, 1.0), 4.8, 0.9, 0.30, (1.5, 2.8, 1.8), 0.8, shift_height=(0.018, 0.007, 0.018),
        tempo=1.3,
    ),
    "nodding": HeadStyle((0.7, 0.6, 0.4), (0.9, 0.3, 0.2), 6.5, 1.0, 0.25, (0.8, 0.8, 0.5), 0.3),
    "swaying": HeadStyle(
        (0.6, 2.2, 2.2), (0.3, 0.5, 0.4), 1.4, 0.3, 0.10, (0.6, 1.4, 1.2), 0.3, shift_height=(0.026, 0.004, 0.010),
        tempo=1.1,
    ),
    "attentive": HeadStyle(
        (0.8, 0.9, 0.7), (0.5, 0.5, 0.4), 3.0, 0.7, 0.24, (0.8, 1.1, 1.0), 0.3, posture_deg=(-0.5, 0.5, 3.8),
        place_height=(0.0, 0.0, 0.025),
    ),
    "thoughtful": HeadStyle(
        (1.0, 1.1, 0.8), (0.3, 0.4, 0.3), 1.6, 0.35, 0.10, (1.8, 3.2, 1.6), 0.7, posture_deg=(-1.5, 2.5, -1.5),
        tempo=0.7,
    ),
    "newsreader": HeadStyle(
        (0.5, 0.5, 0.3), (0.6, 0.4, 0.3), 3.8, 0.9, 0.15, (0.5, 0.7, 0.4), 0.25, shift_height=(0.004, 0.002, 0.006),
        tempo=1.1,
    ),
    "storyteller": HeadStyle(
        (1.2, 1.5, 1.3), (0.9, 1.0, 0.8), 4.2, 0.8, 0.35, (2.0, 3.4, 2.6), 0.9, shift_height=(0.020, 0.008, 0.030),
    ),
    "shy": HeadStyle(
        (0.9, 1.0, 0.7), (0.45, 0.45, 0.35), 2.2, 0.45, 0.15, (1.2, 1.7, 1.1), 0.4, posture_deg=(4.2, -2.5, 1.8),
        place_height=(0.0, 0.008, -0.015), tempo=0.85,
    ),
    "confident": HeadStyle(
        (0.6, 1.2, 0.5), (0.4, 0.7, 0.3), 3.8, 0.6, 0.15, (0.9, 2.8, 0.7), 0.7, posture_deg=(-3.0, 0.0, 0.0),
        tempo=0.85,
    ),
    "cheerful": HeadStyle(
        (0.7, 0.9, 1.2), (0.8, 0.9, 1.7), 3.0, 0.8, 0.30, (1.0, 1.6, 2.2), 0.7, posture_deg=(-1.0, 0.0, 0.0),
        shift_height=(0.018, 0.008, 0.012), tempo=1.35,
    ),
}
