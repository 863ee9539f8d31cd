"""The declaration of one setting, and the conversion of user input into its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from itertools import pairwise
from math import isfinite
from typing import Any, Final, NamedTuple

from sadtalker_ext.errors import SettingsError

Scalar = str | bool | int | float
LARGEST_FACE: Final = "largest"
AUTO_MOMENT: Final = "auto"
LONGEST_MOMENT_S: Final = 86400.0
ANGLE_LIMIT_DEG: Final = 60.0
LONGEST_VIDEO_S: Final = 7200.0
"""Latest time of a keyframe in seconds: the longest voice."""
MAX_SHOWN: Final = 80
"""Characters of a value that a message repeats."""
MAX_DIGITS: Final = 32
"""Longest text accepted as a number."""


class InvalidValueError(ValueError):
    """A value that a setting does not accept."""


class SettingSpec(NamedTuple):
    """Declaration of one setting.

    low, high, step: accepted range and slider step of a number, in ``unit``; None if there is none.
    choices: accepted values of a text setting; empty if any text of the right form is accepted.
    parse: converts a JSON value or text into the stored value, or raises :class:`InvalidValueError`.
    engines: names of the engines that support the setting; empty if every engine does.
    """

    name: str
    default: Scalar
    label: str
    help: str
    low: float | None
    high: float | None
    step: float | None
    unit: str
    choices: tuple[str, ...]
    parse: Callable[[SettingSpec, object], Scalar]
    engines: tuple[str, ...] = ()

    @property
    def form(self) -> str:
        """Description of the text that a setting without choices accepts; empty if it is any text."""
        return "" if self.choices else _FORMS.get(self.parse, "")

    @property
    def accepts(self) -> str:
        """Description of the accepted values, for messages and help."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, str):
            return self.form or "text"
        kind = "an integer" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g} to {self.high:.10g}{' ' + self.unit if self.unit else ''}"

    def read(self, value: object) -> Scalar:
        """Convert ``value`` to the stored type; raise SettingsError with the accepted values if it does not fit."""
        try:
            return self.parse(self, value)
        except InvalidValueError as e:
            shown = shown_value(value)
            raise SettingsError(f"The setting {self.name} is {shown}, but it accepts {self.accepts}") from e

    def supported_by(self, engine: str) -> bool:
        """Whether the engine of this name supports the setting."""
        return not self.engines or engine in self.engines


def shown_value(value: object) -> str:
    """Return a value as a message shows it: its beginning if it is long."""
    if isinstance(value, str):
        return repr(value) if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]!r}..."
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python converts
        return "a number with thousands of digits"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def setting(  # noqa: PLR0913 - the arguments are the declaration of a setting
    default: Scalar,
    label: str,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
    parse: Callable[[SettingSpec, object], Scalar] | None = None,
    engines: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - a dataclass field of any type
    """Declare a field of :class:`~sadtalker_ext.settings.Settings`; see :class:`SettingSpec` for the arguments."""
    metadata = {
        "label": label, "help": help, "low": low, "high": high, "step": step, "unit": unit, "choices": choices,
        "parse": parse or _PARSERS[type(default)], "engines": engines,
    }  # fmt: skip
    return field(default=default, metadata=metadata)


def parse_bool(_: SettingSpec, value: object) -> bool:
    """Parse a JSON boolean, or one of the texts true, false, on, off, yes, no, 1, 0."""
    texts = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
    if isinstance(value, str):
        value = texts.get(value.strip().lower())
    if not isinstance(value, bool):
        raise InvalidValueError
    return value


def parse_number(spec: SettingSpec, value: object) -> float:
    """Parse a finite number within the range, also from text."""
    number = _number(value)
    if spec.low is not None and spec.high is not None and not spec.low <= number <= spec.high:
        raise InvalidValueError
    return number


def parse_integer(spec: SettingSpec, value: object) -> int:
    """Parse an integer within the range; 25.0 is accepted as 25, 25.5 is not."""
    if isinstance(value, str) and is_integer_text(value):
        value = int(value)
    number = parse_number(spec, value)
    if number != int(number):
        raise InvalidValueError
    return int(number)


def is_integer_text(text: str) -> bool:
    """Whether ``text`` is a short sequence of ASCII digits with at most one sign, spaces around it allowed."""
    body = text.strip()
    digits = body[1:] if body[:1] in ("+", "-") else body
    return len(digits) <= MAX_DIGITS and digits.isascii() and digits.isdigit()


def parse_text(spec: SettingSpec, value: object) -> str:
    """Parse one of the choices, or any text; an integer is converted to text."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidValueError
    text = _text(value)
    if (spec.choices and text not in spec.choices) or not text.isprintable():
        raise InvalidValueError
    return text


def parse_face(_: SettingSpec, value: object) -> str:
    """Parse ``largest``, a number from 1, or ``x,y,width,height`` in pixels of the picture (also as a list)."""
    parts = value if isinstance(value, list | tuple) else _text(value).split(",")
    if parts == [LARGEST_FACE]:
        return LARGEST_FACE
    if len(parts) == 1 and not isinstance(value, bool) and is_integer_text(str(parts[0])):
        number = int(str(parts[0]))
        if number < 1:
            raise InvalidValueError
        return str(number)
    numbers = [_number(part) for part in parts]
    if len(numbers) != 4 or min(numbers[:2]) < 0 or min(numbers[2:]) <= 0:
        raise InvalidValueError
    return ",".join(f"{number:g}" for number in numbers)


def parse_file_names(_: SettingSpec, value: object) -> str:
    """Parse names of files without folders, separated by commas or in a list; the result is text with commas."""
    parts = value if isinstance(value, list | tuple) else value.split(",") if isinstance(value, str) else None
    if parts is None or not all(isinstance(part, str) and part.isprintable() for part in parts):
        raise InvalidValueError
    names = [name for part in parts if (name := part.strip())]
    if any(name in (".", "..") or set(name) & set("/\\,") for name in names):
        raise InvalidValueError
    return ",".join(names)


class AngleKeyframes(NamedTuple):
    """Keyframes of an angle. times_s: seconds from the start of the video, rising; None: spaced evenly over it."""

    angles_deg: tuple[float, ...]
    times_s: tuple[float, ...] | None = None


def parse_moment(_: SettingSpec, value: object) -> str:
    """Parse ``auto`` or a number of seconds; the result is text."""
    if isinstance(value, str) and value.strip().lower() in ("", AUTO_MOMENT):
        return AUTO_MOMENT
    seconds = _number(value)
    if not 0 <= seconds <= LONGEST_MOMENT_S:
        raise InvalidValueError
    return f"{seconds:.10g}"


def parse_angles(spec: SettingSpec, value: object) -> str:
    """Parse nothing, one number or several in degrees, or times and angles; the result is text with commas.

    Times and angles are ``0:0, 1.5:20`` in text and ``[[0, 0], [1.5, 20]]`` in lists; times are in seconds and rise.
    """
    if value is None or value == "":
        return ""
    parts = value if isinstance(value, list | tuple) else str(value).split(",") if isinstance(value, str) else [value]
    pairs = [_time_and_angle(part) for part in parts]
    if any(len(pair) != len(pairs[0]) for pair in pairs) or (pairs and len(pairs[0]) not in (1, 2)):
        raise InvalidValueError
    times = [_number(pair[0]) for pair in pairs if len(pair) == 2]
    if times and (times[0] < 0.0 or times[-1] > LONGEST_VIDEO_S or any(b <= a for a, b in pairwise(times))):
        raise InvalidValueError
    angles = [f"{parse_number(spec, pair[-1]):g}" for pair in pairs]
    return ",".join(f"{time:g}:{angle}" for time, angle in zip(times, angles, strict=bool(times))) or ",".join(angles)


def _time_and_angle(part: object) -> Sequence[object]:
    """Return the parts of one keyframe, which are one or two numbers if it is correct."""
    if isinstance(part, str):
        return part.split(":")
    return part if isinstance(part, list | tuple) else [part]


def angle_keyframes(text: str) -> AngleKeyframes | None:
    """Return the keyframes of a yaw, pitch or roll setting; None if the setting is off."""
    if not text:
        return None
    pairs = [[float(number) for number in part.split(":")] for part in text.split(",")]
    times = tuple(pair[0] for pair in pairs) if len(pairs[0]) == 2 else None
    return AngleKeyframes(tuple(pair[-1] for pair in pairs), times)


def _text(value: object) -> str:
    try:
        return str(value).strip()
    except ValueError as e:  # an integer with more digits than Python converts
        raise InvalidValueError from e


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidValueError
    try:
        number = float(value)
    except (ValueError, OverflowError) as e:
        raise InvalidValueError from e
    if not isfinite(number):
        raise InvalidValueError
    return number


_PARSERS: Mapping[type, Callable[[SettingSpec, object], Scalar]] = {
    bool: parse_bool, int: parse_integer, float: parse_number, str: parse_text,
}  # fmt: skip
_FORMS: Mapping[Callable[[SettingSpec, object], Scalar], str] = {
    parse_moment: "auto, or a number of seconds from the beginning of the video",
    parse_file_names: "names of files without folders, separated by commas",
    parse_face: "largest, a number from 1, or a box x,y,width,height in pixels",
    parse_angles: f"one or more numbers separated by commas, -{ANGLE_LIMIT_DEG:g} to {ANGLE_LIMIT_DEG:g} degrees, "
    "all or none with a rising time in seconds before it, such as 0:0,1.5:20",
}


def property_schema(spec: SettingSpec) -> dict[str, object]:
    """Return the JSON schema of one setting's value."""
    number = {"type": "number", "minimum": spec.low, "maximum": spec.high}
    schema: dict[str, object] = {"title": spec.label, "description": spec.help, "default": spec.default}
    if spec.engines:
        schema["x-engines"] = list(spec.engines)
    if spec.parse is parse_angles:
        time = {"type": "number", "minimum": 0, "maximum": LONGEST_VIDEO_S}
        pair = {"type": "array", "prefixItems": [time, number], "minItems": 2, "maxItems": 2}
        timed = {"type": "array", "items": pair}
        return schema | {"anyOf": [{"type": "string"}, number, {"type": "array", "items": number}, timed]}
    if spec.parse in (parse_moment, parse_file_names):
        moment = {"type": "number", "minimum": 0, "maximum": LONGEST_MOMENT_S}
        names = {"type": "array", "items": {"type": "string"}}
        return schema | {"anyOf": [{"type": "string"}, moment if spec.parse is parse_moment else names]}
    if spec.choices:
        return schema | {"type": "string", "enum": list(spec.choices)}
    if isinstance(spec.default, bool):
        return schema | {"type": "boolean"}
    if isinstance(spec.default, str):
        return schema | {"type": "string"}
    return schema | number | {"type": "integer" if isinstance(spec.default, int) else "number"}
