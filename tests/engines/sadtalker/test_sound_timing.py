"""Which samples affect which frame in the official networks: official windows, no lag, no motion in silence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import SmallNetworks
from test_sadtalker_engine import portrait

from sadtalker_ext.audio.mel import mel_spectrogram
from sadtalker_ext.audio.speech import Speech, silence
from sadtalker_ext.audio.windows import IDLE_MEL, mel_windows
from sadtalker_ext.engines.protocol import MotionStyle
from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.runtime import Runtime

FRAME_SAMPLES, HOP, HALF_WINDOW = 640, 200, 400
"""25 frames a second at 16 kHz; the official STFT has centred windows of 800 samples, every 200."""
CLOSES_WITHIN_S = 0.16
"""A window reaches 0.13 s beyond its own frame to both sides, and the last column half an STFT window further."""


class Recording(Speech):
    """Speech of given samples without a file."""

    def __init__(self, samples, block=16_000):
        super().__init__(Path("voice.wav"), len(samples))
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "block", block)

    def blocks(self, seconds=20.0, overlap_s=0.0):
        yield from (self.samples[start : start + self.block] for start in range(0, len(self.samples), self.block))


@pytest.fixture(scope="module")
def networks():
    return SmallNetworks()


@pytest.fixture
def open_seeded(monkeypatch, networks):
    """Open the engine with the published architecture of ExpNet and PoseVAE and seeded weights."""
    mapping = torch.nn.Identity()
    return lambda **options: SadTalkerEngine(
        Runtime(device="cpu"), SadTalkerOptions(**options), (networks.of_size(256), mapping)
    )


def official_samples(frame):
    """First sample and the one after the last that affect frame ``frame``, from the facts about the official code."""
    start = int(80 * ((frame - 2) / 25))
    return start * HOP - HALF_WINDOW, (start + 15) * HOP + HALF_WINDOW


def expression(engine, samples, **style):
    source = engine.read_face(portrait())
    return engine.predict_motion(Recording(samples), source, MotionStyle(blink=0.0, **style)).expression


def changed(a, b):
    return set(np.flatnonzero(np.abs(a - b).max(axis=1) > 1e-5).tolist())


@pytest.mark.parametrize("at", [6_130, 10_290])
def test_a_click_reaches_exactly_the_frames_of_the_official_windows(open_seeded, at):
    engine, quiet = open_seeded(), np.zeros(28 * FRAME_SAMPLES, np.float32)
    click = quiet.copy()
    click[at] = 1.0
    expected = {frame for frame in range(28) if official_samples(frame)[0] < at < official_samples(frame)[1]}
    assert changed(expression(engine, click), expression(engine, quiet)) == expected
    middle = np.mean(sorted(expected))
    assert abs(middle * FRAME_SAMPLES - at) < 0.04 * 16_000, "the mouth reacts within 40 ms, neither late nor early"


def test_windows_are_centred_on_their_frames_at_any_time():
    """Truncation may shift a window by a column, 12.5 ms, but never accumulates."""
    frames = np.array([2, 3, 4, 99, 1_000, 89_999])
    centres = np.array([np.mean(official_samples(int(frame))) for frame in frames])
    assert np.abs(centres / 16_000 - frames / 25).max() <= 0.02
    ramp = np.tile(np.arange(400, dtype=np.float32), (80, 1))
    heard = mel_windows(ramp, [2, 3, 4, 99])[:, 0, 0].mean(axis=1) * HOP
    np.testing.assert_allclose(heard, centres[:4])


def voiced(frames, seed=0):
    random = np.random.default_rng(seed)
    return (0.2 * random.standard_normal(frames * FRAME_SAMPLES)).astype(np.float32)


@pytest.mark.parametrize("parity", [False, True])
def test_mouth_has_the_shape_of_silence_as_soon_as_the_voice_pauses(open_seeded, parity):
    engine = open_seeded(parity=parity)
    pause = np.zeros(16 * FRAME_SAMPLES, np.float32)
    heard = expression(engine, np.concatenate([voiced(8), pause, voiced(8, 1)]))
    rest = expression(engine, np.zeros(32 * FRAME_SAMPLES, np.float32))
    assert np.ptp(rest, axis=0).max() < 1e-5, "in silence, the mouth stays still"
    margin = round(CLOSES_WITHIN_S * 25)
    np.testing.assert_allclose(heard[8 + margin : 24 - margin], rest[8 + margin : 24 - margin], atol=1e-5)
    assert changed(heard, rest) >= set(range(8)) | set(range(24, 32))


def test_only_parity_treats_the_idle_mode_as_sound(open_seeded):
    """The official idle mode feeds 0, a medium level, to the networks; silence is -4 in their spectrogram."""
    assert IDLE_MEL == 0.0
    assert mel_spectrogram(np.zeros(6400, np.float32)).max() == -4.0
    ours, official = open_seeded(), open_seeded(parity=True)
    digital = expression(ours, np.zeros(10 * FRAME_SAMPLES, np.float32))
    idle = [e.predict_motion(silence(0.4), e.read_face(portrait()), MotionStyle(blink=0.0)) for e in (ours, official)]
    np.testing.assert_allclose(idle[0].expression, digital, atol=1e-6)
    assert len(changed(idle[1].expression, digital)) == 10


def test_blocks_of_the_recording_do_not_move_the_mouth(open_seeded):
    engine, samples = open_seeded(), voiced(36)
    source = engine.read_face(portrait())
    recordings = [Recording(samples, size) for size in (len(samples), 777)]
    whole, parts = (engine.predict_motion(one, source, MotionStyle()).expression for one in recordings)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
