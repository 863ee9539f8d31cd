"""What a person may ask for: every knob once, with default, range, unit, label and help.

Command-line flags, page widgets, the JSON schema of the REST interface and the README's table are generated from
:class:`Settings`. How the result is computed (device, batch size) is :mod:`sadtalker_ext.runtime` and never changes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from typing import Any

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.setting_spec import (
    ANGLE_LIMIT_DEG,
    LARGEST_FACE,
    Scalar,
    SettingSpec,
    knob,
    parse_angles,
    parse_face,
    property_schema,
)

NO_RESTORER = "none"


def _angle_knob(label: str, direction: str) -> Any:  # noqa: ANN401 - see knob
    wording = (
        f"Free view: turn the head, positive {direction}. One number holds the angle; several are keyframes "
        "spread evenly over the clip. Empty leaves it to the voice."
    )
    return knob(
        "", label, wording, low=-ANGLE_LIMIT_DEG, high=ANGLE_LIMIT_DEG, step=1.0, unit="degrees", parse=parse_angles
    )


@dataclass(frozen=True)
class Settings:
    """Everything a person may ask for, as JSON scalars; it travels inside the video it made."""

    engine: str = knob(
        "starter", "Engine", "What moves the face. starter ships with the package.",
        choices=("starter", "sadtalker"),
    )  # fmt: skip
    face: str = knob(
        LARGEST_FACE, "Face", "Which face talks, where there are several.",
        unit="pixels", parse=parse_face,
    )  # fmt: skip
    still: bool = knob(False, "Still head", "Keep the head where it is; mouth and eyes go on moving.")
    expression_scale: float = knob(
        1.0, "Expression", "How far mouth and brows move away from the portrait.", low=0.0, high=2.0, step=0.05,
    )  # fmt: skip
    head_motion_scale: float = knob(
        1.0, "Head motion", "How far the head moves away from the portrait.", low=0.0, high=3.0, step=0.05,
    )  # fmt: skip
    blink: float = knob(1.0, "Blink", "How strongly the eyes blink; 0 is never.", low=0.0, high=2.0, step=0.05)
    pose_style: str = knob("0", "Pose style", "A style of head movement, by its name or its number.")
    yaw: str = _angle_knob("Yaw", "to the viewer's right")
    pitch: str = _angle_knob("Pitch", "down")
    roll: str = _angle_knob("Roll", "leaning to the viewer's right")
    seed: int = knob(
        0, "Seed", "Same seed, same blinks and head movement.", low=0, high=2**32 - 1, step=1,
    )  # fmt: skip
    frame_rate: int = knob(25, "Frame rate", "Frames per second of the video.", low=10, high=60, step=1, unit="Hz")
    resolution_limit: int = knob(
        2048, "Resolution limit", "A larger picture is worked at this many pixels on its long side.",
        low=256, high=8192, step=64, unit="pixels",
    )  # fmt: skip
    quality: str = knob("good", "Quality", "Picture quality of the video file.", choices=("small", "good", "best"))
    mode: str = knob(
        "full", "Mode", "Engine sadtalker: what is animated and shown. full: the face, put back into the picture; "
        "crop: the face alone; resize: the whole picture, squeezed to a square; ext...: with a border around the face.",
        choices=("full", "extfull", "crop", "extcrop", "resize"),
    )  # fmt: skip
    size: str = knob(
        "256", "Render size", "Engine sadtalker: pixels of the square it renders. Networks of your own (sadtalker "
        "train export) in the first folder of checkpoints render the size they were trained for.",
        choices=("256", "512"),
    )  # fmt: skip
    parity: bool = knob(
        False, "Parity", "Engine sadtalker: cut and paste exactly as the official code does, with its faults.",
    )  # fmt: skip
    paste: str = knob(
        "feather", "Paste", "Engine sadtalker: how the face is put back into the picture. feather: a soft edge; "
        "seamless: colours solved anew in each frame, as with parity; slow, and it may flicker.",
        choices=("feather", "seamless"),
    )  # fmt: skip
    restore: str = knob(
        NO_RESTORER, "Face restorer", "Sharpen the face with this restorer: a name, or a file such as GFPGANv1.4.pth "
        "among the checkpoints; none leaves it alone.",
    )  # fmt: skip
    restore_strength: float = knob(
        1.0, "Restorer strength", "How much of the restored face is shown.", low=0.0, high=1.0, step=0.05,
    )  # fmt: skip
    upscale: str = knob(
        NO_RESTORER, "Upscaler", "Make the whole video larger with this upscaler: a name, or a file such as "
        "RealESRGAN_x2plus.pth among the checkpoints; none keeps its size.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for described in self.knobs():
            object.__setattr__(self, described.name, described.read(getattr(self, described.name)))

    @classmethod
    def knobs(cls) -> Iterator[SettingSpec]:
        """Every knob in the order a face should show it."""
        for declared in fields(cls):
            if declared.default is MISSING:
                raise TypeError(f"{declared.name} has no default")
            yield SettingSpec(name=declared.name, default=declared.default, **declared.metadata)

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Settings:
        """Settings from names and values as a file, a form or a request holds them; missing names take defaults."""
        names = [described.name for described in cls.knobs()]
        for name in values:
            if name not in names:
                nearest = get_close_matches(str(name), names, n=1)
                hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(names)}"
                raise SettingsError(f"There is no setting named {name}; {hint}")
        return cls(**values)  # type: ignore[arg-type] # every value is checked and converted in __post_init__

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Settings from the text of a JSON object."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as e:
            raise SettingsError(f"The settings are not JSON: {e}") from e
        if not isinstance(values, dict):
            raise SettingsError(f"The settings must be a JSON object, got {text[:60]!r}")
        return cls.from_mapping(values)

    def to_mapping(self) -> dict[str, Scalar]:
        """Every setting by name."""
        return {described.name: getattr(self, described.name) for described in self.knobs()}

    def to_json(self) -> str:
        """One line of JSON that :meth:`from_json` takes back."""
        return json.dumps(self.to_mapping())

    def changes(self) -> dict[str, Scalar]:
        """Only the settings that differ from their defaults."""
        return {k.name: value for k in self.knobs() if (value := getattr(self, k.name)) != k.default}

    @classmethod
    def json_schema(cls) -> dict[str, object]:
        """The JSON schema of :meth:`from_mapping`'s argument."""
        properties = {described.name: property_schema(described) for described in cls.knobs()}
        return {"type": "object", "title": "Settings", "properties": properties, "additionalProperties": False}
