"""Axes of the host's X/Y/Z plot: a few knobs of the script that animates each result."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from sadtalker_ext.engines.registry import setting_spec

AXES: Final = ("expression_scale", "head_motion_scale", "blink", "pose_style", "seed", "still")
ATTRIBUTE: Final = "sadtalker_wishes"


def add_axes(loaded: Iterable[Any]) -> bool:
    """Add our axes to the X/Y/Z script among the loaded ones, once; whether it is there."""
    for entry in loaded:
        module: Any = getattr(entry, "module", None)
        if hasattr(module, "axis_options") and hasattr(module, "AxisOption"):
            known = {option.label for option in module.axis_options}
            for name in AXES:
                option = _axis(module, name)
                if option.label not in known:
                    module.axis_options.append(option)
            return True
    return False


def wishes(processing: Any) -> dict[str, object]:  # noqa: ANN401 - the host's record of a generation
    """The values that the axes put into one generation."""
    return dict(getattr(processing, ATTRIBUTE, {}))


def _axis(module: Any, name: str) -> Any:  # noqa: ANN401
    described = setting_spec(name)
    kind = str if isinstance(described.default, bool | str) else type(described.default)
    return module.AxisOption(f"[SadTalker] {described.label}", kind, partial(_apply, name))


def _apply(name: str, processing: Any, value: object, _values: object) -> None:  # noqa: ANN401
    setattr(processing, ATTRIBUTE, {**wishes(processing), name: value})
