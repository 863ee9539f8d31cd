"""Networks of the starter engine in the package: SpeechToExpression, LipMotion, VoiceDetector, PoseCvae."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sadtalker_ext.models.lip_motion import LipMotion
    from sadtalker_ext.models.pose_cvae import PoseCvae
    from sadtalker_ext.models.speech_to_expression import SpeechToExpression
    from sadtalker_ext.models.voice_detector import VoiceDetector

SPEECH_TO_EXPRESSION_FILE: Final = Path(__file__).with_name("starter_speech_to_expression.safetensors")
SPEECH_TO_EXPRESSION_KIND: Final = "starter exp_net"
"""The entry ``kind`` in the header of the file."""
LIP_MOTION_FILE: Final = Path(__file__).with_name("starter_lip_motion.safetensors")
LIP_MOTION_KIND: Final = "starter lip_motion"
VOICE_DETECTOR_FILE: Final = Path(__file__).with_name("starter_voice_detector.safetensors")
VOICE_DETECTOR_KIND: Final = "starter voice_detector"
POSE_CVAE_FILE: Final = Path(__file__).with_name("starter_pose_cvae.safetensors")
POSE_CVAE_KIND: Final = "starter pose_vae"


def load_speech_to_expression(path: Path | None = None) -> SpeechToExpression:
    """Load the shipped network or one of ``sadtalker train speech_to_expression``; on the CPU, in eval mode."""
    from sadtalker_ext.models.speech_to_expression import SpeechToExpression, SpeechToExpressionConfig

    file = path or SPEECH_TO_EXPRESSION_FILE
    return load_network(file, SPEECH_TO_EXPRESSION_KIND, SpeechToExpression, SpeechToExpressionConfig)


def save_speech_to_expression(network: SpeechToExpression, path: Path, origin: Mapping[str, str]) -> None:
    """Write ``network`` and the ``origin`` of its weights (recipe, data, commit) to ``path``."""
    save_network(path, network, SPEECH_TO_EXPRESSION_KIND, origin)


def load_lip_motion(path: Path | None = None) -> LipMotion:
    """Load the shipped network or one of ``sadtalker train lip_motion``; float32, on the CPU, in eval mode."""
    from sadtalker_ext.models.lip_motion import LipMotion, LipMotionConfig

    return load_network(path or LIP_MOTION_FILE, LIP_MOTION_KIND, LipMotion, LipMotionConfig)


def save_lip_motion(network: LipMotion, path: Path, origin: Mapping[str, str]) -> None:
    """Write ``network`` in half precision and the ``origin`` of its weights (recipe, data, commit) to ``path``."""
    save_network(path, copy.deepcopy(network).half(), LIP_MOTION_KIND, origin)


def load_voice_detector(path: Path | None = None) -> VoiceDetector:
    """Load the shipped network or one of ``sadtalker train voice_detector``; on the CPU, in eval mode."""
    from sadtalker_ext.models.voice_detector import VoiceDetector, VoiceDetectorConfig

    return load_network(path or VOICE_DETECTOR_FILE, VOICE_DETECTOR_KIND, VoiceDetector, VoiceDetectorConfig)


def save_voice_detector(network: VoiceDetector, path: Path, origin: Mapping[str, str]) -> None:
    """Write ``network`` and the ``origin`` of its weights (recipe, data, commit) to ``path``."""
    save_network(path, network, VOICE_DETECTOR_KIND, origin)


def load_pose_cvae(path: Path | None = None) -> PoseCvae:
    """Load the shipped network, or one that ``sadtalker train pose_cvae`` wrote; float32, on the CPU, in eval mode."""
    from sadtalker_ext.models.pose_cvae import PoseCvae, PoseCvaeConfig

    return load_network(path or POSE_CVAE_FILE, POSE_CVAE_KIND, PoseCvae, PoseCvaeConfig)


def save_pose_cvae(network: PoseCvae, path: Path, origin: Mapping[str, str]) -> None:
    """Write ``network`` in half precision and the ``origin`` of its weights (recipe, data, commit) to ``path``."""
    save_network(path, copy.deepcopy(network).half(), POSE_CVAE_KIND, origin)
