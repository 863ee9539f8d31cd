from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def make_audio(tmp_path: Path) -> Callable[..., Path]:
    """Write an audio file with one tone of amplitude 0.2 per channel in ``tmp_path``."""

    def make(name: str, seconds: float, rate_hz: int = 16000, channels: int = 1) -> Path:
        times_s = np.arange(round(seconds * rate_hz)) / rate_hz
        tones = [0.2 * np.sin(2 * np.pi * 220 * (1 + channel) * times_s) for channel in range(channels)]
        soundfile.write(tmp_path / name, np.stack(tones, axis=1), rate_hz)
        return tmp_path / name

    return make
