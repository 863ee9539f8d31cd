"""The motion of a face as the 52 blend shapes of ARKit, for characters of other programs.

Source of the names and their order: Apple's documentation of ARFaceAnchor.BlendShapeLocation. Two layouts are written
that importers of game engines and of Blender read:

- JSON in the layout of NVIDIA Audio2Face: ``exportFps``, ``numPoses``, ``numFrames``, ``facsNames``, ``weightMat``.
- CSV in the layout of Epic's Live Link Face: time code, number of curves, the shapes, and the angles of head and eyes
  in radians.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.puppet.basis import SHAPE_INDEX
from sadtalker_ext.puppet.expression_fields import TUCK_CLOSES, clamp_expression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sadtalker_ext.arrays import Float32Array, Float64Array
    from sadtalker_ext.geometry.motion import Motion

_SIDED_EYE: Final = ("eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide")
ARKIT_NAMES: Final = (
    *(f"{name}Left" for name in _SIDED_EYE),
    *(f"{name}Right" for name in _SIDED_EYE),
    "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft",
    "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""The 52 shapes. Left and right are those of the subject."""
_ANGLE_NAMES: Final = (
    "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll",
    "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
)  # fmt: skip

_FUNNEL_JAW: Final = 0.6
"""Opening of the jaw at which rounded lips are a funnel completely; between closed ones they are a pucker. A funnel
opens the lips by itself, by 20 mm on the avatar."""
_PUCKER_OPENS: Final = 0.6
"""Share of mouthPucker that closed lips take back: it opens the lips of characters, by 4 mm on the avatar."""
_JAW: Final = 0.8
_SMILE: Final = 0.4
_FROWN: Final = 0.9
_INNER_BROWS: Final = 0.4
_OUTER_BROWS: Final = 0.25
_BROWS_DOWN: Final = 0.4
"""Values of jawOpen, mouthSmile, browInnerUp, browOuterUp and browDown when the shape of the basis is 1, and of
mouthFrown at smile = -1. The shapes of characters are larger. On an avatar of Ready Player Me with a face of 18 cm, the
lower lip goes down by 38 mm at jawOpen = 1 (here 31 mm at jaw_open = 1), the corners move by 20 mm (8) at mouthSmile
and by 8 mm (7) at mouthFrown, the brows by 17 mm (6) at browInnerUp, 12 mm (3) at browOuterUp and 10 mm (4) at
browDown."""
_STRETCH: Final = 0.7
"""Value of mouthStretch for spread = 1, which also dimples the corners by the rest."""
_PRESS_FROM: Final = 0.6
_PRESS: Final = 0.3
"""Value of lips_closed from which the lips press together, and that of mouthPress at 1: lips that close to say p, b or
m are pressed lightly."""
_TUCK_SHRUGS: Final = 0.3
"""Value of mouthShrugUpper at lip_tuck = 1, which raises the upper lip by 2 mm."""
_SMILING_CHEEKS: Final = 0.5
_SMILING_EYES: Final = 0.3
"""Values of cheekSquint and eyeSquint at mouthSmile = 1."""
_GAZE_RAD: Final = (0.40, 0.26)
"""Rotation of the eyes at gaze 1, yaw and pitch in radians: the travel of the iris over an eyeball of 12 mm."""
_DECIMALS: Final = 5
_MINUTE_S, _HOUR_S = 60, 3600


def arkit_weights(expression: Float32Array) -> Float32Array:
    """Return the shapes (T, 52), each from 0 to 1, for coefficients (T, E) of the expression basis."""
    limited = clamp_expression(np.asarray(expression, np.float64))
    value = {name: limited[:, index] for name, index in SHAPE_INDEX.items()}
    shapes = {**_mouth_shapes(value), **_eye_shapes(value)}
    still = np.zeros(len(limited))
    weights = np.stack([shapes.get(name, still) for name in ARKIT_NAMES], axis=1)
    limited_weights: Float32Array = np.clip(weights, 0.0, 1.0).astype(np.float32)
    return limited_weights


def _mouth_shapes(value: dict[str, Float64Array]) -> dict[str, Float64Array]:
    jaw = value["jaw_open"]
    closed = 1.0 - (1.0 - value["lips_closed"]) * (1.0 - TUCK_CLOSES * value["lip_tuck"])
    round_open = np.clip(jaw * (1.0 - closed) / _FUNNEL_JAW, 0.0, 1.0)
    smile = _SMILE * np.maximum(value["smile"], 0.0)
    shrug = np.maximum(value["mouth_raise"], 0.0)
    press = (
        _PRESS * np.maximum(value["lips_closed"] - _PRESS_FROM, 0.0) / (1.0 - _PRESS_FROM) * (1.0 - value["lip_tuck"])
    )
    return {
        "jawOpen": _JAW * jaw,
        "mouthClose": _JAW * jaw * closed,
        "mouthFunnel": value["pucker"] * round_open,
        "mouthPucker": value["pucker"] * (1.0 - round_open) * (1.0 - _PUCKER_OPENS * value["lips_closed"]),
        "mouthRollLower": value["lip_tuck"],
        "mouthShrugLower": shrug,
        "mouthShrugUpper": np.maximum(_TUCK_SHRUGS * value["lip_tuck"], shrug),
        **_both("mouthSmile", smile),
        **_both("mouthFrown", _FROWN * np.maximum(-value["smile"], 0.0)),
        **_both("mouthStretch", _STRETCH * value["spread"]),
        **_both("mouthDimple", (1.0 - _STRETCH) * value["spread"]),
        **_both("mouthPress", press),
        **_both("mouthLowerDown", value["lower_lip_drop"] * (1.0 - closed)),
        **_both("mouthUpperUp", value["upper_lip_raise"] * (1.0 - closed)),
        **_both("cheekSquint", _SMILING_CHEEKS * smile),
        **_both("eyeSquint", _SMILING_EYES * smile),
    }


def _eye_shapes(value: dict[str, Float64Array]) -> dict[str, Float64Array]:
    """Return lids, gaze and brows; the viewer's right is the subject's left."""
    to_left, to_right = np.maximum(value["gaze_x"], 0.0), np.maximum(-value["gaze_x"], 0.0)
    return {
        "eyeBlinkLeft": value["blink_left"],
        "eyeBlinkRight": value["blink_right"],
        "eyeLookOutLeft": to_left,
        "eyeLookInRight": to_left,
        "eyeLookInLeft": to_right,
        "eyeLookOutRight": to_right,
        "browInnerUp": _INNER_BROWS * value["brows_up"],
        **_both("eyeLookDown", np.maximum(value["gaze_y"], 0.0)),
        **_both("eyeLookUp", np.maximum(-value["gaze_y"], 0.0)),
        **_both("browOuterUp", _OUTER_BROWS * value["brows_up"]),
        **_both("browDown", _BROWS_DOWN * value["brows_down"]),
    }


def _both(name: str, values: Float64Array) -> dict[str, Float64Array]:
    return {f"{name}Left": values, f"{name}Right": values}


def write_json(file: IO[str], motion: Motion, rate_hz: float) -> None:
    """Write the shapes of each frame, and the head's pitch, yaw and roll in radians as ``headRotations``."""
    header = {
        "exportFps": rate_hz, "trackPath": "", "numPoses": len(ARKIT_NAMES), "numFrames": len(motion),
        "facsNames": list(ARKIT_NAMES),
    }  # fmt: skip
    file.write(json.dumps(header)[:-1] + ',\n"weightMat": [\n')
    _write_rows(file, (row for row in _rounded(arkit_weights(motion.expression))))
    file.write('],\n"headRotations": [\n')
    _write_rows(file, (row for row in _rounded(motion.rotation)))
    file.write("]}\n")


def _write_rows(file: IO[str], rows: Iterator[list[float]]) -> None:
    for index, row in enumerate(rows):
        file.write((",\n" if index else "") + json.dumps(row, separators=(",", ":")))


def write_csv(file: IO[str], motion: Motion, rate_hz: float) -> None:
    """Write one row per frame in the layout of Live Link Face."""
    names = (*(name[0].upper() + name[1:] for name in ARKIT_NAMES), *_ANGLE_NAMES)
    file.write(",".join(("Timecode", "BlendShapeCount", *names)) + "\n")
    weights, angles = arkit_weights(motion.expression), live_link_angles(motion)
    for index, row in enumerate(_rounded(np.concatenate([weights, angles], axis=1))):
        values = ",".join(f"{value:.{_DECIMALS}f}" for value in row)
        file.write(f"{time_code(index, rate_hz)},{len(names)},{values}\n")


def live_link_angles(motion: Motion) -> Float32Array:
    """Return yaw, pitch and roll (T, 9) of the head, the left and the right eye in radians.

    Positive yaw turns to the subject's left, positive pitch looks down, positive roll tilts to the subject's left.
    """
    pitch, yaw, roll = motion.rotation.T
    gaze_x, gaze_y = (motion.expression[:, SHAPE_INDEX[name]] for name in ("gaze_x", "gaze_y"))
    still = np.zeros(len(motion), np.float32)
    eye = (_GAZE_RAD[0] * gaze_x, _GAZE_RAD[1] * gaze_y, still)
    angles: Float32Array = np.stack([yaw, pitch, roll, *eye, *eye], axis=1).astype(np.float32)
    return angles


def time_code(frame: int, rate_hz: float) -> str:
    """Return hours:minutes:seconds:frames.milliseconds of a frame, as Live Link Face writes it."""
    seconds = frame / rate_hz
    whole = int(seconds + 1e-9)
    rest = max(seconds - whole, 0.0) * rate_hz
    hours, minutes = whole // _HOUR_S, whole // _MINUTE_S % _MINUTE_S
    frames, thousandths = divmod(round(rest * 1000), 1000)
    return f"{hours:02d}:{minutes:02d}:{whole % _MINUTE_S:02d}:{frames:02d}.{thousandths:03d}"


def _rounded(values: Float32Array) -> Iterator[list[float]]:
    """Yield the rows of (T, C) rounded to five decimals."""
    for row in values:
        yield [round(float(value), _DECIMALS) + 0.0 for value in row]
