"""Axes of the host's X/Y/Z plot for a few settings of the script that animates every result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from sadtalker_ext.engines.registry import setting_spec

AXES: Final = ("expression_scale", "head_motion_scale", "blink", "pose_style", "seed", "still")
ATTRIBUTE: Final = "sadtalker_axis_values"
"""Attribute of the host's processing object in which the axes store their values."""
BOOLEAN: Final = ("False", "True")
"""Choices of an axis for a checkbox, in the words of the webuis' own axes."""


def add_axes(scripts: Iterable[Any]) -> bool:
    """Add the axes to the X/Y/Z script among the host's loaded scripts, once; return whether it was found."""
    for entry in scripts:
        module: Any = getattr(entry, "module", None)
        if hasattr(module, "axis_options") and hasattr(module, "AxisOption"):
            known = {option.label for option in module.axis_options}
            for name in AXES:
                option = _axis(module, name)
                if option.label not in known:
                    module.axis_options.append(option)
            return True
    return False


def axis_values(processing: Any) -> dict[str, object]:  # noqa: ANN401 - the host's record of a generation
    """Return the settings, by name, that the axes chose for one generation."""
    return dict(getattr(processing, ATTRIBUTE, {}))


def describe_axes(processing: Any) -> str:  # noqa: ANN401
    """Return the values that the axes chose for one generation in parentheses, or nothing if they chose none."""
    values = [f"{setting_spec(name).label}: {value}" for name, value in axis_values(processing).items()]
    return f" ({', '.join(values)})" if values else ""


def _axis(module: Any, name: str) -> Any:  # noqa: ANN401
    spec = setting_spec(name)
    is_text = isinstance(spec.default, bool | str)
    axis = module.AxisOption(f"[SadTalker] {spec.label}", str if is_text else type(spec.default), partial(_apply, name))
    axis.confirm = partial(_confirm, name)
    if isinstance(spec.default, bool):
        axis.choices = lambda: list(BOOLEAN)
    return axis


def _apply(name: str, processing: Any, value: object, _values: object) -> None:  # noqa: ANN401
    setattr(processing, ATTRIBUTE, {**axis_values(processing), name: value})


def _confirm(name: str, _processing: Any, values: Sequence[object]) -> None:  # noqa: ANN401
    """Raise SettingsError if the setting does not accept one of the values; called before the first image is made."""
    spec = setting_spec(name)
    for value in values:
        spec._replace(name=spec.label).read(value)
