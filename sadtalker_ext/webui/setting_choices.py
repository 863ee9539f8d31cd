"""Choices of settings in the words of the page.

Radio buttons have pairs of label and value. Dropdowns of Gradio 3 have no labels beside their values, so that a
dropdown holds labels, which :func:`to_value` and :func:`to_label` convert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sadtalker_ext.engines.registry import engine_names, find_engine
from sadtalker_ext.setting_spec import AUTO_MOMENT, LARGEST_FACE
from sadtalker_ext.settings import NO_RESTORER, Settings
from sadtalker_ext.weights.restorer_listing import restorer_files

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.tts.provider import Voice

DROPDOWNS: Final = ("tts_voice", "pose_style", "restore", "upscale")
"""Settings whose choices depend on the machine or the engine; other values are accepted too."""
NO_CHOICE: Final = "None"
DEFAULT_VOICE: Final = "Default"
NUMBERED: Final = "Style "
LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "view": {
        "none": "Fixed", "orbit": "Around the head", "sway": "From side to side", "nod": "Up and down",
        "dolly": "Moving closer",
    },
    "quality": {"small": "Small file", "good": "Good", "best": "Best"},
    "mode": {
        "full": "Whole picture", "extfull": "Whole picture, wide border", "crop": "Face only",
        "extcrop": "Face only, wide border", "resize": "Whole picture as a square",
    },
    "size": {"256": "256 pixels", "512": "512 pixels: sharper, four times slower"},
    "paste": {"feather": "Soft edge", "seamless": "Blended (seamless), slow"},
}  # fmt: skip
"""Label of each value, for settings whose values need one."""
SHOWN: Final[Mapping[str, Mapping[str, str]]] = {
    "face": {LARGEST_FACE: "The largest"}, "at": {AUTO_MOMENT: "Automatic"}, "track": {"0": "Automatic"},
    "yaw": {"": "Follows the voice"}, "pitch": {"": "Follows the voice"}, "roll": {"": "Follows the voice"},
}  # fmt: skip
"""Words for single values of other settings where a setting is shown but not changed, as in the details of a result."""


def labelled(setting: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """Return label and value of each value of a setting; a value without a label is its own."""
    if setting == "engine":
        return [(find_engine(name).label, name) for name in values]
    labels = LABELS.get(setting, {})
    return [(labels.get(value, value), value) for value in values]


def voice_labels(voices: Sequence[Voice]) -> list[str]:
    """Return the labels of the voices that read text aloud."""
    return [DEFAULT_VOICE, *(f"{voice.name} ({voice.label})" for voice in voices)]


def pose_style_labels(engine: str) -> list[str]:
    """Return the labels of the head motion styles of an engine; styles without a name are numbered from 1."""
    styles = enumerate(find_engine(engine).pose_styles, 1)
    return [f"{NUMBERED}{number}" if name.isdecimal() else name.capitalize() for number, name in styles]


def restorer_labels(registered: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Return the registered restorers or upscalers, and the files of restorers and upscalers in the folders."""
    try:
        files = [path.name for path in restorer_files(folders)]
    except OSError:
        files = []
    return [NO_CHOICE, *dict.fromkeys([*registered, *files])]


def to_value(setting: str, label: object, engine: str) -> object:
    """Return the value of a setting for the label in its dropdown; other values are returned as they are.

    An empty face, as the page shows it while no face was found, is the largest one.
    """
    if setting == "face" and label == "":
        return LARGEST_FACE
    if setting not in DROPDOWNS or not isinstance(label, str):
        return label
    if setting == "tts_voice":
        return "" if label == DEFAULT_VOICE else label.partition(" (")[0]
    if setting == "pose_style":
        labels = [known.lower() for known in _pose_styles(engine)]
        return str(labels.index(label.lower())) if label.lower() in labels else label
    return NO_RESTORER if label == NO_CHOICE else label


def to_label(setting: str, value: object, engine: str) -> object:
    """Return the label in the dropdown of a setting for a value, the inverse of :func:`to_value`."""
    if setting not in DROPDOWNS or not isinstance(value, str):
        return value
    if setting == "tts_voice":
        return value or DEFAULT_VOICE
    if setting == "pose_style":
        labels = _pose_styles(engine)
        number = int(value) if value.isdecimal() and len(value) < len("1000") else -1
        return labels[number] if 0 <= number < len(labels) else value.capitalize()
    return NO_CHOICE if value == NO_RESTORER else value


def _pose_styles(engine: str) -> list[str]:
    return pose_style_labels(engine if engine in engine_names() else Settings().engine)
