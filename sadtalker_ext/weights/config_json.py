"""Rebuild a network's config dataclass from the JSON in the header of its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from math import isfinite
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from sadtalker_ext.errors import WeightsError

ConfigT = TypeVar("ConfigT")

LONGEST_QUOTE = 40
"""Characters of a bad value that an error message repeats."""
LARGEST_INTEGER = 1 << 16
"""Largest integer in a config; sizes and numbers of layers of real networks are far below it."""


def parse_json_object(text: str, source: object) -> dict[str, Any]:
    """Return the JSON object in the header of ``source``; WeightsError if ``text`` is anything else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise WeightsError(f"The header of {source} is not valid JSON ({e}); export the file again") from e
    if not isinstance(values, dict):
        raise WeightsError(
            f"The header of {source} is {text[:LONGEST_QUOTE]!r}, but it must be a JSON object; export the file again"
        )
    return values


def config_from_json(config_type: type[ConfigT], values: object, source: object, path: str = "") -> ConfigT:
    """Return a config of ``config_type``, built from values as :func:`json.loads` returns them.

    Fields are booleans, numbers, strings, tuples of these, or nested configs. Missing fields take their defaults. An
    unknown field, a value of another type, null, and a missing field without a default raise a WeightsError that names
    ``source`` (the checkpoint) and the field. path: dotted name of the config within the outermost one.
    """
    if not isinstance(values, Mapping):
        raise _wrong_type(source, path or "config", "an object", values)
    hints = get_type_hints(config_type)
    prefix = f"{path}." if path else ""
    if unknown := sorted(set(values) - set(hints)):
        names = ", ".join(prefix + name for name in unknown)
        raise WeightsError(
            f"The config of {source} has fields that this version does not know: {names}; update the extension"
        )
    made = {name: _convert(hints[name], value, source, prefix + name) for name, value in values.items()}
    for field in fields(config_type):  # type: ignore[arg-type] # every config is a dataclass
        if field.name not in made and field.default is MISSING and field.default_factory is MISSING:
            raise WeightsError(f"The config of {source} lacks the field {prefix}{field.name}; export the file again")
    return config_type(**made)


def _convert(hint: Any, value: object, source: object, path: str) -> object:  # noqa: ANN401 - a type hint
    if is_dataclass(hint):
        return config_from_json(hint, value, source, path)  # type: ignore[arg-type] # a type, not an instance
    if get_origin(hint) is tuple:
        return _convert_tuple(get_args(hint), value, source, path)
    if hint is float and type(value) is int and abs(value) <= LARGEST_INTEGER:
        value = float(value)
    if type(value) is not hint:  # bool is a subclass of int, so isinstance would accept true as a number
        raise _wrong_type(source, path, getattr(hint, "__name__", str(hint)), value)
    if type(value) is float and not isfinite(value):
        raise _wrong_type(source, path, "a finite number", value)
    if type(value) is int and abs(value) > LARGEST_INTEGER:
        raise _wrong_type(source, path, f"an integer up to {LARGEST_INTEGER}", value)
    return value


def _convert_tuple(hints: tuple[Any, ...], value: object, source: object, path: str) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong_type(source, path, "a list", value)
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise _wrong_type(source, path, f"a list of {len(hints)} values", value)
    items = zip(hints, value, strict=True)
    return tuple(_convert(hint, item, source, f"{path}[{index}]") for index, (hint, item) in enumerate(items))


def _wrong_type(source: object, path: str, expected: str, value: object) -> WeightsError:
    found = "null" if value is None else _quote(value)
    return WeightsError(
        f"The field {path} in the config of {source} is {found}, but it must be {expected}; export the file again"
    )


def _quote(value: object) -> str:
    try:
        return repr(value)[:LONGEST_QUOTE]
    except ValueError:  # an integer with more digits than Python converts to text
        return "a number with too many digits"
