"""Recipe of VoiceDetector: recordings of voices, varied, against synthetic sounds of many kinds.

Every fifth voice and every fifth kind of sound is left out of a first fit, on which the report is measured; the
weights are then fitted to all of them.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from sadtalker_ext.audio.speech import open_speech
from sadtalker_ext.constants import SAMPLE_RATE_HZ
from sadtalker_ext.engines.starter.lip_curves import FRAME_SAMPLES, stream_features
from sadtalker_ext.engines.starter.mouth_motion import OPENING_REACH, voice_gate
from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.models.voice_detector import VoiceDetector, VoiceDetectorConfig
from sadtalker_ext.system.path_problems import make_folder, require_folder
from sadtalker_ext.training.core.json_files import write_json
from sadtalker_ext.training.corpus.signals_and_vowels import reverberate
from sadtalker_ext.training.corpus.voice_variants import VARIANTS
from sadtalker_ext.training.corpus.voiceless_sounds import SOUNDS, make_sound
from sadtalker_ext.weights.speech_encoder import load_speech_encoder
from sadtalker_ext.weights.starter import save_voice_detector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Samples
    from sadtalker_ext.models.speech_encoder import SpeechEncoder

    Random = np.random.Generator

WEIGHTS_FILE: Final = "voice_detector.safetensors"
REPORT_FILE: Final = "report.json"
VOICE_S: Final = 14.0
"""Seconds that are read of a recording."""
SOUND_S: Final = 12.0
"""Length of a sound without a voice."""
VOICE_DB, NEAR_VOICE_DB = -25.0, -20.0
"""Level relative to the loud frames of a voice from which a frame is one of a voice: alone, and over other sounds."""
PAUSE_S: Final = (1.5, 4.0)
"""Length of the pauses of a voice over other sounds."""
PAUSE_MARGIN: Final = 15
"""Frames around a voice that count neither as a voice nor as a pause."""
SNR_DB: Final = (0.0, 25.0)
"""Range of the level of a voice above that of the sound behind it."""
PEAK: Final = (0.1, 0.9)
"""Range of the peak of all examples."""
FRAME_STEP: Final = 3
"""Every third frame is learned; neighbours are nearly equal."""
PENALTY: Final = 0.03
"""Weight of the squared coefficients; with 0.001, the errors on left-out kinds of sounds were five times as many."""
HARD_SOUNDS: Final = (
    "alarm", "sirens", "horn sirens", "theremin", "whistled tunes", "barks", "long calls", "grunts",
    "harmonic alarms", "harmonic sirens", "motor horns", "synthesisers", "calls with formants",
)  # fmt: skip
HARD_FACTOR: Final = 3
"""Kinds of sounds that are most like a voice and differ most from example to example, and how many times as many
examples they have."""
HALF_OPEN: Final = 0.5
"""Value of the engine's gate from which the mouth counts as open in the report."""
REVERBERANT: Final = 0.4
"""Share of the sounds without a voice that reverberate."""
LEFT_OUT: Final = 5
SOUND_ENDINGS: Final = (".flac", ".wav", ".mp3", ".ogg", ".opus", ".m4a")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class VoiceDetectorPlan:
    """Amounts of data. variants: of each recording, alone. over_sounds: of each, over a sound with pauses.

    examples: of each kind of sound, more of :data:`HARD_SOUNDS`. kinds: of sounds.
    """

    variants: int = 2
    over_sounds: int = 1
    examples: int = 5
    kinds: tuple[str, ...] = tuple(SOUNDS)


class Example(NamedTuple):
    """Features (T, D) and labels (T,): 1 voice, 0 none, -1 not to be learned."""

    features: Float32Array
    labels: NDArray[np.int8]


def train_voice_detector(
    recordings: Sequence[Path], folder: Path, plan: VoiceDetectorPlan | None = None, commit: str = "unknown"
) -> Path:
    """Fit VoiceDetector to the voices of the recordings; return the path of the weights in ``folder``.

    SettingsError if there are fewer than :data:`LEFT_OUT` recordings.
    """
    if len(recordings) < LEFT_OUT:
        raise SettingsError(f"There are {len(recordings)} recordings of voices; use {LEFT_OUT} or more")
    make_folder(folder)
    plan, config, random = plan or VoiceDetectorPlan(), VoiceDetectorConfig(), np.random.default_rng(0)
    maker = ExampleMaker(load_speech_encoder(), config, random)
    voices = {path: _read(path) for path in recordings}
    kept_kinds = [kind for number, kind in enumerate(plan.kinds) if number % LEFT_OUT or len(plan.kinds) < LEFT_OUT]
    spare_kinds = [kind for kind in plan.kinds if kind not in kept_kinds] or list(plan.kinds)
    learned = [voices[path] for number, path in enumerate(recordings) if number % LEFT_OUT]
    spare = [voices[path] for number, path in enumerate(recordings) if number % LEFT_OUT == 0]
    train, test = (
        list(maker.make(samples, kinds, plan)) for samples, kinds in ((learned, kept_kinds), (spare, spare_kinds))
    )
    report = {"left_out": spare_kinds, **_measure(fit(train, config), test), "recordings": len(recordings)}
    network = fit([*train, *test], config)
    write_json(folder / REPORT_FILE, report)
    data = (
        f"{len(recordings)} recordings of voices, each as recorded, varied and over another sound; {len(plan.kinds)} "
        "kinds of synthetic sounds, those that are most like a voice with more examples"
    )
    origin = {"recipe": "voice_detector", "commit": commit, "figures": json.dumps(report), "data": data}
    save_voice_detector(network, folder / WEIGHTS_FILE, origin)
    return folder / WEIGHTS_FILE


@dataclass(frozen=True)
class ExampleMaker:
    """Makes examples with an encoder."""

    encoder: SpeechEncoder
    config: VoiceDetectorConfig
    random: Random

    def make(self, voices: Sequence[Samples], kinds: Sequence[str], plan: VoiceDetectorPlan) -> Iterable[Example]:
        """Yield the examples of these voices and kinds of sounds."""
        names = sorted(VARIANTS)
        for number, samples in enumerate(voices):
            for turn in range(plan.variants):
                variant = "as recorded" if turn == 0 else names[(number + turn) % len(names)]
                yield self.voice(VARIANTS[variant](self.random, samples))
            for _ in range(plan.over_sounds):
                varied = VARIANTS[str(self.random.choice(names))](self.random, samples)
                yield self.voice_over(varied, str(self.random.choice(kinds)))
            _LOG.info("voice %d of %d", number + 1, len(voices))
        for kind in kinds:
            for _ in range(plan.examples * (HARD_FACTOR if kind in HARD_SOUNDS else 1)):
                features, _power = self._encode(self._sound(kind, round(SOUND_S * SAMPLE_RATE_HZ)))
                yield Example(features, np.zeros(len(features), np.int8))

    def voice(self, samples: Samples) -> Example:
        """Return a voice alone; its pauses are not learned."""
        features, power = self._encode(samples)
        level_db = 10.0 * np.log10(power / np.percentile(power, 90) + 1e-9)
        return Example(features, np.where(level_db > VOICE_DB, 1, -1).astype(np.int8))

    def voice_over(self, samples: Samples, kind: str) -> Example:
        """Return a voice with pauses over a sound that goes on in them."""
        pause = np.zeros(int(self.random.uniform(*PAUSE_S) * SAMPLE_RATE_HZ), np.float32)
        cut = int(self.random.uniform(0.3, 0.7) * len(samples))
        voice = np.concatenate([pause, samples[:cut], pause, samples[cut:]])
        sound = self._sound(kind, len(voice))
        gain = 10 ** (-self.random.uniform(*SNR_DB) / 20) * np.std(samples) / max(float(np.std(sound)), 1e-9)
        features, _ = self._encode((voice + gain * sound).astype(np.float32))
        power = np.square(voice[: len(features) * FRAME_SAMPLES]).reshape(len(features), -1).mean(1)
        level_db = 10.0 * np.log10(power / np.percentile(power[power > 0], 90) + 1e-12)
        labels = np.where(level_db > NEAR_VOICE_DB, 1, -1).astype(np.int8)
        labels[np.convolve(power > 0, np.ones(2 * PAUSE_MARGIN + 1), mode="same") == 0] = 0
        return Example(features, labels)

    def _sound(self, kind: str, count: int) -> Samples:
        """Return a sound (count,) of a kind, which may reverberate."""
        sound = make_sound(kind, self.random, count)
        return reverberate(sound, self.random) if self.random.random() < REVERBERANT else sound

    def _encode(self, samples: Samples) -> tuple[Float32Array, Float32Array]:
        scaled = samples * (self.random.uniform(*PEAK) / max(float(np.abs(samples).max()), 1e-9))
        frames = len(samples) // FRAME_SAMPLES
        parts = list(stream_features(self.encoder, self.config.layers, iter([scaled.astype(np.float32)]), frames))
        return np.concatenate([part.features for part in parts]), np.concatenate([part.power for part in parts])


def fit(examples: Sequence[Example], config: VoiceDetectorConfig) -> VoiceDetector:
    """Return the detector with the least penalised error; voices and other sounds weigh the same."""
    kept = [(one.features[::FRAME_STEP], one.labels[::FRAME_STEP]) for one in examples]
    features = torch.from_numpy(np.concatenate([part[labels >= 0] for part, labels in kept])).float()
    labels = torch.from_numpy(np.concatenate([labels[labels >= 0] for _, labels in kept])).float()
    mean, scale = features.mean(0), features.std(0) + 1e-3
    features = (features - mean) / scale
    weights = torch.where(labels > 0, 0.5 / labels.mean(), 0.5 / (1.0 - labels.mean()))
    factors, offset = torch.zeros(features.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([factors, offset], max_iter=60, history_size=10)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        errors = functional.binary_cross_entropy_with_logits(features @ factors + offset, labels, reduction="none")
        total: torch.Tensor = (weights * errors).mean() + PENALTY * factors.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    network = VoiceDetector(config)
    with torch.no_grad():
        network.logit.weight.copy_((factors / scale)[None])
        network.logit.bias.copy_(offset - (factors * mean / scale).sum())
    return network.eval()


def _measure(network: VoiceDetector, examples: Sequence[Example]) -> dict[str, float]:
    """Return the shares of frames, with and without a voice, in which the mouth may open as the engine decides it."""
    with torch.inference_mode():
        logits = [network(torch.from_numpy(one.features)).numpy() for one in examples]
    open_, labels = (
        np.concatenate(parts)
        for parts in ([voice_gate(one, OPENING_REACH) > HALF_OPEN for one in logits], [one.labels for one in examples])
    )
    shares = {"voices_found": open_[labels == 1], "false_voices": open_[labels == 0]}
    return {name: round(float(share.mean()), 4) for name, share in shares.items()}


def sound_files(folders: Sequence[Path]) -> list[Path]:
    """Return the sound files in the folders, in a fixed order; MediaError if there are none."""
    for folder in folders:
        require_folder(folder, "use folders of recorded voices")
    found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix.lower() in SOUND_ENDINGS]
    if not found:
        places = ", ".join(map(str, folders))
        raise MediaError(
            f"No sound files ({', '.join(SOUND_ENDINGS)}) were found in {places}; use folders of recorded voices"
        )
    return found


def _read(path: Path) -> Samples:
    """Return the first seconds of a recording."""
    speech = open_speech(path, "recording")
    return np.concatenate(list(speech.blocks(VOICE_S)))[: round(VOICE_S * SAMPLE_RATE_HZ)]
