"""The description of one setting, and how what a face hands over becomes a stored value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from math import isfinite
from typing import Any, NamedTuple

from sadtalker_ext.errors import SettingsError

Scalar = str | bool | int | float
LARGEST_FACE = "largest"
ANGLE_LIMIT_DEG = 60.0


class InvalidValueError(ValueError):
    """A value that a knob does not accept."""


class SettingSpec(NamedTuple):
    """One thing a person may turn.

    low, high, step: accepted range and a sensible slider step of a number, in ``unit``; None where there is none.
    choices: the accepted values of a text, or empty where any text of the right form is accepted.
    parse: converts a JSON value or text into the stored scalar, or raises :class:`InvalidValueError`.
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

    @property
    def accepts(self) -> str:
        """The accepted values in words, for messages and help."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, str):
            return _FORMS.get(self.parse, "a text")
        whole = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{whole} from {self.low:g} to {self.high:.10g}{' ' + self.unit if self.unit else ''}"

    def read(self, value: object) -> Scalar:
        """The stored form of ``value``; a value outside the range is a SettingsError that says the range."""
        try:
            return self.parse(self, value)
        except InvalidValueError as e:
            raise SettingsError(f"The setting {self.name} is {value!r}, but it takes {self.accepts}") from e


def knob(  # noqa: PLR0913 - the one place where a knob's whole description is written down
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
) -> Any:  # noqa: ANN401 - a dataclass field stands for a value of any type
    """A field of :class:`Settings`; the arguments are those of :class:`SettingSpec`."""
    described = {
        "label": label, "help": help, "low": low, "high": high, "step": step, "unit": unit, "choices": choices,
        "parse": parse or _PARSERS[type(default)],
    }  # fmt: skip
    return field(default=default, metadata=described)


def parse_bool(_: SettingSpec, value: object) -> bool:
    """True and false, also as the words a form or a flag hands over."""
    words = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
    if isinstance(value, str):
        value = words.get(value.strip().lower())
    if not isinstance(value, bool):
        raise InvalidValueError
    return value


def parse_number(described: SettingSpec, value: object) -> float:
    """A finite number within the knob's range, also as text."""
    number = _number(value)
    if described.low is not None and described.high is not None and not described.low <= number <= described.high:
        raise InvalidValueError
    return number


def parse_integer(described: SettingSpec, value: object) -> int:
    """A whole number within the knob's range; 25.0 counts as whole, 25.5 does not."""
    if isinstance(value, str) and value.strip().lstrip("+-").isdigit():
        value = int(value)
    number = parse_number(described, value)
    if number != int(number):
        raise InvalidValueError
    return int(number)


def parse_text(described: SettingSpec, value: object) -> str:
    """One of the choices, or any text (a number is taken as its digits)."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidValueError
    text = str(value).strip()
    if described.choices and text not in described.choices:
        raise InvalidValueError
    return text


def parse_face(_: SettingSpec, value: object) -> str:
    """``largest``, an index from 0, or ``x,y,width,height`` in pixels of the picture (also as a list)."""
    parts = value if isinstance(value, list | tuple) else str(value).strip().split(",")
    if parts == [LARGEST_FACE] or (len(parts) == 1 and str(parts[0]).isdigit() and not isinstance(value, bool)):
        return str(parts[0])
    numbers = [_number(part) for part in parts]
    if len(numbers) != 4 or min(numbers[:2]) < 0 or min(numbers[2:]) <= 0:
        raise InvalidValueError
    return ",".join(f"{number:g}" for number in numbers)


def parse_angles(described: SettingSpec, value: object) -> str:
    """Nothing, one number or several in degrees; kept as text with commas."""
    if value is None or value == "":
        return ""
    parts = value if isinstance(value, list | tuple) else str(value).split(",") if isinstance(value, str) else [value]
    return ",".join(f"{parse_number(described, part):g}" for part in parts)


def angles_deg(text: str) -> tuple[float, ...]:
    """The keyframes of a yaw, pitch or roll setting in degrees; empty means the setting is off."""
    return tuple(float(part) for part in text.split(",")) if text else ()


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
    parse_face: "largest, an index from 0, or a box x,y,width,height in pixels",
    parse_angles: f"one number or several with commas from -{ANGLE_LIMIT_DEG:g} to {ANGLE_LIMIT_DEG:g} degrees",
}


def property_schema(described: SettingSpec) -> dict[str, object]:
    """The JSON schema of one setting's value."""
    number = {"type": "number", "minimum": described.low, "maximum": described.high}
    schema: dict[str, object] = {"title": described.label, "description": described.help, "default": described.default}
    if described.parse is parse_angles:
        return schema | {"anyOf": [{"type": "string"}, number, {"type": "array", "items": number}]}
    if described.choices:
        return schema | {"type": "string", "enum": list(described.choices)}
    if isinstance(described.default, bool):
        return schema | {"type": "boolean"}
    if isinstance(described.default, str):
        return schema | {"type": "string"}
    return schema | number | {"type": "integer" if isinstance(described.default, int) else "number"}
