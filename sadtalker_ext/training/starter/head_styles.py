"""The styles of head movement that the starter engine offers, as figures of the synthetic head.

Degrees are standard deviations unless said otherwise; the order is pitch, yaw, roll. Translations are in units of
the face height, order x, y, z. Styles differ in amount, tempo, posture and in what they answer to in the speech.
"""

from __future__ import annotations

from typing import Final, NamedTuple

Triple = tuple[float, float, float]


class HeadStyle(NamedTuple):
    """How one kind of person moves the head while speaking.

    sway_deg: slow movement below 0.5 Hz, in speech and silence.
    ordinary_deg: movement of 0.5 to 1.6 Hz while speaking.
    nod_deg, nod_chance: size of a beat on a fully emphasised syllable (peak) and how surely one comes.
    follow_deg: by how much the chin lifts per semitone of pitch.
    shift_deg, shift_chance: spread of the postures taken at phrase boundaries, and how often one is taken.
    posture_deg: the posture around which everything moves.
    shift_height: spread (x, y, z) of the places taken with the postures, face heights.
    place_height: the place around which everything moves, face heights; z towards the camera.
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
