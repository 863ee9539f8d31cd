"""The starter engine's ExpNet, which ships with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sadtalker_ext.models.speech_to_expression import SpeechToExpression

STARTER_EXP_NET: Final = Path(__file__).with_name("starter_speech_to_expression.safetensors")
EXP_NET_KIND: Final = "starter exp_net"


def load_speech_to_expression(path: Path | None = None) -> SpeechToExpression:
    """The shipped network, or one that ``sadtalker train exp_net`` wrote; on the CPU, in eval mode."""
    return load_network(path or STARTER_EXP_NET, EXP_NET_KIND, _build)


def save_speech_to_expression(network: SpeechToExpression, path: Path, origin: Mapping[str, str]) -> None:
    """Write ``network`` with where it comes from (recipe, data, commit), see weights/own_file.py."""
    save_network(path, network, EXP_NET_KIND, origin)


def _build(values: dict[str, Any]) -> SpeechToExpression:
    from sadtalker_ext.models.speech_to_expression import Config, SpeechToExpression

    return SpeechToExpression(Config(**{**values, "dilations": tuple(values["dilations"])}))
