from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def make_sound(tmp_path: Path) -> Callable[..., Path]:
    """A sound file of tones in ``tmp_path``: one tone for each channel, 0.2 high."""

    def make(name: str, seconds: float, rate_hz: int = 16000, channels: int = 1) -> Path:
        times_s = np.arange(round(seconds * rate_hz)) / rate_hz
        tones = [0.2 * np.sin(2 * np.pi * 220 * (1 + channel) * times_s) for channel in range(channels)]
        soundfile.write(tmp_path / name, np.stack(tones, axis=1), rate_hz)
        return tmp_path / name

    return make
