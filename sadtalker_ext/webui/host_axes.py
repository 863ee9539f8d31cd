"""Axes of the host's X/Y/Z plot for a few settings of the script that animates every result."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from sadtalker_ext.engines.registry import setting_spec

AXES: Final = ("expression_scale", "head_motion_scale", "blink", "pose_style", "seed", "still")
ATTRIBUTE: Final = "sadtalker_axis_values"
"""Attribute of the host's processing object in which the axes store their values."""


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


def _axis(module: Any, name: str) -> Any:  # noqa: ANN401
    spec = setting_spec(name)
    kind = str if isinstance(spec.default, bool | str) else type(spec.default)
    return module.AxisOption(f"[SadTalker] {spec.label}", kind, partial(_apply, name))


def _apply(name: str, processing: Any, value: object, _values: object) -> None:  # noqa: ANN401
    setattr(processing, ATTRIBUTE, {**axis_values(processing), name: value})
