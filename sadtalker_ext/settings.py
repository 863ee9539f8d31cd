"""User settings: every setting declared once, with default, range, unit, label and help.

Command-line flags, web UI widgets, the JSON schema of the REST API and the README table are generated from
:class:`Settings`. How a result is computed (device, batch size) is :class:`sadtalker_ext.runtime.Runtime`, which never
changes the result beyond rounding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from typing import Any, Final

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.setting_spec import (
    ANGLE_LIMIT_DEG,
    AUTO_MOMENT,
    LARGEST_FACE,
    Scalar,
    SettingSpec,
    parse_angles,
    parse_face,
    parse_file_names,
    parse_moment,
    property_schema,
    setting,
)

NO_RESTORER: Final = "none"
NO_VIEW: Final = "none"
MAX_SHOWN_NAME: Final = 60
"""Characters of an unknown name that a message shows."""
VIEWS: Final = ("orbit", "sway", "nod", "dolly")
"""Camera paths by name; see sadtalker_ext.geometry.camera_path."""
_SADTALKER: Final = ("sadtalker",)
_STARTER: Final = ("starter",)


def _angle_setting(label: str, direction: str) -> Any:  # noqa: ANN401 - see setting
    text = (
        f"Angle of the head, positive {direction}. One number keeps the head at this angle; several are keyframes, "
        "spaced evenly over the video. With times in seconds, such as 0:0,1.5:20,3:-20, they are a camera path to "
        "which the head motion is added. Empty: the head follows the voice."
    )
    return setting(
        "", label, text, low=-ANGLE_LIMIT_DEG, high=ANGLE_LIMIT_DEG, step=1.0, unit="degrees", parse=parse_angles
    )


@dataclass(frozen=True)
class Settings:
    """User settings as JSON scalars; they are stored in the metadata of every result."""

    engine: str = setting(
        "starter", "Engine", "What animates the face. starter works at once on any computer; sadtalker, the published "
        "networks, has sharper faces, needs checkpoints of 1 GB and is slow without a graphics card.",
    )  # fmt: skip
    face: str = setting(
        LARGEST_FACE, "Face", "The face that speaks, if the picture shows several, numbered from left to right.",
        unit="pixels", parse=parse_face,
    )  # fmt: skip
    at: str = setting(
        AUTO_MOMENT, "Moment", "Moment of a video that is used as portrait. auto: the first frame that shows a face, "
        "after a fade.", unit="seconds", parse=parse_moment,
    )  # fmt: skip
    track: int = setting(
        0, "Audio track", "Audio track of a voice file that has several, numbered from 1. 0: the default track of the "
        "file, or the first one that is not silent.", low=0, high=99, step=1,
    )  # fmt: skip
    still: bool = setting(False, "Still head", "Keep the head still; mouth and eyes still move.")
    expression_scale: float = setting(
        1.0, "Mouth and brows", "Strength of the movement of mouth and eyebrows.", low=0.0, high=2.0, step=0.05,
    )  # fmt: skip
    head_motion_scale: float = setting(
        1.0, "Head movement", "Strength of the movement of the head.", low=0.0, high=3.0, step=0.05,
    )  # fmt: skip
    blink: float = setting(1.0, "Blinks", "Strength of blinks; 0 disables them.", low=0.0, high=2.0, step=0.05)
    pose_style: str = setting("0", "Head motion style", "How the head moves while it speaks, by name or number.")
    view: str = setting(
        NO_VIEW, "View", "Moves the camera around the speaking head. orbit: on an ellipse around it; sway: from side "
        "to side; nod: up and down; dolly: closer and closer.", choices=(NO_VIEW, *VIEWS),
    )  # fmt: skip
    yaw: str = _angle_setting("Turn (yaw)", "to the viewer's right")
    pitch: str = _angle_setting("Nod (pitch)", "downwards")
    roll: str = _angle_setting("Tilt (roll)", "towards the viewer's right")
    tts_voice: str = setting(
        "", "Reading voice", "Voice that reads a text aloud, if the speech is given as text: a name that the command "
        "sadtalker voices lists. Empty: the first one in that list that reads the letters of the text.",
    )  # fmt: skip
    speech_rate: float = setting(
        1.0, "Reading speed", "Speed of the voice that reads a text aloud.", low=0.5, high=2.0, step=0.05,
    )  # fmt: skip
    seed: int = setting(
        0, "Seed", "Random seed of blinks and head motion; the same seed gives the same motion.",
        low=0, high=2**32 - 1, step=1,
    )  # fmt: skip
    frame_rate: int = setting(25, "Frames per second", "Frame rate of the video.", low=10, high=60, step=1, unit="Hz")
    resolution_limit: int = setting(
        2048, "Largest picture", "A larger picture is scaled down to this length of its longer side.",
        low=256, high=8192, step=64, unit="pixels",
    )  # fmt: skip
    quality: str = setting("good", "Quality", "Quality of the video compression.", choices=("small", "good", "best"))
    weights: str = setting(
        "", "Trained networks", "Files of networks that you trained (speech_to_expression, lip_motion, voice_detector, "
        "pose_cvae, mouth_cover), in a checkpoint folder, separated by commas. They replace the networks of the "
        "package. Empty: those of the package.", parse=parse_file_names, engines=_STARTER,
    )  # fmt: skip
    mode: str = setting(
        "full", "Part of the picture", "What is animated and shown. full: the face, pasted back into the picture; "
        "crop: the face region only; resize: the whole picture, resized to a square; extfull, extcrop: the same with a "
        "wider border.",
        choices=("full", "extfull", "crop", "extcrop", "resize"), engines=_SADTALKER,
    )  # fmt: skip
    size: str = setting(
        "256", "Face detail", "Side of the rendered square in pixels. A model trained with sadtalker train, in the "
        "first checkpoint folder, renders at the size it was trained for.",
        choices=("256", "512"), engines=_SADTALKER,
    )  # fmt: skip
    parity: bool = setting(
        False, "Same as the official code", "Crop and paste exactly as the official code does, including its "
        "known defects.", engines=_SADTALKER,
    )  # fmt: skip
    paste: str = setting(
        "feather", "Edge of the face", "How the face is pasted back into the picture. feather: soft edge; seamless: "
        "Poisson blending of every frame as in the official code, slow and may flicker.",
        choices=("feather", "seamless"), engines=_SADTALKER,
    )  # fmt: skip
    restore: str = setting(
        NO_RESTORER, "Face restorer", "Sharpen the face with this restorer: a name, or a file such as GFPGANv1.4.pth "
        "in a checkpoint folder; none disables it.",
    )  # fmt: skip
    restore_strength: float = setting(
        1.0, "Face restorer strength", "Blend between the rendered (0) and the restored face (1).",
        low=0.0, high=1.0, step=0.05,
    )  # fmt: skip
    upscale: str = setting(
        NO_RESTORER, "Upscaler", "Enlarge the video with this upscaler: a name, or a file such as "
        "RealESRGAN_x2plus.pth in a checkpoint folder; none keeps the size.",
    )  # fmt: skip

    model_3d: bool = setting(
        False, "3D model", "Also write the talking face as a 3D model: an animated mesh (.glb) and its sound (.wav) "
        "beside the video.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for spec in self.specs():
            object.__setattr__(self, spec.name, spec.read(getattr(self, spec.name)))

    @classmethod
    def specs(cls) -> Iterator[SettingSpec]:
        """Yield the declaration of every setting in the order in which front ends show them."""
        for declared in fields(cls):
            if declared.default is MISSING:
                raise TypeError(f"{declared.name} has no default")
            yield SettingSpec(name=declared.name, default=declared.default, **declared.metadata)

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Settings:
        """Return settings from names and values of a file, form or request; missing names keep their defaults."""
        names = [spec.name for spec in cls.specs()]
        for name in values:
            if name not in names:
                nearest = get_close_matches(str(name), names, n=1)
                hint = f"did you mean {nearest[0]}?" if nearest else f"the settings are {', '.join(names)}"
                raise SettingsError(f"There is no setting named {str(name)[:MAX_SHOWN_NAME]}; {hint}")
        return cls(**values)  # type: ignore[arg-type] # __post_init__ checks and converts every value

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Return settings from a JSON object."""
        try:
            values = json.loads(text)
        except RecursionError as e:
            raise SettingsError("The settings are not valid: their JSON is nested too deep") from e
        except ValueError as e:
            raise SettingsError(f"The settings are not valid JSON: {e}") from e
        if not isinstance(values, dict):
            raise SettingsError(f"The settings must be a JSON object, got {text[:60]!r}")
        return cls.from_mapping(values)

    def to_mapping(self) -> dict[str, Scalar]:
        """Return every setting by name."""
        return {spec.name: getattr(self, spec.name) for spec in self.specs()}

    def to_json(self) -> str:
        """Return one line of JSON, the inverse of :meth:`from_json`."""
        return json.dumps(self.to_mapping())

    def changes(self) -> dict[str, Scalar]:
        """Return the settings that differ from their defaults."""
        return {spec.name: value for spec in self.specs() if (value := getattr(self, spec.name)) != spec.default}

    @staticmethod
    def json_schema(specs: Iterator[SettingSpec]) -> dict[str, object]:
        """Return the JSON schema of the argument of :meth:`from_mapping`.

        specs: declarations from :meth:`specs`, or those of
            :func:`sadtalker_ext.engines.registry.setting_specs`, which list the installed engines.
        """
        properties = {spec.name: property_schema(spec) for spec in specs}
        return {"type": "object", "title": "Settings", "properties": properties, "additionalProperties": False}
