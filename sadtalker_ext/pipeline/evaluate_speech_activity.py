"""Stretches of speech in a voice, found by Silero VAD.

The wheel of the package silero-vad contains the network as a TorchScript file. Only this file is used: the package
itself is not imported, so its dependencies (torchaudio, onnxruntime) are not needed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.errors import MissingPackageError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.jit import ScriptModule

    from sadtalker_ext.audio.speech import Speech

PACKAGE: Final = "silero-vad==5.1.2"
MODEL: Final = Path("data", "silero_vad.jit")
"""The network within the package."""
WINDOW: Final = 512
"""Samples that the network reads at once."""
SPEECH_FROM: Final = 0.5
SPEECH_UNTIL: Final = 0.35
"""Probability at which a stretch begins, and below which it may end."""
MIN_PAUSE: Final = SAMPLE_RATE_HZ * 100 // 1000
MIN_SPEECH: Final = SAMPLE_RATE_HZ * 250 // 1000
PAD: Final = SAMPLE_RATE_HZ * 30 // 1000
"""Samples of the shortest pause and stretch of speech, and of what is added to both ends of a stretch.

All are the defaults of the package's function get_speech_timestamps.
"""
DECIMALS: Final = 1
"""Decimals to which that function rounds seconds."""


def speech_stretches(speech: Speech) -> list[tuple[float, float]]:
    """Return start and end of each stretch of speech in seconds, rounded to tenths.

    Raises MissingPackageError without the package silero-vad.
    """
    stretches = find_stretches(speech_probabilities(speech, open_network()), speech.sample_count)
    return [
        (round(start / SAMPLE_RATE_HZ, DECIMALS), round(end / SAMPLE_RATE_HZ, DECIMALS)) for start, end in stretches
    ]


def is_installed() -> bool:
    """Whether the package silero-vad is installed."""
    return find_spec("silero_vad") is not None


def open_network() -> ScriptModule:
    """Return the network of the installed package silero-vad."""
    import torch

    spec = find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise MissingPackageError(
            "The measurement of lips in silence needs the package silero-vad, which is not installed; run: "
            f"pip install --no-deps {PACKAGE}"
        )
    path = Path(spec.origin).parent / MODEL
    try:
        network: ScriptModule = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise WeightsError(
            f"{path} is not the network of Silero VAD ({str(error).splitlines()[0]}); run: "
            f"pip install --no-deps --force-reinstall {PACKAGE}"
        ) from error
    return network.eval()


def speech_probabilities(speech: Speech, network: ScriptModule) -> list[float]:
    """Return the probability of speech in each window of 32 ms; the last one is filled up with silence."""
    import torch

    network.reset_states()
    probabilities = []
    rest = np.zeros(0, np.float32)
    with torch.inference_mode():
        for block in speech.blocks():
            samples = np.concatenate([rest, block])
            whole = len(samples) // WINDOW * WINDOW
            rest = samples[whole:]
            windows = torch.from_numpy(samples[:whole].reshape(-1, WINDOW).copy())
            probabilities += [float(network(window, SAMPLE_RATE_HZ)) for window in windows]
        if len(rest):
            last = torch.from_numpy(np.pad(rest, (0, WINDOW - len(rest))))
            probabilities.append(float(network(last, SAMPLE_RATE_HZ)))
    return probabilities


def find_stretches(probabilities: Sequence[float], sample_count: int) -> list[tuple[int, int]]:
    """Return first and last sample of each stretch of speech.

    A stretch begins with a probable window and ends where a pause begins: windows below the lower threshold, with no
    probable one among them, for at least 100 ms. Short stretches are dropped, the others padded.
    """
    found: list[tuple[int, int]] = []
    start, pause = -1, -1
    for number, probability in enumerate(probabilities):
        at = number * WINDOW
        if probability >= SPEECH_FROM:
            start, pause = (at if start < 0 else start), -1
        elif probability < SPEECH_UNTIL and start >= 0:
            pause = at if pause < 0 else pause
            if at - pause >= MIN_PAUSE:
                found.append((start, pause))
                start, pause = -1, -1
    if start >= 0:
        found.append((start, sample_count))
    return _pad([(first, last) for first, last in found if last - first > MIN_SPEECH], sample_count)


def _pad(stretches: list[tuple[int, int]], sample_count: int) -> list[tuple[int, int]]:
    """Return the stretches widened by :data:`PAD`, or by half of the pause between them if it is shorter."""
    starts, ends = [start for start, _ in stretches], [end for _, end in stretches]
    if stretches:
        starts[0] = max(0, starts[0] - PAD)
        ends[-1] = min(sample_count, ends[-1] + PAD)
    for number in range(len(stretches) - 1):
        pause = starts[number + 1] - ends[number]
        widened = pause // 2 if pause < 2 * PAD else PAD
        ends[number] += widened
        starts[number + 1] -= widened
    return list(zip(starts, ends, strict=True))
