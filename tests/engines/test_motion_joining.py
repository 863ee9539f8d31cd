"""Motion of sections is continued without jumps."""

import numpy as np
import pytest

from sadtalker_ext.engines.motion_joining import EXPRESSION_S, POSE_S, continue_motion, join, section_style
from sadtalker_ext.engines.protocol import MotionStyle
from sadtalker_ext.geometry.motion import Motion

RATE_HZ = 25.0


def moving(phase, frames=100):
    """Motion on sine curves, which moves at its first and at its last frame."""
    t = np.arange(frames)[:, None] / RATE_HZ + phase + np.arange(3.0)
    parts = np.sin(0.9 * t) ** 2, 0.1 * np.sin(t), 0.05 * np.cos(t)
    return Motion(*(part.astype(np.float32) for part in parts))


def test_position_and_speed_go_on():
    before, after = moving(0.3), moving(2.0)
    joined = join([before, continue_motion(after, before[-2:], RATE_HZ)])
    assert len(joined) == 200
    for name in ("rotation", "translation"):
        jump = np.abs(getattr(after, name)[0] - getattr(before, name)[-1]).max()
        assert np.abs(np.diff(getattr(joined, name)[97:104], n=2, axis=0)).max() < 0.02 * jump
    steps = np.abs(np.diff(joined.expression[96:104], axis=0))
    assert steps.max() < 0.3 * np.abs(before.expression[-1] - after.expression[0]).max()


def test_a_section_is_itself_after_the_join():
    before, after = moving(0.3), moving(2.0)
    joined = continue_motion(after, before, RATE_HZ)
    pose, face = int(POSE_S * RATE_HZ), round(EXPRESSION_S * RATE_HZ) + 1
    assert np.array_equal(joined.rotation[pose:], after.rotation[pose:])
    assert np.array_equal(joined.translation[pose:], after.translation[pose:])
    assert np.array_equal(joined.expression[face:], after.expression[face:])


def test_the_first_section_and_equal_motion_stay():
    whole = moving(0.3, 150)
    assert continue_motion(whole, None, RATE_HZ) is whole
    joined = join([whole[:70], continue_motion(whole[70:], whole[:70], RATE_HZ)])
    assert np.abs(joined.rotation - whole.rotation).max() < 2e-3
    assert np.abs(joined.expression - whole.expression).max() < 0.04


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_motion_is_joined(frames):
    joined = continue_motion(moving(2.0, frames), moving(0.3, 1), RATE_HZ)
    assert len(joined) == frames
    assert np.isfinite(joined.rotation).all()


def test_each_section_has_its_own_seed():
    style = MotionStyle(seed=7)
    assert section_style(style, 0) == style
    seeds = [section_style(style, number).seed for number in range(50)]
    assert len(set(seeds)) == 50
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seeds == [section_style(style, number).seed for number in range(50)]
